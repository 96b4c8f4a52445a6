//! `portcullis status`.

use std::process::ExitCode;

use anyhow::Result;

use super::load;
use crate::{
    cli::{OutputFormat, StatusArgs},
    render::{self, status::Shown},
};

pub(crate) fn run(args: &StatusArgs) -> Result<ExitCode> {
    let settings = load::settings(args.rules.class.as_deref(), &args.rules.controller_name);
    let inputs =
        load::Inputs { paths: &args.inputs.paths, with: &[], open: false, demo: args.rules.demo };
    let loaded = load::load(&inputs, &settings)?;
    let complained = loaded.complain();
    let statuses = loaded.statuses();
    match args.output.output {
        OutputFormat::Text if statuses.is_empty() => {
            render::note(
                "no object in PATH has a status; there is no GatewayClass, Gateway or route of ours",
            );
        }
        OutputFormat::Text => render::print(&render::status::text(&statuses))?,
        OutputFormat::Json => {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let name = &settings.controller_name;
            render::json(&render::status::json(&statuses, &mut Shown::new(), name, &now))?;
        }
    }
    Ok(load::exit(complained))
}
