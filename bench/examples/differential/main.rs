//! Sends the corpora of bad input to Portcullis and its peers, with a strict recorder behind each,
//! and writes what became of every row; `cargo xtask differential` installs, builds and starts it.
//!
//! It fails when a peer refuses an input that Portcullis forwards and `justified.txt` names no rule
//! that says why. Start reading at `probe.rs` (one input to one proxy), `peers.rs` (how each proxy
//! is configured) and `table.rs` (what is written).
#![allow(clippy::print_stdout, reason = "a command-line tool talks on standard output")]

mod peers;
mod probe;
mod table;

use anyhow::{Context as _, bail};
use clap::Parser;
use peers::{Kind, Peer};
use probe::{Protocol, Verdict};
use std::{
    path::{Path, PathBuf},
    thread,
};
use testkit::corpus::{Case, cases};

#[derive(Parser)]
#[command(name = "differential", about = "What each proxy does with the corpora of bad input")]
struct Options {
    /// The binary of Portcullis.
    #[arg(long, default_value = "target/debug/portcullis")]
    binary: PathBuf,
    /// Only rows whose name holds this; nothing is written.
    #[arg(long)]
    only: Option<String>,
}

/// The parts of the table: title, folder and prefix of the files, protocol.
const GROUPS: [(&str, &str, &str, Protocol); 8] = [
    ("Framing of requests", "crates/http1/tests/corpus", "request-framing", Protocol::Http1),
    ("Chunked bodies", "crates/http1/tests/corpus", "request-chunked", Protocol::Http1),
    ("Heads, targets and hosts", "crates/http1/tests/corpus", "request-head", Protocol::Http1),
    ("Paths", "crates/proxy/tests/corpus", "http1-paths", Protocol::Http1),
    ("HTTP/2: fields", "crates/proxy/tests/corpus", "http2-fields", Protocol::Http2),
    ("HTTP/2: pseudo-header fields", "crates/proxy/tests/corpus", "http2-pseudo", Protocol::Http2),
    ("HTTP/2: bodies and trailers", "crates/proxy/tests/corpus", "http2-bodies", Protocol::Http2),
    ("HTTP/2: frames", "crates/proxy/tests/corpus", "http2-frames", Protocol::Http2),
];

/// One part of the table, with the verdicts of all proxies on each case.
struct Group {
    title: &'static str,
    cases: Vec<Case>,
    /// By proxy, in the order of [`Kind::ALL`], then by case.
    verdicts: Vec<Vec<Verdict>>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository")?;
    let scratch = tempfile::tempdir()?;
    let mut running = Vec::new();
    for kind in Kind::ALL {
        let folder = scratch.path().join(kind.name());
        std::fs::create_dir_all(&folder)?;
        running.push(Peer::start(kind, root, &options.binary, &folder)?);
    }
    let mut groups = Vec::new();
    for (title, folder, prefix, protocol) in GROUPS {
        let mut cases = cases(&root.join(folder), prefix);
        if let Some(only) = &options.only {
            cases.retain(|case| case.name.contains(only.as_str()));
        }
        println!("{title}: {} inputs", cases.len());
        let verdicts = thread::scope(|scope| {
            let cases = &cases;
            let threads: Vec<_> = running
                .iter()
                .map(|peer| scope.spawn(move || probe::all(peer, protocol, cases)))
                .collect();
            let joined: Result<Vec<_>, _> = threads.into_iter().map(|one| one.join()).collect();
            joined.map_err(|_| anyhow::anyhow!("a probe ended early"))
        })?;
        groups.push(Group { title, cases, verdicts });
    }
    let justified = table::justified(&root.join("bench/examples/differential/justified.txt"))?;
    let written = table::write(&groups, &running, &justified);
    if options.only.is_some() {
        println!("{}", written.text);
    } else {
        std::fs::write(root.join("docs/hardening-peers.md"), &written.text)?;
    }
    if !written.open.is_empty() {
        bail!("a peer is stricter, and no rule says why: {:#?}", written.open);
    }
    Ok(())
}
