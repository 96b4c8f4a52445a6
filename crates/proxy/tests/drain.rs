//! The graceful end.

mod common;

use common::plain;
use std::{sync::Arc, thread, time::Duration};
use testkit::{gate::Gate, recorder::Reply};

#[test]
fn idle_connections_close_and_requests_in_flight_finish() {
    let (plane, recorder) = plain();
    let mut idle = plane.client();
    assert_eq!(idle.get("a", "/").status, 200);
    let gate = Gate::new();
    recorder.script(Reply::new().wait(&gate).then_echo());
    let mut busy = plane.client();
    busy.send("GET /busy HTTP/1.1\r\nhost: a\r\n\r\n");
    recorder.wait_for_heads(2);
    let handle = Arc::clone(&plane.handle);
    let draining = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(handle.drain(Duration::ZERO, Duration::from_secs(10)))
    });
    assert!(idle.is_closed_by_peer());
    gate.open();
    let response = busy.response("GET");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    drop(busy);
    assert_eq!(draining.join().unwrap(), 0, "nothing was cut");
    assert!(std::net::TcpStream::connect(plane.address()).is_err());
}

#[test]
fn while_draining_connections_are_accepted_and_told_to_close() {
    let (plane, _recorder) = plain();
    let handle = Arc::clone(&plane.handle);
    let mut open = plane.client();
    assert_eq!(open.get("a", "/").field("connection"), None);
    let draining = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(handle.drain(Duration::from_millis(400), Duration::from_secs(10)))
    });
    testkit::eventually("draining", || {
        (plane.get("a", "/").field("connection") == Some("close")).then_some(())
    });
    assert_eq!(open.get("a", "/").field("connection"), Some("close"));
    assert_eq!(draining.join().unwrap(), 0);
}

#[test]
fn the_deadline_cuts_what_does_not_finish() {
    let (plane, recorder) = plain();
    recorder.script(Reply::new());
    let mut stuck = plane.client();
    stuck.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    recorder.wait_for_heads(1);
    assert_eq!(plane.drain(Duration::ZERO, Duration::from_millis(50)), 1);
    assert!(stuck.is_closed_by_peer());
}
