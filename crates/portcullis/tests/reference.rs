//! The reference pages are generated from the code; this test fails when one is out of date.
//!
//! `UPDATE_DOCS=1 cargo test -p portcullis --test reference` writes them.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use support::{binary, workspace};
use translate::{Code, FieldSupport, Support};

const NOTICE: &str = "<!-- Generated from the code; do not edit. -->\n\n";

fn current(path: &str, text: &str) {
    let path = workspace().join("docs").join(path);
    let text = format!("{NOTICE}{text}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the page");
        fs::write(&path, text).expect("the page is written");
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is out of date: run UPDATE_DOCS=1 cargo test -p portcullis --test reference",
        path.display()
    );
}

#[test]
fn diagnostic_codes() {
    let mut list =
        String::from("# Diagnostic codes\n\n| code | severity | meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        let (id, severity, title) = (code.id(), code.severity(), code.title());
        list.push_str(&format!("| [{id}]({id}.md) | {severity} | {title} |\n"));
        let mut page =
            format!("# {id}: {title}\n\nSeverity: {severity}.\n\n{}\n", code.explanation());
        let conditions: Vec<String> = translate::condition::conditions(*code)
            .iter()
            .map(|(kind, status, reason)| {
                format!("`{}={}/{}`", kind.as_str(), status.as_str(), reason.as_str())
            })
            .collect();
        if !conditions.is_empty() {
            page.push_str(&format!("\nIn the object's status: {}.\n", conditions.join(", ")));
        }
        current(&format!("codes/{id}.md"), &page);
    }
    current("codes/README.md", &list);
}

#[test]
fn there_is_no_page_without_a_code() {
    let known: Vec<String> = Code::ALL.iter().map(|code| format!("{}.md", code.id())).collect();
    for entry in fs::read_dir(workspace().join("docs/codes")).expect("the pages") {
        let name = entry.expect("a page").file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || known.contains(&name), "{name} belongs to no code");
    }
}

#[test]
fn reasons_of_our_own_answers() {
    let mut page = String::from(
        "# Reasons of our own answers\n\nEach answer that Portcullis makes itself carries one of \
         these in the access log and in `portcullis_local_answers_total`.\n\n\
         | reason | meaning |\n|---|---|\n",
    );
    for reason in proxy::Reason::ALL {
        page.push_str(&format!("| `{}` | {} |\n", reason.as_str(), reason.description()));
    }
    current("reference/reasons.md", &page);
}

#[test]
fn fields_served_or_refused() {
    let mut page = String::from(
        "# Fields, served or refused\n\nEvery field of every kind. A refused field is reported \
         with its code and never ignored; an informational one changes no traffic.\n",
    );
    for (group, kind) in kinds() {
        let fields: Vec<FieldSupport> = translate::field_support()
            .into_iter()
            .filter(|field| field.group == group && field.kind == kind)
            .collect();
        let versions: BTreeSet<&str> = fields.iter().map(|field| field.version).collect();
        let all: Vec<&str> = versions.iter().copied().collect();
        page.push_str(&format!("\n## {kind}\n\n`{group}`, {}.\n", all.join(", ")));
        page.push_str("\n| field | |\n|---|---|\n");
        let mut seen = BTreeSet::new();
        for field in fields.iter().filter(|field| seen.insert(field.path.as_str())) {
            let same = |other: &&FieldSupport| other.path == field.path;
            let here: BTreeSet<&str> =
                fields.iter().filter(same).map(|other| other.version).collect();
            let only = if here == versions {
                String::new()
            } else {
                format!(" (only {})", here.into_iter().collect::<Vec<_>>().join(", "))
            };
            let support = verdict(field);
            page.push_str(&format!("| `{}`{only} | {support} |\n", field.path));
        }
    }
    current("reference/fields.md", &page);
}

/// Group and name of each kind, those of the standard group first.
fn kinds() -> Vec<(&'static str, &'static str)> {
    let mut kinds: Vec<_> =
        translate::field_support().iter().map(|field| (field.group, field.kind)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn verdict(field: &FieldSupport) -> String {
    match field.support {
        None => panic!("{} {} has no verdict", field.kind, field.path),
        Some(Support::Served) => "served".to_owned(),
        Some(Support::Refused(code)) => {
            format!("refused: [{0}](../codes/{0}.md), {1}", code.id(), code.title())
        }
        Some(Support::Informational(why)) => format!("informational: {why}"),
    }
}

#[test]
fn commands_and_settings() {
    let mut page = String::from("# Commands and settings\n");
    let commands: [&[&str]; 9] = [
        &[],
        &["serve"],
        &["lint"],
        &["explain"],
        &["status"],
        &["code"],
        &["config", "show"],
        &["completions"],
        &["man"],
    ];
    for command in commands {
        let output = Command::new(binary())
            .args(command)
            .arg("--help")
            .env("COLUMNS", "100")
            .env_remove("PORTCULLIS_CONFIG")
            .output()
            .expect("the binary runs");
        let help = String::from_utf8_lossy(&output.stdout);
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let name = ["portcullis"].iter().chain(command).copied().collect::<Vec<_>>().join(" ");
        page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    }
    current("reference/commands.md", &page);
}

#[test]
fn limits() {
    let mut page = String::from(
        "# Limits\n\nEvery bound, from the `limits.rs` of each crate. Sizes are in bytes.\n",
    );
    for name in ["api", "http1", "ir", "proxy", "source", "translate"] {
        let path = workspace().join("crates").join(name).join("src/limits.rs");
        if path.exists() {
            page.push_str(&limits_of(name, &path));
        }
    }
    current("reference/limits.md", &page);
}

/// One row for each documented constant or field; fields take their value from `Default`.
fn limits_of(name: &str, path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a limits.rs");
    let mut defaults = BTreeMap::new();
    let mut rows: Vec<(String, Option<String>, String)> = Vec::new();
    let (mut doc, mut in_default) = (String::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("impl Default") {
            in_default = true;
        } else if let Some(words) = line.strip_prefix("///") {
            doc.push_str(words.trim());
            doc.push(' ');
            continue;
        } else if in_default {
            if let Some((field, value)) = line.trim_end_matches(',').split_once(": ") {
                defaults.insert(field.to_owned(), value.to_owned());
            }
        } else if let Some(item) =
            line.strip_prefix("pub ").map(|item| item.trim_start_matches("(crate) "))
        {
            if let Some((constant, value)) =
                item.strip_prefix("const ").and_then(|c| c.split_once(" = "))
            {
                let constant = constant.split(':').next().unwrap_or(constant);
                let value = value.trim_end_matches(';').to_owned();
                rows.push((constant.to_owned(), Some(value), doc.clone()));
            } else if let Some((field, _)) = item.split_once(": ") {
                rows.push((field.to_owned(), None, doc.clone()));
            }
        }
        doc.clear();
    }
    let mut section = format!("\n## {name}\n\n| limit | value | |\n|---|---|---|\n");
    for (limit, value, doc) in rows {
        let value = value.or_else(|| defaults.get(&limit).cloned()).unwrap_or_default();
        let value = value.replace("Duration::from_", "").replace('|', "\\|");
        section.push_str(&format!("| `{limit}` | `{value}` | {} |\n", doc.trim()));
    }
    section
}
