//! The reference pages are generated from the code; this test fails when one is out of date.
//!
//! `UPDATE_DOCS=1 cargo test -p portcullis --test reference` writes them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

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
        String::from("# Diagnostic codes\n\n`portcullis code PC0203` prints a page of these.\n");
    let mut group = "";
    for code in Code::ALL {
        let (id, severity, title) = (code.id(), code.severity(), code.title());
        if id.get(..4) != Some(group) {
            group = id.get(..4).expect("four characters");
            let heading = subject(group);
            list.push_str(&format!(
                "\n## {heading}\n\n| code | severity | meaning |\n|---|---|---|\n"
            ));
        }
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

/// What the codes of one hundred are about.
fn subject(group: &str) -> &'static str {
    match group {
        "PC01" => "Files and objects",
        "PC02" => "References to backends and parents",
        "PC03" => "GatewayClasses, Gateways and listeners",
        "PC04" => "Attachment of routes",
        "PC05" => "Rules and filters",
        "PC06" => "Certificates",
        "PC07" => "Policies",
        "PC08" => "Findings of lint alone",
        "PC09" => "The running process",
        other => panic!("{other}xx needs a heading"),
    }
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
         these in the access log and in `portcullis_local_answers_total`. The client sees the \
         status and the request id, nothing else.\n\n\
         | reason | status | meaning |\n|---|---|---|\n",
    );
    for reason in proxy::Reason::ALL {
        let status = match reason.status() {
            0 => "none".to_owned(),
            status => status.to_string(),
        };
        let (name, meaning) = (reason.as_str(), reason.description());
        page.push_str(&format!("| `{name}` | {status} | {meaning} |\n"));
    }
    current("reference/reasons.md", &page);
}

#[test]
fn fields_served_or_refused() {
    let mut page = String::from(
        "# Fields, served or refused\n\nEvery field of every kind. A refused field is reported \
         with its code and never ignored; an informational one changes no traffic. A field that \
         holds others is served through what it holds.\n",
    );
    for (group, kind) in kinds() {
        page.push_str(&fields_of(group, kind));
    }
    current("reference/fields.md", &page);
}

/// Group and name of each kind, those of the Gateway API first.
fn kinds() -> Vec<(&'static str, &'static str)> {
    let mut kinds: Vec<_> =
        translate::field_support().iter().map(|field| (field.group, field.kind)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.sort_by_key(|(group, _)| match *group {
        "gateway.networking.k8s.io" => 0,
        "gateway.networking.x-k8s.io" => 1,
        _ => 2,
    });
    kinds
}

/// A table of one kind. Fields below one that has no verdict but theirs are in its line.
fn fields_of(group: &str, kind: &str) -> String {
    let all = translate::field_support();
    let mine = |field: &&FieldSupport| field.group == group && field.kind == kind;
    let fields: Vec<&FieldSupport> = all.iter().filter(mine).collect();
    let versions: BTreeSet<&str> = fields.iter().map(|field| field.version).collect();
    let group = if group.is_empty() { "core".to_owned() } else { format!("`{group}`") };
    let mut text = format!(
        "\n## {kind}\n\n{group}, {}\n\n| field | |\n|---|---|\n",
        versions.iter().copied().collect::<Vec<_>>().join(", ")
    );
    let mut rows: BTreeMap<&str, (String, BTreeSet<&str>)> = BTreeMap::new();
    for field in &fields {
        let row = rows.entry(&field.path).or_insert_with(|| (verdict(field), BTreeSet::new()));
        row.1.insert(field.version);
    }
    let mut whole: Option<&str> = None;
    for (path, row) in &rows {
        if whole.is_some_and(|above| is_below(path, above)) {
            continue;
        }
        let mut below = rows.iter().filter(|(other, _)| is_below(other, path)).peekable();
        let folded = below.peek().is_some() && below.all(|(_, other)| other == row);
        whole = folded.then_some(path);
        let (verdict, here) = row;
        let all = if folded { " and all below" } else { "" };
        let only = if *here == versions {
            String::new()
        } else {
            format!(" (only {})", here.iter().copied().collect::<Vec<_>>().join(", "))
        };
        text.push_str(&format!("| `{path}`{all}{only} | {verdict} |\n"));
    }
    text
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with(['.', '[']))
}

fn verdict(field: &FieldSupport) -> String {
    match field.support {
        None => panic!("{} {} has no verdict", field.kind, field.path),
        Some(Support::Served) => "served".to_owned(),
        Some(Support::Partly(code, values)) => {
            format!("served; refused with [{0}](../codes/{0}.md): {values}", code.id())
        }
        Some(Support::Refused(code)) => {
            format!("refused: [{0}](../codes/{0}.md), {1}", code.id(), code.title())
        }
        Some(Support::Informational(why)) => format!("informational: {why}"),
    }
}

#[test]
fn commands_and_settings() {
    let mut page = String::from("# Commands and settings\n");
    let commands: [&[&str]; 13] = [
        &[],
        &["serve"],
        &["controller"],
        &["proxy"],
        &["drain"],
        &["lint"],
        &["explain"],
        &["status"],
        &["code"],
        &["install"],
        &["config", "show"],
        &["completions"],
        &["man"],
    ];
    for command in commands {
        let output = Command::new(binary())
            .args(command)
            .arg("--help")
            .env("COLUMNS", "100")
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
        "# Limits\n\nEvery bound, from the `limits.rs` of each crate, and those that \
         one parser or relay keeps beside its code. `--max-connections` sets \
         `connections`; the others are fixed. Those of the data plane are in `/metrics` as \
         `portcullis_limit`.\n",
    );
    for name in [
        "analyze",
        "api",
        "controller",
        "http1",
        "http2",
        "ir",
        "link",
        "portcullis",
        "proxy",
        "source",
        "translate",
    ] {
        let path = workspace().join("crates").join(name).join("src/limits.rs");
        if path.exists() {
            page.push_str(&limits_of(name, &path));
        }
    }
    current("reference/limits.md", &page);
}

