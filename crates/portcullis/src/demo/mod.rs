//! `--demo`: what the caller of `source::demo` has to supply, which is certificates and tiny
//! backends that show what reached them.

mod authority;
mod backend;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Result;
use api::EndpointSlice;
use ir::{Action, FieldName, FieldValue, Filter, HeaderModifier, IrSet};
use source::demo::{DemoCertificate, DemoPlan, DemoSupplies, Speaks, plan};
use translate::{Settings, Snapshot};

use authority::Authority;
use backend::Backends;

/// Tells the demo backends which route and rule a request took.
const ROUTE_FIELD: &str = "x-portcullis-route";

/// The stand-ins of a running server: backends and certificates are made once and kept.
#[derive(Default)]
pub(crate) struct Demo {
    authority: Option<Authority>,
    backends: Backends,
    supplies: DemoSupplies,
    certificates: Vec<DemoCertificate>,
    lines: Vec<String>,
}

impl Demo {
    /// Adds what is missing to the snapshot, and the endpoints of the demo backends to `slices`.
    /// Must run inside a `LocalSet`.
    pub(crate) async fn stand_in(
        &mut self,
        snapshot: &mut Snapshot,
        slices: &mut Vec<Arc<EndpointSlice>>,
        settings: &Settings,
    ) -> Result<()> {
        let plan = plan(snapshot, slices, &settings.controller_name);
        let authority = Authority::once(&mut self.authority)?;
        for backend in &plan.backends {
            if !self.supplies.addresses.contains_key(backend) {
                let addresses = self.backends.start(backend, authority).await?;
                self.supplies.addresses.insert(backend.clone(), addresses);
            }
        }
        self.make_certificates(&plan)?;
        plan.apply(snapshot, slices, &self.supplies);
        self.lines = lines(&plan);
        Ok(())
    }

    /// One line for each stand-in.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What clients need to be believed and to believe, by file name; PEM.
    pub(crate) fn files(&self) -> BTreeMap<&'static str, String> {
        self.authority.as_ref().map(Authority::files).unwrap_or_default()
    }

    fn make_certificates(&mut self, plan: &DemoPlan) -> Result<()> {
        let authority = Authority::once(&mut self.authority)?;
        self.supplies.authority = authority.pem();
        for wanted in &plan.certificates {
            if !self.certificates.contains(wanted) {
                let pair = authority.issue(&wanted.hostnames)?;
                self.supplies.key_pairs.insert(wanted.secret.clone(), pair);
                self.certificates.retain(|known| known.secret != wanted.secret);
                self.certificates.push(wanted.clone());
            }
        }
        Ok(())
    }
}

fn lines(plan: &DemoPlan) -> Vec<String> {
    let mut lines: Vec<String> = plan
        .stand_ins
        .iter()
        .map(|one| format!("{}: {} ({})", one.object, one.what, one.why))
        .collect();
    if plan.backends.iter().any(|backend| backend.speaks != Speaks::Udp) {
        lines.push(format!("requests to demo backends carry {ROUTE_FIELD}"));
    }
    if !plan.certificates.is_empty() || !plan.authorities.is_empty() {
        lines.push(
            "the authority of the demo, and a client's certificate with its key, are \
             /demo/ca.pem and /demo/client.pem of the admin address"
                .to_owned(),
        );
    }
    lines
}

/// What `serve --demo` would stand in, for commands that only look: backends that nobody starts.
pub(crate) fn stand_in_offline(
    snapshot: &mut Snapshot,
    slices: &mut Vec<Arc<EndpointSlice>>,
    settings: &Settings,
) -> Result<()> {
    let plan = plan(snapshot, slices, &settings.controller_name);
    let mut demo = Demo::default();
    demo.make_certificates(&plan)?;
    for backend in &plan.backends {
        let ports = 1..=u16::from(backend.endpoints);
        let nowhere = ports.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        demo.supplies.addresses.insert(backend.clone(), nowhere.collect());
    }
    plan.apply(snapshot, slices, &demo.supplies);
    Ok(())
}

/// Lets every rule tell its backends which route and rule it is, so that an echo can show it.
pub(crate) fn name_routes(ir: &mut IrSet) {
    for route in ir.http_routes.values_mut() {
        let name = route.object.to_string();
        for rule in &mut Arc::make_mut(route).rules {
            let rule_name = rule.name.as_deref().map_or(rule.index.to_string(), str::to_owned);
            let value = FieldValue::new(&format!("{name} rule {rule_name}"));
            if let (Action::Forward(_), Some(field), Some(value)) =
                (&rule.action, FieldName::new(ROUTE_FIELD), value)
            {
                let set = vec![(field, value)];
                let modifier = HeaderModifier { set, ..HeaderModifier::default() };
                Arc::make_mut(rule).filters.push(Filter::RequestHeaders(modifier));
            }
        }
    }
}
