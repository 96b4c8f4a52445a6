//! Backends of HTTP/2 that break off, leave or hold back, frame by frame; and what a client that
//! does not read, or a backend that does not, costs the other side.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, to_http2};
use proxy::{AccessLog, Limits, Reason};
use std::{net::TcpListener, thread, time::Duration};
use testkit::{
    h2::{Client, Frame, RawH2, block, flag, kind},
    ports, raw,
};

const HOST: &str = "a.example";
const WINDOW: usize = 65_535;
/// What may lie between two sides that do not read: the windows of both, a send buffer, and the
/// buffer of the exchange.
const BETWEEN: usize = 2 * WINDOW + 64 * 1024 + 128 * 1024;

fn plane(limits: Limits) -> (Plane, TcpListener) {
    let (plane, _config, backend) = configured(limits);
    (plane, backend)
}

fn configured(limits: Limits) -> (Plane, Config, TcpListener) {
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let backend = ports::listener();
    let mut config = Config::http(plane.number());
    config.service("app", &[backend.local_addr().unwrap()]);
    config.route("all", vec![to_http2("/", "app")]);
    plane.apply(&mut config);
    (plane, config, backend)
}

/// The stream of the next request.
fn next(backend: &mut RawH2) -> u32 {
    backend.find(|frame| frame.kind == kind::HEADERS).unwrap().stream
}

fn head(stream: u32, ends: bool) -> Frame {
    Frame::headers(stream, &[(":status", "200")], ends)
}

fn answer(backend: &mut RawH2, stream: u32) {
    backend.send(&head(stream, false));
    backend.send(&Frame::data(stream, "whole", true));
}

fn goaway(last: u32) -> Frame {
    Frame::new(kind::GOAWAY, 0, 0, [last.to_be_bytes(), [0; 4]].concat())
}

/// Sends a POST on a thread of its own; gives status and body.
fn post(plane: &Plane) -> thread::JoinHandle<(u16, String)> {
    let mut client = plane.client();
    thread::spawn(move || {
        client.send(format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 1\r\n\r\nx"));
        let response: raw::Response = client.response("POST");
        (response.status, response.text())
    })
}

#[test]
fn a_backend_that_leaves_ends_what_it_took_and_new_requests_go_elsewhere() {
    let (plane, listener) = plane(Limits::default());
    let first = post(&plane);
    let mut leaving = RawH2::accept(&listener);
    let taken = next(&mut leaving);
    leaving.send(&goaway(taken));
    // Heard of, once a PING behind it is answered.
    leaving.send(&Frame::new(kind::PING, 0, 0, [1; 8]));
    leaving.find(|frame| frame.kind == kind::PING && frame.flags & flag::ACK != 0).unwrap();
    let second = post(&plane);
    let mut fresh = RawH2::accept(&listener);
    let stream = next(&mut fresh);
    answer(&mut fresh, stream);
    assert_eq!(second.join().unwrap(), (200, "whole".to_owned()));
    answer(&mut leaving, taken);
    assert_eq!(first.join().unwrap(), (200, "whole".to_owned()));
    assert_eq!(leaving.find(|frame| frame.kind == kind::HEADERS), None, "then it is closed");
}

#[test]
fn an_endpoint_that_is_taken_away_ends_what_it_took() {
    let (plane, mut config, listener) = configured(Limits::default());
    let running = post(&plane);
    let mut backend = RawH2::accept(&listener);
    let stream = next(&mut backend);
    config.service("app", &[]);
    plane.apply(&mut config);
    assert_eq!(post(&plane).join().unwrap().0, 503);
    answer(&mut backend, stream);
    assert_eq!(running.join().unwrap(), (200, "whole".to_owned()));
    assert_eq!(backend.find(|frame| frame.kind == kind::HEADERS), None, "then it is closed");
}

#[test]
fn a_request_behind_the_last_one_that_a_backend_takes_is_sent_again() {
    let (plane, listener) = plane(Limits::default());
    let warm = post(&plane);
    let mut leaving = RawH2::accept(&listener);
    let stream = next(&mut leaving);
    answer(&mut leaving, stream);
    assert_eq!(warm.join().unwrap().0, 200);
    let both = [post(&plane), post(&plane)];
    let (taken, _late) = (next(&mut leaving), next(&mut leaving));
    leaving.send(&goaway(taken));
    let mut fresh = RawH2::accept(&listener);
    let stream = next(&mut fresh);
    answer(&mut fresh, stream);
    answer(&mut leaving, taken);
    for one in both {
        assert_eq!(one.join().unwrap(), (200, "whole".to_owned()));
    }
}

#[test]
fn a_client_that_does_not_read_makes_the_backend_wait() {
    let limits = Limits { write_idle: Duration::from_millis(300), ..Limits::default() };
    let (plane, listener) = plane(limits);
    let backend = thread::spawn(move || {
        let mut backend = RawH2::accept(&listener);
        let stream = next(&mut backend);
        backend.send(&head(stream, false));
        let mut sent = 0;
        let mut window = WINDOW;
        loop {
            while window > 0 {
                let piece = window.min(16_384);
                backend.send(&Frame::data(stream, vec![b'x'; piece], false));
                window -= piece;
                sent += piece;
            }
            let frame = backend.find(|frame| frame.stream == stream);
            match frame {
                Some(frame) if frame.kind == kind::WINDOW_UPDATE => window += increment(&frame),
                Some(frame) if frame.kind == kind::DATA => {}
                end => return (sent, end.map(|frame| frame.kind)),
            }
            assert!(sent < 50 << 20, "nothing holds the backend back");
        }
    });
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let (response, _stream) =
            client.open(client.request("GET", HOST, "/"), true).await.unwrap();
        let mut body = response.await.unwrap().into_body();
        let end = loop {
            // Nothing is given back.
            if let Err(error) = body.data().await.unwrap() {
                break error;
            }
        };
        assert!(end.is_reset(), "{end:?}");
    });
    let (sent, end) = backend.join().unwrap();
    assert_eq!(end, Some(kind::RST_STREAM), "the backend is told");
    assert!((WINDOW..=WINDOW + BETWEEN).contains(&sent), "{sent}");
    assert_eq!(plane.reason(Reason::WriteTimeout), 1);
}

