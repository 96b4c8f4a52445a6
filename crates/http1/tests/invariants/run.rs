//! Runs the codec over a stream of messages, split into pieces in several ways.

use std::collections::BTreeMap;

use http1::{
    Asked, BodyDecoder, BodyEvent, BodyFraming, Disposition, FieldIndex, Limits, Parse,
    RequestHead, ResponseHead, Span, Target, Version,
};

/// How a stream is cut into pieces.
#[derive(Clone, Copy, Debug)]
pub enum Pieces {
    Whole,
    Bytes,
    Seeded(u64),
}

impl Pieces {
    /// Lengths of the pieces of a stream of `len` bytes.
    pub fn lengths(self, len: usize) -> Vec<usize> {
        match self {
            Self::Whole => vec![len],
            Self::Bytes => vec![1; len],
            Self::Seeded(seed) => {
                let mut state = seed | 1;
                let mut left = len;
                let mut lengths = Vec::new();
                while left > 0 {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    let piece = (1 + (state >> 33) as usize % 37).min(left);
                    lengths.push(piece);
                    left -= piece;
                }
                lengths
            }
        }
    }
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok(Box<Message>),
    /// The head was refused.
    Head {
        status: u16,
        label: &'static str,
    },
    /// The body was refused; the head was this.
    Body {
        status: u16,
        label: &'static str,
        head: Box<Message>,
    },
    /// The input ended in the head.
    PartialHead,
    /// The input ended in the body.
    PartialBody(Box<Message>),
    Preface,
}

/// All that the codec says about a message, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub facts: BTreeMap<&'static str, String>,
    /// Name in lower case and value of the fields that are passed on, in order.
    pub forwarded: Vec<(String, Vec<u8>)>,
    pub all_fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
    pub head_bytes: Vec<u8>,
}

impl Message {
    fn set(&mut self, name: &'static str, value: impl ToString) {
        self.facts.insert(name, value.to_string());
    }

    pub fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }
}

pub fn text(span: Span, buf: &[u8]) -> String {
    span.of(buf).escape_ascii().to_string()
}

fn take_fields(message: &mut Message, fields: &FieldIndex, buf: &[u8]) {
    for field in fields {
        let name = String::from_utf8(field.name.of(buf).to_ascii_lowercase()).unwrap();
        let value = field.value.of(buf).to_vec();
        message.all_fields.push((name.clone(), value.clone()));
        if field.disposition == Disposition::Forward {
            message.forwarded.push((name, value));
        }
    }
    let joined: Vec<String> = message
        .forwarded
        .iter()
        .map(|(name, value)| format!("{name}={}", value.escape_ascii()))
        .collect();
    message.set("forward", joined.join(";"));
    message.set("fields", fields.len());
}

fn framing_name(framing: BodyFraming) -> String {
    match framing {
        BodyFraming::None => "none".to_owned(),
        BodyFraming::Length(n) => n.to_string(),
        BodyFraming::Chunked => "chunked".to_owned(),
        BodyFraming::UntilClose => "until-close".to_owned(),
    }
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    }
}

pub fn request_message(head: &RequestHead, buf: &[u8]) -> Message {
    let mut m = Message { head_bytes: buf.to_vec(), ..Message::default() };
    m.set("method", text(head.method_span(), buf));
    m.set(
        "form",
        match head.target() {
            Target::Origin { .. } => "origin",
            Target::Absolute { .. } => "absolute",
            Target::Asterisk => "asterisk",
            Target::Authority(_) => "authority",
        },
    );
    m.set("target", text(head.target_span(), buf));
    m.set("path", text(head.path(), buf));
    m.set("query", head.query().map_or("-".to_owned(), |q| text(q, buf)));
    m.set("host", head.host().map_or("(none)".to_owned(), |a| text(a.whole, buf)));
    m.set("name", head.host().map_or("-".to_owned(), |a| text(a.host, buf)));
    let port = head.host().and_then(|a| a.port);
    m.set("port", port.map_or("-".to_owned(), |p| p.to_string()));
    m.set("version", version_name(head.version()));
    m.set("framing", framing_name(head.framing()));
    m.set("keep", head.keep_alive());
    m.set("expect", head.expect_continue());
    m.set("upgrade", head.upgrade().map_or("-".to_owned(), |u| text(u, buf)));
    m.set("te", head.te_trailers());
    m.set("protected", head.nominates_protected());
    let options: Vec<String> = head.connection_options().iter().map(|o| text(*o, buf)).collect();
    m.set("options", options.join(","));
    take_fields(&mut m, head.fields(), buf);
    m
}