/// Bounds that only one parser or relay knows: they stand beside its code. Crate, file, names.
const BESIDE_THEIR_CODE: &[(&str, &str, &[&str])] = &[
    ("controller", "provision/reconcile.rs", &["NODE_ADDRESSES_MAX"]),
    ("http1", "authority.rs", &["HOST_BYTES"]),
    ("http1", "chunked.rs", &["SIZE_DIGITS"]),
    ("link", "authority/mod.rs", &["CLOCK_SKEW"]),
    ("proxy", "http/attempt.rs", &["STREAM_LINGER"]),
    ("proxy", "http/connection.rs", &["LINGER_CLOSE", "LINGER_CLOSE_BYTES"]),
    ("proxy", "http/exchange.rs", &["FRAMED_AHEAD"]),
    ("proxy", "http/forwarded.rs", &["REQUEST_ID_MOST"]),
    ("proxy", "http/mirror.rs", &["IDLE"]),
    ("proxy", "http2/server.rs", &["GOODBYE", "LINGER"]),
    ("proxy", "http2/wire.rs", &["INPUT", "LINGER_BYTES", "SPARE_MOST"]),
    ("proxy", "l4/proxy_protocol.rs", &["V1_MOST", "V2_MOST"]),
    ("proxy", "l4/relay.rs", &["SPACE"]),
    ("proxy", "l4/udp/mod.rs", &["LARGEST"]),
    ("proxy", "l4/udp/table.rs", &["SAMPLE"]),
    ("proxy", "port.rs", &["UNSENT_MOST"]),
    ("proxy", "pressure.rs", &["REQUESTS_LEAST"]),
    ("proxy", "tls/trust.rs", &["HINTS_MOST"]),
    ("proxy", "tls/upstream.rs", &["SESSIONS"]),
];

/// Rows for the constants of [`BESIDE_THEIR_CODE`].
fn limits_beside(name: &str) -> String {
    let mut rows = String::new();
    for (_, file, constants) in BESIDE_THEIR_CODE.iter().filter(|(of, _, _)| *of == name) {
        let path = workspace().join("crates").join(name).join("src").join(file);
        let text = fs::read_to_string(&path).expect("a file of the crate");
        for constant in *constants {
            let (value, doc) = constant_of(&text, constant)
                .unwrap_or_else(|| panic!("{file} of {name} has no {constant}"));
            assert!(!doc.is_empty(), "{constant} of {name} is not described");
            rows.push_str(&format!("| `{constant}` of `{file}` | {} | {doc} |\n", shown(&value)));
        }
    }
    rows
}

/// Value and documentation of a constant.
fn constant_of(text: &str, constant: &str) -> Option<(String, String)> {
    let mut doc = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            doc.push(words.trim());
        } else if let Some((_, rest)) = line.split_once(&format!("const {constant}: ")) {
            let (_, value) = rest.split_once(" = ")?;
            return Some((value.trim_end_matches(';').to_owned(), doc.join(" ")));
        } else {
            doc.clear();
        }
    }
    None
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
            line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) "))
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
    let about = match name {
        "analyze" => "Explain and lint",
        "api" => "Objects",
        "controller" => "Controller",
        "http1" => "HTTP/1.1 messages",
        "http2" => "HTTP/2 connections",
        "ir" => "Matching",
        "link" => "The stream from controller to proxy",
        "portcullis" => "The program",
        "proxy" => "Data plane",
        "source" => "Files",
        "translate" => "Translation and statuses",
        other => panic!("{other} needs a heading"),
    };
    let mut section = format!("\n## {about} ({name})\n\n| limit | value | |\n|---|---|---|\n");
    for (limit, value, doc) in rows {
        let value = value.or_else(|| defaults.get(&limit).cloned()).unwrap_or_default();
        assert!(!doc.is_empty(), "{limit} of {name} is not described");
        // The bounds of another crate have a table of their own.
        if !value.ends_with("Limits::default()") {
            let doc = doc.trim().replace(['[', ']'], "");
            section.push_str(&format!("| `{limit}` | {} | {doc} |\n", shown(&value)));
        }
    }
    section.push_str(&limits_beside(name));
    section
}

/// A value of the source as a reader expects it; as it is where no form is known.
fn shown(value: &str) -> String {
    let value = value.trim_start_matches("std::time::");
    let inner = |prefix: &str| {
        let number = value.strip_prefix(prefix)?.strip_suffix(')')?;
        Some(number.to_owned())
    };
    let value = value.replace('_', "");
    if let Some(seconds) = inner("Duration::from_secs(") {
        return format!("{seconds} s");
    }
    if let Some(millis) = inner("Duration::from_millis(") {
        return format!("{millis} ms");
    }
    if let Some(kib) = value.strip_suffix(" * 1024") {
        return format!("{kib} KiB");
    }
    if let Some(mib) = value.strip_suffix(" << 20") {
        return format!("{mib} MiB");
    }
    match value.as_str() {
        "i64::MAX.unsignedabs()" => "2^63 - 1".to_owned(),
        "true" => "yes".to_owned(),
        "false" => "no".to_owned(),
        _ => value.rsplit("::").next().unwrap_or(&value).to_ascii_lowercase(),
    }
}
