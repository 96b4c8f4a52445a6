//! One run: the backend, then row after row; whatever is started ends with its row, also on an error.

use crate::{
    backend,
    load::Seen,
    measure, memory,
    proc::{self, LOAD_CORE, Process, pinned},
    proxy::{Kind, Tools},
    reload,
    report::{self, Result as RowResult},
    rows::{Load, ROWS, Row},
    site::{self, Backends, Certificate, Confined, Shape, Site, Wire},
};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

#[derive(Args)]
pub(crate) struct Options {
    /// Rows to measure, by name; all without it.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Passes over the proxies of a row (and runs of the reload row, at most 3).
    #[arg(long, default_value_t = 8)]
    passes: usize,
    /// Seconds of one slice.
    #[arg(long, default_value_t = 1)]
    seconds: u32,
    /// Proxies to measure (portcullis, relay, nginx, haproxy, envoy); all without it.
    #[arg(long, value_delimiter = ',')]
    proxies: Vec<String>,
    /// Measure the peers alone.
    #[arg(long)]
    without_portcullis: bool,
    /// The binary of ours, in place of target/dist/portcullis.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Go on without a peer that cannot be run, and say so.
    #[arg(long)]
    skip_missing: bool,
    /// Print the result and write no file.
    #[arg(long)]
    no_write: bool,
}

/// What all rows share.
pub(crate) struct Run<'a> {
    pub(crate) passes: usize,
    pub(crate) seconds: u32,
    tools: &'a Tools,
    kinds: &'a [Kind],
    backends: Backends,
    folder: PathBuf,
    certificate: Certificate,
}

/// A running proxy in a row.
pub(crate) struct Contender {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) site: Site,
    pub(crate) process: Process,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let root = std::env::current_dir()?;
    ensure!(root.join("bench/Cargo.toml").exists(), "run this in the workspace root");
    let rows = choose_rows(options)?;
    let _weight = Weight::raise();
    let tools = Tools::find(&root, options.binary.as_deref());
    let versions =
        choose_kinds(&tools, &options.proxies, options.without_portcullis, options.skip_missing)?;
    let kinds: Vec<Kind> = versions.iter().map(|(kind, _)| *kind).collect();
    let folder = root.join("target/bench/run");
    site::fresh_folder(&folder)?;
    let certificate = Certificate::new()?;
    let (backend_process, backends) = start_backend(&root.join("target/bench"), &certificate)?;
    let run = Run {
        passes: options.passes.max(1),
        seconds: options.seconds.max(1),
        tools: &tools,
        kinds: &kinds,
        backends,
        folder,
        certificate,
    };
    let mut results = Vec::new();
    for row in rows {
        println!("\n==> {}: {}", row.name, row.title);
        let started = Instant::now();
        let result = one_row(&run, row).with_context(|| format!("row `{}`", row.name))?;
        println!("{}", report::row(row, &result));
        println!("    ({:.0} s)", started.elapsed().as_secs_f64());
        results.push((row, result));
        // Access logs of some hundred megabytes are of no use to anybody.
        site::fresh_folder(&run.folder)?;
    }
    drop(backend_process);
    let document = report::Document { versions: &versions, run: &run, results: &results };
    if options.no_write { Ok(()) } else { document.write(&root) }
}

/// Starts the backend and waits until it answers.
pub(crate) fn start_backend(
    folder: &Path,
    certificate: &Certificate,
) -> anyhow::Result<(Process, Backends)> {
    let address = || anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
    let backends =
        Backends { http1: address()?, http2: address()?, tls: address()?, udp: address()? };
    // The same as a proxy that is asked: its own address is the one to ask.
    let site = Site {
        folder: folder.join("backend"),
        listen: backends.http1,
        side_ports: (0, 0),
        backends,
        wire: Wire::Http1,
        tls: false,
        access_log: false,
        shape: Shape::One,
        reloads: false,
        with_new_host: false,
        second_listen: None,
        confined: Confined::default(),
        certificate: certificate.clone(),
    };
    site::fresh_folder(&site.folder)?;
    let certificate = site.write("cert.pem", &site.certificate.cert_pem)?;
    let key = site.write("key.pem", &site.certificate.key_pem)?;
    let mut command = pinned(LOAD_CORE, &std::env::current_exe()?);
    command.arg("backend").args(backend::Options::arguments(&backends));
    command.arg("--certificate").arg(certificate).arg("--key").arg(key);
    let mut process = Process::start("the backend", command, &site.file("log"))?;
    answer(&mut process, &site)?;
    Ok((process, backends))
}

/// The scheduler's weight of this session, raised as long as this lives. It keeps other jobs off the cores while a slice runs; their effect on caches stays.
pub(crate) struct Weight(Option<String>);

impl Weight {
    const FILE: &str = "/proc/self/autogroup";

    pub(crate) fn raise() -> Self {
        let before = std::fs::read_to_string(Self::FILE).unwrap_or_default();
        let before = before.split_whitespace().last().unwrap_or("0").to_owned();
        // Only root may raise it.
        let raised = std::fs::write(Self::FILE, "-12").is_ok();
        println!(
            "scheduler weight of this session {}",
            if raised { "raised" } else { "NOT raised" }
        );
        Self(raised.then_some(before))
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // It ends with the session at the latest.
            drop(std::fs::write(Self::FILE, before));
        }
    }
}

fn choose_rows(options: &Options) -> anyhow::Result<Vec<&'static Row>> {
    if options.rows.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let find = |name: &String| {
        ROWS.iter().find(|row| row.name == name).with_context(|| {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            format!("no row `{name}`; rows are {}", names.join(", "))
        })
    };
    options.rows.iter().map(find).collect()
}