pub fn response_message(head: &ResponseHead, buf: &[u8]) -> Message {
    let mut m = Message { head_bytes: buf.to_vec(), ..Message::default() };
    m.set("status", head.status());
    m.set("reason", text(head.reason(), buf));
    m.set("version", version_name(head.version()));
    m.set("framing", framing_name(head.framing()));
    m.set("keep", head.keep_alive());
    m.set("interim", head.is_interim());
    m.set("upgrade", head.upgrade().map_or("-".to_owned(), |u| text(u, buf)));
    take_fields(&mut m, head.fields(), buf);
    m
}

enum Step {
    Head(Message, BodyFraming, usize),
    More,
    Stop(Outcome),
}

/// Feeds pieces to `next_head` and the body decoder until the stream ends or is refused.
fn run(
    input: &[u8],
    pieces: Pieces,
    limits: &Limits,
    response: bool,
    mut next_head: impl FnMut(&[u8]) -> Step,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut decoder = BodyDecoder::new();
    let mut current: Option<Box<Message>> = None;
    let (mut start, mut end) = (0, 0);
    for piece in pieces.lengths(input.len()) {
        end += piece;
        loop {
            let unread = &input[start..end];
            let Some(mut message) = current.take() else {
                if unread.is_empty() {
                    break;
                }
                match next_head(unread) {
                    Step::Head(message, framing, len) => {
                        start += len;
                        if response {
                            decoder.start_response(framing);
                        } else {
                            decoder.start_request(framing);
                        }
                        current = Some(Box::new(message));
                        continue;
                    }
                    Step::More => break,
                    Step::Stop(outcome) => {
                        outcomes.push(outcome);
                        return outcomes;
                    }
                }
            };
            match decoder.decode(unread, limits) {
                Ok(BodyEvent::Data { start: from, end: to }) => {
                    message.body.extend_from_slice(&unread[from..to]);
                    start += to;
                    current = Some(message);
                }
                Ok(BodyEvent::NeedMore) => {
                    start = end;
                    current = Some(message);
                    break;
                }
                Ok(BodyEvent::End { consumed }) => {
                    start += consumed;
                    message.trailers = trailers(&decoder);
                    outcomes.push(Outcome::Ok(message));
                }
                Err(error) => {
                    let label = error.reason.label();
                    outcomes.push(Outcome::Body { status: error.status, label, head: message });
                    return outcomes;
                }
            }
        }
    }
    match current {
        Some(message) if decoder.end_of_input().is_ok() => outcomes.push(Outcome::Ok(message)),
        Some(message) => outcomes.push(Outcome::PartialBody(message)),
        None if start < input.len() => outcomes.push(Outcome::PartialHead),
        None => {}
    }
    outcomes
}

fn trailers(decoder: &BodyDecoder) -> Vec<(String, Vec<u8>)> {
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("a token");
    decoder.trailers().map(|(name, value)| (text(name), value.to_vec())).collect()
}

/// All requests of a connection.
pub fn requests(input: &[u8], pieces: Pieces, limits: &Limits) -> Vec<Outcome> {
    let mut head = RequestHead::new();
    run(input, pieces, limits, false, |unread| match head.parse(unread, limits) {
        Ok(Parse::Partial) => Step::More,
        Ok(Parse::Http2Preface) => Step::Stop(Outcome::Preface),
        Ok(Parse::Complete { head_len }) => {
            Step::Head(request_message(&head, &unread[..head_len]), head.framing(), head_len)
        }
        Err(e) => Step::Stop(Outcome::Head { status: e.status, label: e.reason.label() }),
    })
}

/// All responses of a connection, each read as the answer to `asked`.
pub fn responses(input: &[u8], pieces: Pieces, asked: Asked<'_>, limits: &Limits) -> Vec<Outcome> {
    let mut head = ResponseHead::new();
    run(input, pieces, limits, true, |unread| match head.parse(unread, asked, limits) {
        Ok(Parse::Partial) => Step::More,
        Ok(Parse::Http2Preface) => panic!("a response cannot be a preface"),
        Ok(Parse::Complete { head_len }) => {
            Step::Head(response_message(&head, &unread[..head_len]), head.framing(), head_len)
        }
        Err(e) => Step::Stop(Outcome::Head { status: e.status, label: e.reason.label() }),
    })
}