fn increment(frame: &Frame) -> usize {
    u32::from_be_bytes(frame.payload[..4].try_into().unwrap()).try_into().unwrap()
}

#[test]
fn a_backend_that_does_not_read_makes_the_client_wait() {
    let limits = Limits { response_idle: Duration::from_millis(300), ..Limits::default() };
    let (plane, listener) = plane(limits);
    let backend = thread::spawn(move || {
        let mut backend = RawH2::accept(&listener);
        let stream = next(&mut backend);
        let mut received = 0;
        // Never opens a window.
        while let Some(frame) = backend.find(|frame| frame.stream == stream) {
            match frame.kind {
                kind::DATA => received += frame.payload.len(),
                _ => break,
            }
        }
        received
    });
    let mut client = RawH2::connect(plane.address());
    let fields = [(":method", "POST"), (":scheme", "http"), (":authority", HOST), (":path", "/")];
    client.send(&Frame::new(kind::HEADERS, flag::END_HEADERS, 1, block(&fields)));
    let mut sent = 0;
    let mut windows = [WINDOW; 2];
    let end = loop {
        while windows[0] > 0 && windows[1] > 0 {
            let piece = windows[0].min(windows[1]).min(16_384);
            client.send(&Frame::data(1, vec![b'x'; piece], false));
            windows = windows.map(|window| window - piece);
            sent += piece;
        }
        let frame = client.read().unwrap();
        match (frame.kind, frame.stream) {
            (kind::WINDOW_UPDATE, 0) => windows[0] += increment(&frame),
            (kind::WINDOW_UPDATE, _) => windows[1] += increment(&frame),
            (kind::HEADERS | kind::RST_STREAM, 1) => break frame,
            _ => {}
        }
        assert!(sent < 50 << 20, "nothing holds the client back");
    };
    assert_eq!(end.kind, kind::HEADERS, "{end:?}");
    assert_eq!(plane.reason(Reason::BackendTimeout), 1);
    assert!(sent <= WINDOW + BETWEEN, "{sent}");
    assert_eq!(backend.join().unwrap(), WINDOW);
}
