//! `portcullis explain`.

use std::process::ExitCode;

use analyze::explain::{GatewayName, Options, Request, explain};
use anyhow::Result;

use super::load;
use crate::{
    cli::{ExplainArgs, OutputFormat},
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
    let explained = explain(&table, &request, &options);
    match args.output.output {
        OutputFormat::Text => render::print(&explained.to_text())?,
        OutputFormat::Json => render::json(&explained.to_json())?,
    }
    Ok(load::exit(complained || !explained.is_routed()))
}

fn request(args: &ExplainArgs) -> Result<Request> {
    let mut request = Request::from_url(&args.url)?.with_method(&args.request)?;
    for line in &args.header {
        request = request.with_header(line)?;
    }
    if let Some(address) = args.client_ip {
        request = request.with_client_ip(address);
    }
    Ok(request.with_sni(args.sni.clone()))
}
