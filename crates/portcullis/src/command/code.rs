//! `portcullis code`: what a diagnostic code means.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;
use translate::Code;

use crate::{
    cli::{CodeArgs, OutputFormat},
    render,
};

pub(crate) fn run(args: &CodeArgs) -> Result<ExitCode> {
    let codes: Vec<Code> = match &args.code {
        None => Code::ALL.to_vec(),
        Some(wanted) => {
            let Some(code) = Code::ALL.iter().find(|code| code.id().eq_ignore_ascii_case(wanted))
            else {
                bail!("there is no code {wanted}; `portcullis code` lists them all");
            };
            vec![*code]
        }
    };
    match (args.output.output, codes.as_slice()) {
        (OutputFormat::Json, _) => {
            let list: Vec<_> = codes
                .iter()
                .map(|code| {
                    json!({
                        "code": code.id(),
                        "severity": code.severity().as_str(),
                        "title": code.title(),
                        "explanation": code.explanation(),
                    })
                })
                .collect();
            render::json(&list)?;
        }
        (OutputFormat::Text, [code]) => render::print(&format!(
            "{} ({}): {}\n\n{}\n",
            code.id(),
            code.severity(),
            code.title(),
            code.explanation()
        ))?,
        (OutputFormat::Text, codes) => render::table(
            &["CODE", "SEVERITY", "TITLE"],
            codes.iter().map(|code| {
                vec![code.id().to_owned(), code.severity().to_string(), code.title().to_owned()]
            }),
        )?,
    }
    Ok(ExitCode::SUCCESS)
}
