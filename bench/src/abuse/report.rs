//! The table for people and the raw figures for programs.

use super::{
    attacks::{AMPLIFICATION, MIB_PER_CONNECTION, VICTIM_CONNECTIONS, VICTIM_RATE},
    strike::{Fact, Outcome},
};
use crate::{
    proxy::Kind,
    report::{Identity, cpu},
};
use serde_json::json;
use std::{fmt::Write as _, path::Path};

const HEAD: &str = "| attack | proxy | victim: lost of asked | shed (503) | p50 µs | p99 µs (calm) | RSS before → peak MiB | requests upstream per connection | connections (ended by the proxy) | MB sent | missed |\n|---|---|---|---|---|---|---|---|---|---|---|\n";

fn met(fact: &Fact) -> bool {
    fact.reached <= fact.at_most
}

/// One outcome on one line, as it comes.
pub(super) fn line(outcome: &Outcome) -> String {
    let facts: Vec<String> = outcome
        .facts
        .iter()
        .map(|fact| {
            let mark = if met(fact) { "" } else { " MISSED" };
            format!("{} {:.2} (≤ {}){mark}", fact.what, fact.reached, fact.at_most)
        })
        .collect();
    format!("    {:<18} {:<11} {}", outcome.attack, outcome.label, facts.join("; "))
}

pub(super) fn text(outcomes: &[Outcome]) -> String {
    let mut text = String::from(HEAD);
    for outcome in outcomes {
        text.push_str(&row(outcome));
    }
    text.push_str("\n## Ours against what we want\n\n");
    let ours: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.label == Kind::Portcullis.name()).collect();
    for outcome in &ours {
        let facts: Vec<String> = outcome.facts.iter().map(one).collect();
        text.push_str(&format!(
            "- `{}` ({}): {}\n",
            outcome.attack,
            outcome.title,
            facts.join("; ")
        ));
    }
    let worst = |get: fn(&Outcome) -> f64| {
        ours.iter().copied().max_by(|a, b| get(a).total_cmp(&get(b))).map(|o| (o.attack, get(o)))
    };
    if let Some((attack, reached)) = worst(Outcome::amplification) {
        let what = format!("bytes of memory for each byte of an attack, at worst (`{attack}`)");
        text.push_str(&format!("- {}\n", one(&Fact { what, reached, at_most: AMPLIFICATION })));
    }
    if let Some((attack, reached)) = worst(|o| o.grown_mib() / f64::from(o.connections.max(1))) {
        let what = format!("MiB for each attacking connection, at worst (`{attack}`)");
        text.push_str(&format!(
            "- {}\n",
            one(&Fact { what, reached, at_most: MIB_PER_CONNECTION })
        ));
    }
    text
}

fn one(fact: &Fact) -> String {
    let mark = if met(fact) { "" } else { " **missed**" };
    format!("{} {:.2} (≤ {}){mark}", fact.what, fact.reached, fact.at_most)
}

fn row(outcome: &Outcome) -> String {
    let victim = &outcome.victim;
    let asked = victim.requests + victim.shed + victim.failed;
    let mib = |kib: u64| kib as f64 / 1024.0;
    let missed: Vec<&str> =
        outcome.facts.iter().filter(|fact| !met(fact)).map(|fact| fact.what.as_str()).collect();
    format!(
        "| {} | {} | {} of {asked} | {} | {:.0} | {:.0} ({:.0}) | {:.1} → {:.1} | {:.1} | {} ({}) | {:.1} | {} |\n",
        outcome.attack,
        outcome.label,
        victim.failed,
        victim.shed,
        victim.p50_us,
        victim.p99_us,
        outcome.calm_p99_us,
        mib(outcome.rss_before_kib),
        mib(outcome.rss_peak_kib),
        outcome.upstream as f64 / outcome.struck.connections.max(1) as f64,
        outcome.struck.connections,
        outcome.struck.ended,
        outcome.struck.bytes as f64 / 1e6,
        if missed.is_empty() { "–".to_owned() } else { missed.join(", ") }
    )
}

/// Writes `bench/results/abuse-DATE-REVISION.md` and `.json`.
pub(super) fn write(
    root: &Path,
    versions: &[(Kind, String)],
    outcomes: &[Outcome],
    text: &str,
) -> anyhow::Result<()> {
    let Identity { date, revision, changed, kernel } = Identity::of(root)?;
    let name = format!("abuse-{date}-{revision}{}", if changed { "-changed" } else { "" });
    let folder = root.join("bench/results");
    std::fs::create_dir_all(&folder)?;
    let mut whole = format!("# Attacks of {date}, revision {revision}");
    whole.push_str(if changed { " with uncommitted changes\n\n" } else { "\n\n" });
    writeln!(
        whole,
        "{}, {kernel}, loopback. Each proxy has one worker on core 0; attacker (nice 19), victim and backend share core 1.\n\
         The victim makes {VICTIM_RATE} HTTP/1.1 requests a second on {VICTIM_CONNECTIONS} kept connections; latency counts from when a request was due.\n\
         An attacker that is thrown out comes back at once. Peers have the settings of the benchmark, which are their own but for what the comparison needs, and are attacked where the attack needs no settings of its own.\n",
        cpu()
    )?;
    for (kind, version) in versions {
        writeln!(whole, "- {}: {version}", kind.name())?;
    }
    writeln!(whole, "\n{text}")?;
    std::fs::write(folder.join(format!("{name}.md")), whole)?;
    let raw = json!({
        "date": date, "revision": revision, "changed": changed, "kernel": kernel, "machine": cpu(),
        "versions": versions.iter().map(|(kind, version)| (kind.name(), version)).collect::<Vec<_>>(),
        "outcomes": outcomes,
    });
    std::fs::write(folder.join(format!("{name}.json")), format!("{raw}\n"))?;
    println!("written: bench/results/{name}.md and .json");
    Ok(())
}
