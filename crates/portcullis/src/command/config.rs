//! `portcullis config show`.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use clap::ArgMatches;
use serde_json::json;

use crate::{
    cli::OutputFormat,
    config::{Config, Flags},
    render,
};

pub(crate) fn show(flags: &Flags, format: OutputFormat, matches: &ArgMatches) -> Result<ExitCode> {
    let rows = Config::load(flags, matches)?.rows();
    match format {
        OutputFormat::Text => {
            render::table(&["SETTING", "VALUE", "FROM"], rows.iter().map(|row| row.to_vec()))
        }
        OutputFormat::Json => {
            let settings: BTreeMap<_, _> = rows
                .iter()
                .map(|[name, value, from]| (name, json!({ "value": value, "from": from })))
                .collect();
            render::json(&settings)
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
