//! What the recorder does with one request, step by step.

use crate::gate::Gate;

/// A script for one request: steps in order. After the last one the connection is kept for the next request, unless a step ended it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    ReadBody,
    Echo,
    Bytes(Vec<u8>),
    Dribble(Vec<u8>, usize),
    Wait(Gate),
    EchoStream,
    HalfClose,
    Close,
    Reset,
}

impl Reply {
    /// No step at all: the request's body is read and nothing is answered. Steps added here start when the head has arrived.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The default: reads the whole request, answers 200 with JSON of what arrived: `backend`, `connection`, `method`, `path`, `host`, `headers` (pairs, in order), `body`, `trailers`.
    #[must_use]
    pub fn echo() -> Self {
        Self::new().read_body().then(Step::Echo)
    }

    /// These bytes, after the whole request was read.
    #[must_use]
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::new().read_body().bytes(bytes)
    }

    /// A response with `content-length`, after the whole request was read.
    #[must_use]
    pub fn status(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = head(status, fields);
        bytes.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        Self::raw([bytes.as_bytes(), body].concat())
    }

    /// A chunked response with trailers, after the whole request was read.
    #[must_use]
    pub fn chunked(
        status: u16,
        fields: &[(&str, &str)],
        chunks: &[&str],
        trailers: &[(&str, &str)],
    ) -> Self {
        let mut bytes = head(status, fields);
        bytes.push_str("transfer-encoding: chunked\r\n\r\n");
        for chunk in chunks {
            bytes.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        }
        bytes.push_str("0\r\n");
        for (name, value) in trailers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        Self::raw(bytes)
    }

    /// A response that ends when the connection is closed.
    #[must_use]
    pub fn until_close(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        Self::raw([head(status, fields).as_bytes(), b"\r\n", body.as_ref()].concat()).close()
    }

    /// Switches to `protocol` and echoes every byte from then on, until the peer ends its direction. For `websocket` the accept key is the one of RFC 6455's example key, `dGhlIHNhbXBsZSBub25jZQ==`.
    #[must_use]
    pub fn upgrade_echo(protocol: &str) -> Self {
        let bytes = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n\
             sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        Self::new().bytes(bytes).then(Step::EchoStream)
    }

    /// Reads the rest of the request.
    #[must_use]
    pub fn read_body(self) -> Self {
        self.then(Step::ReadBody)
    }

    /// Sends the echo of [`Reply::echo`]; the body it shows is what was read so far.
    #[must_use]
    pub fn then_echo(self) -> Self {
        self.then(Step::Echo)
    }

    /// Sends these bytes in one write.
    #[must_use]
    pub fn bytes(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Bytes(bytes.as_ref().to_vec()))
    }

    /// Sends these bytes in writes of `size` bytes, each a segment of its own.
    #[must_use]
    pub fn dribble(self, bytes: impl AsRef<[u8]>, size: usize) -> Self {
        self.then(Step::Dribble(bytes.as_ref().to_vec(), size.max(1)))
    }

    /// An interim response, as in `interim(103, &[("link", "</a>")])`.
    #[must_use]
    pub fn interim(self, status: u16, fields: &[(&str, &str)]) -> Self {
        self.bytes(format!("{}\r\n", head(status, fields)))
    }

    /// Waits for the gate (and gives up, closing the connection, at the deadline).
    #[must_use]
    pub fn wait(self, gate: &Gate) -> Self {
        self.then(Step::Wait(gate.clone()))
    }

    /// Puts a wait for the gate in front of everything else.
    #[must_use]
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.steps.insert(0, Step::Wait(gate.clone()));
        self
    }

    /// Ends the sending direction and goes on reading until the peer closes.
    #[must_use]
    pub fn half_close(self) -> Self {
        self.then(Step::HalfClose)
    }

    /// Closes the connection.
    #[must_use]
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Ends the connection with a TCP reset.
    #[must_use]
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// A status line and fields, without the empty line.
fn head(status: u16, fields: &[(&str, &str)]) -> String {
    let mut bytes = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in fields {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes
}
