//! `portcullis drain` against a running process.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Output},
};

use support::{BASE, Server, binary, route, serve};
use testkit::{
    DEADLINE, eventually,
    folder::Folder,
    gate::Gate,
    process::{Process, get_status},
    raw::{Client, get},
    recorder::{Recorder, Reply},
};

fn drain(admin: SocketAddr, more: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["drain", "--admin-address", &admin.to_string()]).args(more);
    command
}

fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A server whose drain goes on accepting for an hour.
fn patient(folder: &Folder) -> Server {
    let path = folder.path().to_str().expect("a path");
    Server::draining(&support::own_address(), &[path], "1h")
}

#[test]
fn a_drained_process_is_not_ready_and_still_accepts() {
    let backend = Recorder::named("one");
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let mut server = patient(&folder);
    let mut before = Client::connect(server.listener(8080));
    assert_eq!(before.get("a.example", "/").field("connection"), None);
    assert_eq!(run(drain(server.admin, &[])), (Some(0), "draining\n".into(), String::new()));
    assert_eq!(get_status(server.health, "/readyz"), Some(503));
    assert_eq!(get_status(server.health, "/livez"), Some(200));
    // SIGTERM finds it draining already, and so does a second request.
    server.process.signal("TERM");
    assert_eq!(run(drain(server.admin, &[])).0, Some(0));
    eventually("connections to be closed after their response", || {
        let response = get(server.listener(8080), "a.example", "/");
        assert_eq!(response.status, 200);
        (response.field("connection") == Some("close")).then_some(())
    });
    let again = server.process.stderr();
    assert_eq!(again.iter().filter(|line| line.contains("draining")).count(), 1, "{again:?}");
    server.process.signal("INT");
    let status = server.process.wait_exit(DEADLINE).expect("an end");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn who_waits_is_told_once_nothing_new_is_accepted_and_what_is_open_is_finished() {
    let gate = Gate::new();
    let backend = Recorder::named("slow");
    backend.always(Reply::echo().held_by(&gate));
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let mut server = serve(&folder);
    let mut client = Client::connect(server.listener(8080));
    client.send("GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n");
    backend.wait_for_heads(1);
    let (code, said, _) = run(drain(server.admin, &["--wait"]));
    assert_eq!((code, said.as_str()), (Some(0), "draining\nnothing new is accepted\n"));
    eventually("the listener to close", || {
        TcpStream::connect(server.listener(8080)).is_err().then_some(())
    });
    server.process.signal("TERM");
    gate.open();
    let response = client.response("GET");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    let status = server.process.wait_exit(DEADLINE).expect("an end");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_process_with_nothing_open_ends_after_who_waits_for_it() {
    let folder = Folder::with(&[("base.yaml", BASE)]);
    let mut server = serve(&folder);
    let (code, said, _) = run(drain(server.admin, &["--wait"]));
    assert_eq!((code, said.as_str()), (Some(0), "draining\nnothing new is accepted\n"));
    let status = server.process.wait_exit(DEADLINE).expect("an end");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn who_waits_for_a_process_that_is_killed_is_told_of_its_end() {
    let folder = Folder::with(&[("base.yaml", BASE)]);
    let server = patient(&folder);
    let mut waiting = Process::start(&mut drain(server.admin, &["--wait"]));
    waiting.wait_for_line("draining");
    server.process.signal("KILL");
    let status = waiting.wait_exit(DEADLINE).expect("an end");
    assert_eq!(status.code(), Some(0));
    waiting.wait_for_line("ended");
}

#[test]
fn where_no_portcullis_listens_the_address_is_named() {
    let port = testkit::ports::Port::free();
    let nobody = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let (code, _, said) = run(drain(nobody, &[]));
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("no portcullis can be asked at {nobody}")), "{said}");
    assert!(said.contains("--admin-address"), "{said}");

    let backend = Recorder::named("other");
    let (code, _, said) = run(drain(backend.addr(), &["--wait"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("is no admin address of portcullis"), "{said}");

    let (code, _, said) = run(drain(SocketAddr::from(([192, 0, 2, 1], 9181)), &[]));
    assert_eq!(code, Some(2));
    assert!(said.contains("must be a loopback address"), "{said}");
}

#[test]
fn a_port_that_speaks_something_else_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let greeting = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        std::io::Write::write_all(&mut stream, b"220 mail.example\r\n").expect("a client");
        // Until the client goes.
        let _all = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let (code, _, said) = run(drain(address, &[]));
    assert_eq!(code, Some(1));
    assert!(said.contains("is no admin address of portcullis"), "{said}");
    greeting.join().expect("the greeting");
}
