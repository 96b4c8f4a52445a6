//! Child processes: started, watched line by line, ended by their own id.

use crate::{DEADLINE, eventually};
use parking_lot::{Condvar, Mutex};
use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// A running process; dropped, it is killed and waited for.
pub struct Process {
    child: Child,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    stdout: Vec<String>,
    stderr: Vec<String>,
    open: usize,
}

impl Process {
    /// Starts `command` with its output captured and, unless it was set, an empty standard input.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Arc::new(Output::default());
        output.lines.lock().open = 2;
        let stdout = child.stdout.take().expect("captured standard output");
        let stderr = child.stderr.take().expect("captured standard error");
        follow(stdout, &output, |lines| &mut lines.stdout);
        follow(stderr, &output, |lines| &mut lines.stderr);
        Self { child, output }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines of standard output so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<String> {
        self.output.lines.lock().stdout.clone()
    }

    /// The lines of standard error so far.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        self.output.lines.lock().stderr.clone()
    }

    /// Waits for a line, on either output, that holds `text`, and returns it.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut lines = self.output.lines.lock();
        loop {
            let mut all = lines.stdout.iter().chain(&lines.stderr);
            if let Some(line) = all.find(|line| line.contains(text)) {
                return line.clone();
            }
            let ended = lines.open == 0;
            let timed_out = self.output.changed.wait_until(&mut lines, until).timed_out();
            if ended || timed_out {
                panic!(
                    "no line with {text:?}; standard output:\n{}\nstandard error:\n{}",
                    lines.stdout.join("\n"),
                    lines.stderr.join("\n")
                );
            }
        }
    }

    /// Polls `GET /readyz` at `address` until it answers 200; fails at once when the process ends.
    #[track_caller]
    pub fn wait_ready(&mut self, address: SocketAddr) {
        eventually(&format!("200 from http://{address}/readyz"), || {
            if let Some(status) = self.try_exit() {
                panic!("the process ended with {status}:\n{}", self.stderr().join("\n"));
            }
            (get_status(address, "/readyz") == Some(200)).then_some(())
        });
    }

    /// Sends a signal by name (`TERM`, `HUP`, `INT`).
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .expect("the kill command");
        assert!(status.success(), "kill -{name} failed");
    }

    /// Waits for the end, and until everything that was printed is read; `None` when `limit`
    /// passed first.
    pub fn wait_exit(&mut self, limit: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_exit() {
                let mut lines = self.output.lines.lock();
                while lines.open > 0 {
                    if self.output.changed.wait_until(&mut lines, until).timed_out() {
                        return None;
                    }
                }
                return Some(status);
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a process to wait for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the process is gone, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let lines = self.output.lines.lock();
            let mut stderr = std::io::stderr().lock();
            for line in lines.stdout.iter().chain(&lines.stderr) {
                drop(writeln!(stderr, "[process] {line}"));
            }
        }
    }
}

fn follow(
    source: impl Read + Send + 'static,
    output: &Arc<Output>,
    which: impl Fn(&mut Lines) -> &mut Vec<String> + Send + 'static,
) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).into_owned();
            which(&mut output.lines.lock()).push(line);
            output.changed.notify_all();
        }
        output.lines.lock().open -= 1;
        output.changed.notify_all();
    });
}

/// The status code of a GET, or `None` when nothing answered.
#[must_use]
pub fn get_status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.split(' ').nth(1)?.parse().ok()
}
