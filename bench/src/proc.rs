//! Processes: started on one core, accounted by the kernel with all their descendants, ended by their ids.

use crate::site::Confined;
use anyhow::{Context as _, bail};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The core of the proxy under test, and the core of the backend and the load generators.
pub(crate) const PROXY_CORE: &str = "0";
pub(crate) const LOAD_CORE: &str = "1";

/// A command that runs `program` on one core and gets SIGTERM when this process dies.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--", "taskset", "-c", core]).arg(program);
    command.stdin(Stdio::null());
    command
}

/// As [`pinned`], with the bounds of `confined` around it.
pub(crate) fn pinned_within(core: &str, confined: &Confined, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--", "taskset", "-c", core]).stdin(Stdio::null());
    if let Some(files) = confined.files {
        command.args(["prlimit", &format!("--nofile={files}:{files}"), "--"]);
    }
    if let Some(group) = &confined.memory {
        let join = "echo $$ > \"$0\"; exec \"$@\"";
        command.args(["sh", "-c", join]).arg(group.join("cgroup.procs"));
    }
    command.arg(program);
    command
}

/// A running process and its descendants; all end when it is dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, its output going to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let output =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned() })
    }

    /// As [`Process::start`], with standard output and standard error in files of their own.
    pub(crate) fn start_split(
        name: &str,
        mut command: Command,
        out: &Path,
        log: &Path,
    ) -> anyhow::Result<Self> {
        command.stdout(File::create(out)?).stderr(File::create(log)?);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned() })
    }

    /// Fails, with the end of its log, when the process is no longer running.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n");
        bail!("{} ended with {status}:\n{last}", self.name)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name to the process itself.
    pub(crate) fn signal(&self, signal: &str) -> anyhow::Result<()> {
        kill(signal, &[self.pid()]);
        Ok(())
    }

    /// Nanoseconds on a CPU so far, over all threads of the process and its descendants.
    pub(crate) fn cpu_ns(&self) -> u64 {
        tree(self.pid()).into_iter().map(cpu_ns).sum()
    }

    /// The process and its descendants as they are now.
    pub(crate) fn pids(&self) -> Vec<u32> {
        tree(self.pid())
    }

    /// User and system time so far in clock ticks (a hundredth of a second each).
    pub(crate) fn ticks(&self) -> (u64, u64) {
        tree(self.pid()).into_iter().map(ticks).fold((0, 0), |(u, s), (u2, s2)| (u + u2, s + s2))
    }

    /// Resident and proportional set size in KiB, summed over the process and its descendants.
    pub(crate) fn memory_kib(&self) -> (u64, u64) {
        let pids = tree(self.pid());
        (rss_kib(&pids), pids.iter().map(|pid| memory_of(*pid, "smaps_rollup", "Pss:")).sum())
    }
}

/// Resident set size in KiB, summed over processes.
pub(crate) fn rss_kib(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| memory_of(*pid, "status", "VmRSS:")).sum()
}

/// Open files, summed over processes.
pub(crate) fn files(pids: &[u32]) -> usize {
    let of = |pid: &u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    pids.iter().map(of).sum()
}

fn memory_of(pid: u32, file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Drop for Process {
    fn drop(&mut self) {
        let pids = tree(self.pid());
        kill("TERM", &pids);
        let until = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Those that are gone by now are skipped; their ids cannot be reused within this time.
        let left: Vec<u32> = pids.into_iter().filter(|pid| is_running(*pid)).collect();
        if !left.is_empty() {
            kill("KILL", &left);
        }
        // An error here means that the process is gone.
        drop(self.child.wait());
    }
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

fn kill(signal: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    let mut command = Command::new("kill");
    command.arg(format!("-{signal}")).args(pids).stdout(Stdio::null()).stderr(Stdio::null());
    // It fails only for processes that have ended, which is what is wanted.
    drop(command.status());
}

/// A process and all its descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let parent = stat(pid).and_then(|fields| fields.get(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut pids = vec![root];
    let mut next = 0;
    while let Some(pid) = pids.get(next).copied() {
        pids.extend(children.get(&pid).into_iter().flatten());
        next += 1;
    }
    pids
}

/// The fields of `/proc/PID/stat` from the state on (field 3 of proc(5) is number 0 here).
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(pid: u32) -> (u64, u64) {
    let Some(fields) = stat(pid) else { return (0, 0) };
    let number = |index: usize| fields.get(index).and_then(|field| field.parse().ok()).unwrap_or(0);
    (number(11), number(12))
}

fn cpu_ns(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    threads.filter_map(of).sum()
}

/// Runs a command that ends by itself, at most for `limit`, and returns its standard output.
pub(crate) fn output(name: &str, mut command: Command, limit: Duration) -> anyhow::Result<String> {
    use std::io::Read as _;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            let (mut out, mut err) = (String::new(), String::new());
            child.stdout.take().context("no output")?.read_to_string(&mut out)?;
            child.stderr.take().context("no output")?.read_to_string(&mut err)?;
            if !status.success() {
                bail!("{name} ended with {status}: {out}{err}");
            }
            return Ok(out);
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            bail!("{name} did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
