//! `portcullis explain`.

use std::{process::ExitCode, sync::Arc};

use analyze::explain::{GatewayName, Options, Request, explain};
use anyhow::Result;
use api::{HttpRoute, ObjectName, Resource as _, Route as _};
use ir::{HostPattern, ObjectRef};
use translate::Diagnostic;

use super::load::{self, Loaded};
use crate::{
    cli::{ExplainArgs, OutputFormat},
    limits::EXPLAIN_IDLE_ROUTES_MAX,
    render,
};

/// Exit code 0 when a rule takes the request, 1 when none does.
pub(crate) fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let request = request(args)?;
    let settings = load::settings(args.rules.class.as_deref(), &args.rules.controller_name);
    let inputs = load::Inputs { paths: &args.paths, with: &[], open: false, demo: args.rules.demo };
    let loaded = load::load(&inputs, &settings)?;
    let complained = loaded.complain();
    let table = ir::assemble(&loaded.translation.ir, ir::Revision::default(), None);
    let endpoints = loaded.endpoints(&settings);
    let options = Options {
        gateway: args.gateway.as_deref().map(GatewayName::new),
        all: args.all,
        endpoints: Some(&endpoints),
    };
    let mut explained = explain(&table, &request, &options);
    if !explained.is_routed() {
        let hints = attached_nowhere(&loaded, &request);
        explained.sections.iter_mut().for_each(|section| section.hints.extend(hints.clone()));
    }
    match args.output.output {
        OutputFormat::Text => render::print(&explained.to_text())?,
        OutputFormat::Json => render::json(&explained.to_json())?,
    }
    Ok(load::exit(complained || !explained.is_routed()))
}

/// Routes for the host of the request that no listener has taken, and why.
fn attached_nowhere(loaded: &Loaded, request: &Request) -> Vec<String> {
    let Ok(host) = ir::host::normalize(&request.authority) else { return Vec::new() };
    let fits = |hostnames: &[Arc<str>]| {
        hostnames.is_empty()
            || hostnames.iter().any(|name| HostPattern::new(name).matches(&host.name))
    };
    let idle = loaded.translation.unattached.keys().filter(|object| {
        let name = ObjectName::new(Arc::clone(&object.namespace), Arc::clone(&object.name));
        let http = loaded.snapshot.http_routes.get(&name).map(|route| route.hostnames());
        let grpc = loaded.snapshot.grpc_routes.get(&name).map(|route| route.hostnames());
        let hostnames = if *object.kind == *HttpRoute::KIND { http } else { grpc };
        hostnames.is_some_and(fits)
    });
    let hint = |object: &Arc<ObjectRef>| {
        let about = |one: &&Diagnostic| {
            one.origin.object == *object && one.origin.field.starts_with("spec.parentRefs")
        };
        let why = loaded.translation.diagnostics.iter().find(about);
        let why =
            why.map_or_else(|| "`portcullis status` says why".to_owned(), Diagnostic::sentence);
        format!("{object} is for this host too, but attached nowhere: {why}")
    };
    idle.take(EXPLAIN_IDLE_ROUTES_MAX).map(hint).collect()
}

fn request(args: &ExplainArgs) -> Result<Request> {
    let mut request = Request::from_url(&args.url)?;
    if let Some(method) = &args.request {
        request = request.with_method(method)?;
    }
    for line in &args.header {
        request = request.with_header(line)?;
    }
    if let Some(address) = args.client_ip {
        request = request.with_client_ip(address);
    }
    Ok(request.with_sni(args.sni.clone()))
}
