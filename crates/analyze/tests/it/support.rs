//! Short ways from YAML to a translation, an explanation and findings.

use analyze::{
    Finding, LintOptions, Location, Request,
    explain::{Explained, Options},
    lint,
};
use ir::{EndpointMap, Origin, Revision, Table, assemble};
use source::{Contents, Store};
use translate::{Settings, Snapshot, Translation, endpoint_map, translate};

/// A class of ours, one Gateway for every host on port 80, and two Services with endpoints.
pub(crate) const BASE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: portcullis }
spec: { controllerName: portcullis.dev/gateway-controller }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: web }
spec:
  gatewayClassName: portcullis
  listeners:
  - { name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }
---
apiVersion: v1
kind: Service
metadata:
  name: cart
  annotations: { portcullis.dev/endpoints: \"127.0.0.1:9001\" }
spec: { ports: [{ port: 8080 }] }
---
apiVersion: v1
kind: Service
metadata:
  name: shop
  annotations: { portcullis.dev/endpoints: \"127.0.0.1:9002\" }
spec: { ports: [{ port: 8080 }] }
---
";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) snapshot: Snapshot,
    pub(crate) translation: Translation,
    pub(crate) table: Table,
    pub(crate) endpoints: EndpointMap,
    pub(crate) settings: Settings,
}

/// Reads a whole configuration; the text must be one that an API server takes.
#[track_caller]
pub(crate) fn world(yaml: &str) -> World {
    read(yaml, false)
}

/// Reads a part of a configuration.
#[track_caller]
pub(crate) fn part(yaml: &str) -> World {
    read(yaml, true)
}

#[track_caller]
fn read(yaml: &str, open: bool) -> World {
    let mut store = Store::new(source::Settings { open, ..source::Settings::default() });
    let load = store.load(Contents::from_texts([("test.yaml", yaml)]));
    let errors: Vec<_> =
        load.issues.iter().filter(|issue| issue.severity == translate::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let snapshot = store.snapshot();
    let settings = Settings::default();
    let translation = translate(&snapshot, &settings);
    let table = assemble(&translation.ir, Revision::default(), None);
    let endpoints = endpoint_map(
        &translation.ir,
        &snapshot,
        store.endpoint_slices(),
        &translate::endpoints::Names::new(),
        settings.backend_addresses,
    );
    World { store, snapshot, translation, table, endpoints, settings }
}

impl World {
    pub(crate) fn explain(&self, request: &Request, all: bool) -> Explained {
        let options = Options { gateway: None, all, endpoints: Some(&self.endpoints) };
        analyze::explain(&self.table, request, &options)
    }

    pub(crate) fn lint(&self, complete: bool) -> Vec<Finding> {
        let endpoints = Some(&self.endpoints);
        let options = LintOptions { complete, now: None, endpoints };
        lint(&self.snapshot, &self.settings, &self.translation, &options)
    }

    pub(crate) fn lint_at(&self, now: i64) -> Vec<Finding> {
        let options = LintOptions { complete: false, now: Some(now), endpoints: None };
        lint(&self.snapshot, &self.settings, &self.translation, &options)
    }

    /// Lines and columns of the start alone; enough for tests.
    pub(crate) fn locate(&self, origin: &Origin) -> Option<Location> {
        let place = self.store.locate(&origin.object, &origin.field)?;
        Some(Location {
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
            end_line: place.line,
            end_column: place.column.saturating_add(place.end.saturating_sub(place.start)),
        })
    }
}

/// `code field` of findings with one of the codes, in order.
pub(crate) fn found(findings: &[Finding], codes: &[&str]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| codes.contains(&finding.code.id()))
        .map(|finding| format!("{} {}", finding.code.id(), finding.origin.field))
        .collect()
}

/// The same, of an HTTPRoute with this spec below [`BASE`].
#[track_caller]
pub(crate) fn found_in_route(spec: &str, codes: &[&str]) -> Vec<String> {
    found(&world(&format!("{BASE}{}", route("one", spec))).lint(false), codes)
}

/// An HTTPRoute attached to the Gateway of [`BASE`]; `spec` is indented by two.
pub(crate) fn route(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{ name: {name} }}\nspec:\n  parentRefs: [{{ name: web }}]\n{spec}\n---\n"
    )
}

/// One finding as a paragraph.
pub(crate) fn paragraph(finding: &Finding) -> String {
    let mut text = format!(
        "{} {} {}: {}\n",
        finding.level,
        finding.code.id(),
        finding.origin,
        finding.message
    );
    for (origin, why) in &finding.related {
        text.push_str(&format!("  see {origin}: {why}\n"));
    }
    if let Some(effect) = &finding.effect {
        text.push_str(&format!("  effect: {effect}\n"));
    }
    if let Some(hint) = &finding.hint {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    text
}