/// The proxies to measure, each with its version.
pub(crate) fn choose_kinds(
    tools: &Tools,
    proxies: &[String],
    without_portcullis: bool,
    skip_missing: bool,
) -> anyhow::Result<Vec<(Kind, String)>> {
    for name in proxies {
        ensure!(Kind::ALL.iter().any(|kind| kind.name() == name), "no proxy `{name}`");
    }
    let mut versions = Vec::new();
    for kind in Kind::ALL {
        let named = proxies.is_empty() || proxies.iter().any(|name| name == kind.name());
        if !named || (without_portcullis && kind == Kind::Portcullis) {
            continue;
        }
        match tools.version(kind) {
            Ok(version) => {
                println!("{:<12} {version}", kind.name());
                versions.push((kind, version));
            }
            Err(error) if skip_missing => println!("{:<12} LEFT OUT: {error}", kind.name()),
            Err(error) => {
                bail!("{error}; bench/setup installs the peers (--skip-missing goes on without)")
            }
        }
    }
    ensure!(!versions.is_empty(), "no proxy to measure");
    Ok(versions)
}

fn one_row(run: &Run<'_>, row: &Row) -> anyhow::Result<RowResult> {
    let participants = row.participants(run.kinds);
    match row.load {
        Load::Idle { connections, .. } => {
            // One at a time: what is idle beside it may still be paged or charged.
            let mut all = Vec::new();
            for (label, kind, shape) in participants {
                let mut contender = start(run, row, label, kind, shape)?;
                all.push(memory::measure(&mut contender, connections)?);
            }
            Ok(RowResult::Memory(all))
        }
        Load::Reload => {
            let mut all = Vec::new();
            for _ in 0..run.passes.min(3) {
                for (label, kind, shape) in row.participants(run.kinds) {
                    let mut contender = start(run, row, label, kind, shape)?;
                    let reload = reload::measure(&mut contender)?;
                    println!(
                        "    {:<12} effective after {:?} ms",
                        reload.label, reload.effective_ms
                    );
                    all.push(reload);
                }
            }
            Ok(RowResult::Reload(all))
        }
        Load::Wrk { .. }
        | Load::H2load { .. }
        | Load::Handshake { .. }
        | Load::Rate { .. }
        | Load::Echo { .. } => {
            let start = |(label, kind, shape)| start(run, row, label, kind, shape);
            let mut contenders: Vec<Contender> =
                participants.into_iter().map(start).collect::<anyhow::Result<_>>()?;
            let measured = measure::slices(run, row, &mut contenders)?;
            if row.access_log {
                contenders.iter().try_for_each(has_logged)?;
            }
            Ok(RowResult::Slices(measured))
        }
    }
}

/// A proxy that writes no log would win the row without doing its work.
fn has_logged(contender: &Contender) -> anyhow::Result<()> {
    let log = contender.site.file("access.log");
    // Logs may be written with a delay of up to a second.
    std::thread::sleep(Duration::from_millis(1500));
    let mut start = vec![0; 4096];
    let count = std::fs::File::open(&log).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    let text = String::from_utf8_lossy(start.get(..count).unwrap_or_default()).into_owned();
    let line = text.lines().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("{} wrote no access log", contender.label))?;
    println!("    {:<22} logs {line}", contender.label);
    Ok(())
}

/// Configures and starts one proxy and waits until it answers the row's request.
fn start(
    run: &Run<'_>,
    row: &Row,
    label: String,
    kind: Kind,
    shape: Shape,
) -> anyhow::Result<Contender> {
    let folder = run.folder.join(format!("{}-{}", row.name, label.replace([' ', ','], "-")));
    site::fresh_folder(&folder)?;
    let site = Site {
        folder,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
        side_ports: (free_port()?, free_port()?),
        backends: run.backends,
        wire: row.wire,
        tls: row.tls,
        access_log: row.access_log,
        shape,
        reloads: row.load == Load::Reload,
        with_new_host: false,
        second_listen: None,
        confined: Confined::default(),
        certificate: run.certificate.clone(),
    };
    launch(run.tools, label, kind, site)
}

/// Starts a proxy for a site in a folder of its own and waits until it answers.
pub(crate) fn launch(
    tools: &Tools,
    label: String,
    kind: Kind,
    site: Site,
) -> anyhow::Result<Contender> {
    site.write("trust.pem", &site.certificate.cert_pem)?;
    let started = Instant::now();
    let mut process = kind.start(tools, &site)?;
    answer(&mut process, &site)?;
    println!("    {label:<22} answers after {} ms", started.elapsed().as_millis());
    Ok(Contender { label, kind, site, process })
}

/// Waits until a request of the kind that the site serves is answered well.
fn answer(process: &mut Process, site: &Site) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let seen = ask(site);
        if seen.as_ref().is_ok_and(|seen| seen.requests == 1) {
            return Ok(());
        }
        process.check()?;
        ensure!(Instant::now() < until, "{} does not answer: {seen:?}", site.listen);
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn ask(site: &Site) -> anyhow::Result<Seen> {
    let command = measure::command(site, "idle", 1, 0, &[])?;
    let text = proc::output("the load generator", command, Duration::from_secs(5))?;
    Ok(serde_json::from_str(text.lines().last().unwrap_or_default())?)
}

/// A port below the range that the kernel takes for outgoing connections, free right now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(23_000);
    for _ in 0..2000 {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}
