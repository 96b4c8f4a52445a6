//! Responses that no honest backend sends, for tests of what a gateway does with them.

use super::Reply;

/// Bad responses by name. Each closes the connection at its end, so that a gateway that waits for more gets its end.
#[must_use]
pub fn hostile() -> Vec<(&'static str, Reply)> {
    let heads: &[(&str, &str)] = &[
        ("no HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n"),
        ("a version of the future", "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("a status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"),
        ("a status below 100", "HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n"),
        ("a bare LF in the head", "HTTP/1.1 200 OK\r\na: b\ncontent-length: 0\r\n\r\n"),
        ("a bare CR in a value", "HTTP/1.1 200 OK\r\na: b\rc\r\ncontent-length: 0\r\n\r\n"),
        ("a NUL in a value", "HTTP/1.1 200 OK\r\na: b\0c\r\ncontent-length: 0\r\n\r\n"),
        ("a folded field", "HTTP/1.1 200 OK\r\na: b\r\n c\r\ncontent-length: 0\r\n\r\n"),
        ("a space before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n"),
        ("a field without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\ncontent-length: 0\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc"),
        ("a list of lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nabc"),
        ("a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
        ("a length with a sign", "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc"),
        (
            "a length past 64 bits",
            "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n",
        ),
        (
            "length and chunked together",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("an unknown coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: rot13\r\n\r\nabc"),
        (
            "chunked twice",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a switch nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
    ];
    let bodies: &[(&str, &str)] = &[
        ("a body shorter than its length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
        (
            "a chunk size that is no number",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        ),
        (
            "a chunk size past 64 bits",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000000\r\n",
        ),
        (
            "a chunk longer than its size",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        ),
        (
            "chunks without an end",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
    ];
    let mut replies: Vec<(&str, Reply)> = heads
        .iter()
        .chain(bodies)
        .map(|(name, bytes)| (*name, Reply::raw(bytes).close()))
        .collect();
    let endless_head = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(1 << 20));
    replies.push(("a head without an end", Reply::raw(endless_head).close()));
    let interims = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(10_000);
    replies.push(("ten thousand interim responses", Reply::raw(interims).close()));
    replies.push(("an end before the first byte", Reply::new().read_body().close()));
    replies.push(("a reset before the first byte", Reply::new().read_body().reset()));
    replies
}
