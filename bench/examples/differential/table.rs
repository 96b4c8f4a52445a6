//! The committed table: one line for each family of inputs, one column for each proxy, and who is
//! stricter than Portcullis.

use crate::{
    Group,
    peers::{Kind, Peer},
    probe::{Class, Verdict},
};
use anyhow::Context as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

/// The document, and what keeps the run from passing.
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) open: BTreeSet<String>,
}

/// Reads `ROW | REASON` lines; a row without a reason is an error.
pub(crate) fn justified(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (row, reason) = line.split_once(" | ").context("a line without a reason")?;
            Ok((row.to_owned(), reason.to_owned()))
        })
        .collect()
}

/// The sentence of a family, without the number of the alternative.
fn family(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(family, _)| family)
}

/// One cell: each outcome with how often it came.
fn cell(verdicts: &[&Verdict]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for verdict in verdicts {
        let answer = &verdict.answer;
        let what = match verdict.class {
            Class::Rejected => answer.clone(),
            Class::Forwarded => format!("**forwarded**{}", times(verdict.requests)),
            Class::Normalised => format!("normalised{}", times(verdict.requests)),
            Class::Broken => "**forwarded, malformed**".to_owned(),
        };
        *counts.entry(what).or_default() += 1;
    }
    let mut terms: Vec<_> = counts.into_iter().collect();
    terms.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let text = |(what, count): (String, usize)| match count {
        1 if verdicts.len() == 1 => what,
        _ => format!("{what} ×{count}"),
    };
    terms.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

fn times(requests: usize) -> String {
    if requests == 1 { String::new() } else { format!(" ({requests} requests)") }
}

pub(crate) fn write(
    groups: &[Group],
    peers: &[Peer],
    justified: &BTreeMap<String, String>,
) -> Written {
    let mut written = Written { text: String::new(), open: BTreeSet::new() };
    let mut totals: Vec<BTreeMap<Class, usize>> = vec![BTreeMap::new(); peers.len()];
    let mut body = String::new();
    let mut stricter = String::new();
    for group in groups {
        let names: Vec<&str> = peers.iter().map(|peer| peer.kind.name()).collect();
        line(&mut body, format_args!("\n## {}\n", group.title));
        line(&mut body, format_args!("| input | {} |", names.join(" | ")));
        line(&mut body, format_args!("|---|{}", "---|".repeat(names.len())));
        rows(group, &mut body);
        for (total, verdicts) in totals.iter_mut().zip(&group.verdicts) {
            for verdict in verdicts {
                *total.entry(verdict.class).or_default() += 1;
            }
        }
        compare(group, justified, &mut stricter, &mut written.open);
    }
    written.text = head(peers, &totals) + &body;
    written.text.push_str("\n## Where a peer is stricter\n\n");
    written.text.push_str(
        "A peer refuses an input that Portcullis forwards; each such row has its reason.\n\n\
         | input | who | why Portcullis forwards it |\n|---|---|---|\n",
    );
    written.text.push_str(&stricter);
    written
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = writeln!(text, "{what}");
}

fn head(peers: &[Peer], totals: &[BTreeMap<Class, usize>]) -> String {
    let mut text = String::from(
        "# Bad inputs, beside nginx, HAProxy and Envoy\n\n\
         `cargo xtask differential` installs the peers, sends every input of the corpora to each proxy with a strict recorder behind it, and writes this file.\n\
         The peers run with the settings that their own guides give for the edge (`bench/examples/differential/peers.rs`).\n\n\
         A number is the status of an answer, `rst` and `goaway` carry the code of HTTP/2, `close` is an end without an answer, `waits` a connection that stays open for more; in all of these nothing whole reached the backend.\n\
         `forwarded` means that the request reached the backend as it was written, `normalised` that it reached it in another form, `forwarded, malformed` that a strict reader refuses what reached it.\n\
         Valid inputs stand beside bad ones: forwarding those is right.\n\
         On a busy machine an answer may come too late for its row, which then says `waits`.\n\n\
         | proxy | version | rejected | normalised | forwarded | forwarded, malformed |\n|---|---|---|---|---|---|\n",
    );
    for (peer, total) in peers.iter().zip(totals) {
        let count = |class: Class| total.get(&class).copied().unwrap_or_default();
        let version = if peer.kind == Kind::Portcullis { "this revision" } else { &peer.version };
        line(
            &mut text,
            format_args!(
                "| {} | {version} | {} | {} | {} | {} |",
                peer.kind.name(),
                count(Class::Rejected),
                count(Class::Normalised),
                count(Class::Forwarded),
                count(Class::Broken),
            ),
        );
    }
    text
}

fn rows(group: &Group, body: &mut String) {
    let mut at = 0_usize;
    let cases = &group.cases;
    for same in cases.chunk_by(|one, other| family(&one.name) == family(&other.name)) {
        let Some(first) = same.first() else { continue };
        let cells: Vec<String> = group
            .verdicts
            .iter()
            .map(|verdicts| {
                let these = verdicts.get(at..at.saturating_add(same.len())).unwrap_or_default();
                cell(&these.iter().collect::<Vec<_>>())
            })
            .collect();
        at = at.saturating_add(same.len());
        let count = if same.len() == 1 { String::new() } else { format!(" ({})", same.len()) };
        let name = family(&first.name).replace('|', "\\|");
        line(body, format_args!("| {name}{count} | {} |", cells.join(" | ")));
    }
}

/// The inputs that a peer rejects and we do not, by family.
fn compare(
    group: &Group,
    justified: &BTreeMap<String, String>,
    stricter: &mut String,
    open: &mut BTreeSet<String>,
) {
    let Some((ours, others)) = group.verdicts.split_first() else { return };
    let mut who: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (at, (case, verdict)) in group.cases.iter().zip(ours).enumerate() {
        if verdict.class == Class::Rejected {
            continue;
        }
        for (peer, verdicts) in Kind::ALL.iter().skip(1).zip(others) {
            let rejected = verdicts.get(at).is_some_and(|other| other.class == Class::Rejected);
            if rejected || verdict.class == Class::Broken {
                let peers = who.entry(family(&case.name)).or_default();
                *peers.entry(peer.name()).or_default() += 1;
            }
        }
    }
    for (row, peers) in who {
        let reason = justified.get(row);
        if reason.is_none() {
            open.insert(row.to_owned());
        }
        let peers: Vec<String> =
            peers.iter().map(|(peer, count)| format!("{peer} ({count})")).collect();
        let reason = reason.map_or("**open**", String::as_str);
        line(stricter, format_args!("| {row} | {} | {reason} |", peers.join(", ")));
    }
}
