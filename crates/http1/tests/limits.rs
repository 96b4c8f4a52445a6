//! Limits and policies other than the default ones, and the writers' refusals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests stop the test"
)]

use std::num::NonZeroUsize;

use http1::{
    Limits, Method, Parse, RequestHead, Target, UnderscoreNames, WriteError, write_chunk_start,
    write_content_length, write_field, write_request_line, write_status_line,
};

fn status(input: &[u8], limits: &Limits) -> u16 {
    match RequestHead::new().parse(input, limits) {
        Ok(Parse::Complete { .. }) => 200,
        Ok(other) => panic!("{other:?}"),
        Err(error) => error.status,
    }
}

#[test]
fn underscore_names_follow_the_policy() {
    let input = b"GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\n\r\n";
    for (policy, status_code, passed_on) in [
        (UnderscoreNames::Allow, 200, 1),
        (UnderscoreNames::Drop, 200, 0),
        (UnderscoreNames::Reject, 400, 0),
    ] {
        let limits = Limits { underscore_names: policy, ..Limits::default() };
        assert_eq!(status(input, &limits), status_code, "{policy:?}");
        let mut head = RequestHead::new();
        if head.parse(input, &limits).is_ok() {
            assert_eq!(head.fields().named(b"x_y", input).count(), passed_on, "{policy:?}");
        }
    }
}

#[test]
fn connect_and_trace_are_served_when_allowed() {
    let limits = Limits { allow_connect: true, allow_trace: true, ..Limits::default() };
    assert_eq!(status(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &limits), 200);
    for target in ["/", "a", "http://a/", "a:0", "*"] {
        let input = format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(status(input.as_bytes(), &limits), 405, "{target}");
    }
    let input = b"CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut head = RequestHead::new();
    head.parse(input, &limits).unwrap();
    assert_eq!(head.method(), Method::Connect);
    assert!(matches!(head.target(), Target::Authority(a) if a.port == Some(443)));
    assert_eq!(head.host().unwrap().host.of(input), b"b");
}

#[test]
fn limits_of_zero_refuse_without_panic() {
    let zero = Limits {
        head_bytes: 0,
        fields: 0,
        method_bytes: 0,
        target_bytes: 0,
        value_bytes: 0,
        content_length: 0,
        connection_options: 0,
        chunk_extension_bytes: 0,
        trailer_bytes: 0,
        trailer_fields: 0,
        leading_crlf: 0,
        informational: 0,
        ..Limits::default()
    };
    assert_eq!(status(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &zero), 431);
}

#[test]
fn lines_that_would_be_read_differently_are_not_written() {
    let mut out = b"before".to_vec();
    for (name, value, error) in [
        (&b"a"[..], &b"b\r\nc: d"[..], WriteError::Value),
        (b"a", b"b\nc", WriteError::Value),
        (b"a", b"b\r", WriteError::Value),
        (b"a", b"b\0", WriteError::Value),
        (b"a", b"\x1b[0m", WriteError::Value),
        (b"", b"b", WriteError::Name),
        (b"a b", b"b", WriteError::Name),
        (b"a:", b"b", WriteError::Name),
        (b"a\r\nb", b"b", WriteError::Name),
    ] {
        assert_eq!(write_field(&mut out, name, value), Err(error));
    }
    for (method, path, query, error) in [
        (&b"GE T"[..], &b"/"[..], None, WriteError::Method),
        (b"", b"/", None, WriteError::Method),
        (b"GET", b"", None, WriteError::Target),
        (b"GET", b"x", None, WriteError::Target),
        (b"GET", b"/ HTTP/1.1\r\n", None, WriteError::Target),
        (b"GET", b"/a#b", None, WriteError::Target),
        (b"GET", b"/a?b", None, WriteError::Target),
        (b"GET", b"/\xff", None, WriteError::Target),
        (b"GET", b"/", Some(&b"a b"[..]), WriteError::Target),
        (b"GET", b"/", Some(b"a\r\n"), WriteError::Target),
        (b"OPTIONS", b"*", Some(b"a"), WriteError::Target),
    ] {
        assert_eq!(write_request_line(&mut out, method, path, query), Err(error));
    }
    for (status, reason, error) in [
        (99, &b""[..], WriteError::Status),
        (600, b"", WriteError::Status),
        (200, b"a\r\nb", WriteError::Reason),
        (200, b"a\0", WriteError::Reason),
    ] {
        assert_eq!(write_status_line(&mut out, status, reason), Err(error));
    }
    assert_eq!(out, b"before");
}

#[test]
fn lines_are_written_in_canonical_form() {
    let mut out = Vec::new();
    write_request_line(&mut out, b"GET", b"/a", Some(b"")).unwrap();
    write_request_line(&mut out, b"OPTIONS", b"*", None).unwrap();
    write_status_line(&mut out, 204, b"No Content").unwrap();
    write_field(&mut out, b"X", b"a\tb\xff").unwrap();
    for length in [0, 9, 10, 18_446_744_073_709_551_615] {
        write_content_length(&mut out, length);
    }
    for len in [1, 15, 16, 255, 4096, usize::MAX] {
        write_chunk_start(&mut out, NonZeroUsize::new(len).unwrap());
    }
    let want =
        b"GET /a? HTTP/1.1\r\nOPTIONS * HTTP/1.1\r\nHTTP/1.1 204 No Content\r\nX: a\tb\xff\r\n\
        content-length: 0\r\ncontent-length: 9\r\ncontent-length: 10\r\n\
        content-length: 18446744073709551615\r\n\
        1\r\nf\r\n10\r\nff\r\n1000\r\nffffffffffffffff\r\n";
    assert_eq!(out.escape_ascii().to_string(), want.escape_ascii().to_string());
}
