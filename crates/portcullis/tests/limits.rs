//! A process that the kernel bounds: open files, and memory by a control group.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use support::{BASE, OFFSET, binary, own_address, route};
use testkit::{
    eventually,
    folder::Folder,
    ports::Port,
    process::{Process, get_status},
    raw::{Client, get},
    recorder::{Recorder, Reply},
};

/// A server that a shell starts after `before`, on one worker.
struct Bounded {
    process: Process,
    web: SocketAddr,
    health: SocketAddr,
    _ports: (Port, Port),
    _folder: Folder,
}

impl Bounded {
    fn start(before: &str, arguments: &str, backend: &Recorder) -> Self {
        let folder = Folder::with(&[("web.yaml", BASE), ("all.yaml", &route("all", "/", backend))]);
        let (address, ports) = (own_address(), (Port::free(), Port::free()));
        let health = SocketAddr::from(([127, 0, 0, 1], ports.0.number()));
        let serve = format!(
            "{before} exec '{}' serve '{}' --workers 1 --drain-min 0s --access-log off \
             --address {address} --port-offset {OFFSET} --metrics-address {health} \
             --admin-address 127.0.0.1:{} {arguments}",
            binary(),
            folder.path().display(),
            ports.1.number(),
        );
        let mut process = Process::start(Command::new("bash").args(["-c", &serve]));
        process.wait_ready(health);
        let web = SocketAddr::new(address.parse().expect("an address"), 8080 + OFFSET);
        Self { process, web, health, _ports: ports, _folder: folder }
    }

    fn metric(&self, name: &str) -> u64 {
        let text = get(self.health, "localhost", "/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect(name).trim().parse().expect("a number")
    }
}

#[test]
fn without_open_files_new_connections_wait_and_those_that_are_open_are_served() {
    let backend = Recorder::start();
    // As many connections as it has files: the cap would not let them come to that by itself.
    let server = Bounded::start("ulimit -n 64;", "--max-connections 1000", &backend);
    let mut kept = Client::connect(server.web);
    assert_eq!(kept.get("a", "/").status, 200);
    let mut crowd: Vec<TcpStream> = Vec::new();
    let full = || {
        // The kernel completes them; the server takes those for which it has a file.
        crowd.extend((0..20).filter_map(|_| TcpStream::connect(server.web).ok()));
        let open = fs::read_dir(format!("/proc/{}/fd", server.process.pid())).ok()?.count();
        (open >= 64).then_some(())
    };
    eventually("a process without free files", full);
    for _ in 0..5 {
        assert_eq!(
            kept.get("a", "/").status,
            200,
            "over the connection to the backend that it has"
        );
    }
    let mut waiting = TcpStream::connect(server.web).expect("a place in the kernel's queue");
    waiting.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("the kernel takes it");
    drop(crowd);
    let served = || (get_status(server.web, "/") == Some(200)).then_some(());
    eventually("files again", served);
    let counted = || (server.metric("portcullis_accept_errors_total") > 0).then_some(());
    eventually("failed accepts in the metrics", counted);
    assert_eq!(kept.get("a", "/").status, 200);
}

/// A control group of a test's own, gone with it; `None` where none can be made.
#[cfg(feature = "jemalloc")]
struct Group(PathBuf);

#[cfg(feature = "jemalloc")]
impl Group {
    fn new(bytes: usize) -> Option<Self> {
        let first = Path::new("/sys/fs/cgroup/memory");
        let (root, limit) = if first.join("memory.limit_in_bytes").exists() {
            (first, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let group = Self(root.join(format!("portcullis-test-{}", std::process::id())));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }
}

#[cfg(feature = "jemalloc")]
impl Drop for Group {
    fn drop(&mut self) {
        // The process in it may still be ending.
        let gone = || fs::remove_dir(&self.0).is_ok().then_some(());
        eventually("an empty control group", gone);
    }
}

/// With the allocator that ships: others keep what they freed.
#[cfg(feature = "jemalloc")]
#[test]
fn in_a_small_control_group_answers_that_nobody_takes_are_refused_and_nobody_is_killed() {
    use testkit::h2::{Frame, RawH2, kind};
    // Where tests may make no control group, nothing can be shown.
    let Some(group) = Group::new(128 << 20) else { return };
    let backend = Recorder::start();
    backend.on_path("/large", Reply::status(200, &[], vec![b'x'; 100_000]));
    let join = format!("echo $$ > '{}/cgroup.procs' && ", group.0.display());
    let mut server = Bounded::start(&join, "", &backend);
    assert!(server.metric("portcullis_memory_watched_bytes") > 0, "the group is the budget");
    let path = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/large")];
    let mut crowd = Vec::new();
    for _ in 0..150 {
        let mut client = RawH2::connect(server.web);
        // SETTINGS_INITIAL_WINDOW_SIZE of 0.
        client.send(&Frame::new(kind::SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
        for stream in 0..100 {
            if !client.send(&Frame::headers(2 * stream + 1, &path, true)) {
                break;
            }
        }
        crowd.push(client);
    }
    let shed = || (server.metric("portcullis_requests_shed_total") > 0).then_some(());
    eventually("refused requests", shed);
    drop(crowd);
    let served = || (get_status(server.web, "/") == Some(200)).then_some(());
    eventually("a server that has memory again", served);
    server.process.signal("TERM");
    let ended = server.process.wait_exit(testkit::DEADLINE);
    assert!(ended.is_some_and(|status| status.success()), "it was there to the end: {ended:?}");
}
