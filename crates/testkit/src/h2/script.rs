//! HTTP/2 connections written as words, for corpora of inputs that no client or backend would send.
//!
//! Frames are separated by ` | `; a word may hold the escapes of [`crate::corpus`], and `\_` stands
//! for the blank between two words. A stream other than 1 is named as in `get@3`.
//!
//! - `get`, `post`, `answer`, `fields`: HEADERS with the fields of a GET or POST for
//!   `http://a.example/`, with `:status: 200`, or with none. Then, in order: `-NAME` takes a field
//!   away, `+NAME=VALUE` adds one, `NAME=VALUE` changes (or adds) one; `open` and `end` say
//!   whether the stream ends (a `get` does), `part` that the block goes on.
//! - `block BYTES`: HEADERS with these bytes as their block.
//! - `more`: CONTINUATION, with words as `fields`; `part` as above.
//! - `data TEXT`, `data TEXT end`, `data end`: DATA; `end` ends the stream.
//! - `frame KIND FLAGS [PAYLOAD]`: any frame, on the stream named (`frame@0 6 0 \{\x00*8}`).
//! - `settings [PAYLOAD]`, `reset CODE`, `window INCREMENT`: what they say.
//! - `raw BYTES`: bytes that may be no frame at all.

use super::{Frame, block, flag, kind};
use crate::corpus::unescape;

/// A field: name and value, as bytes.
type Field = (Vec<u8>, Vec<u8>);

/// Bytes of a block in one frame.
const BLOCK_MOST: usize = 16_000;

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];

/// The bytes of a script.
///
/// # Panics
/// On a word that means nothing.
#[must_use]
pub fn bytes(script: &str) -> Vec<u8> {
    let script = words(script);
    script.split(" | ").filter(|text| !text.is_empty()).flat_map(one).collect()
}

/// The script with its repetitions written out and `\_` as the blank that it stands for.
fn words(script: &str) -> String {
    let mut out = String::new();
    let mut rest = script;
    while let Some((before, repeated)) = rest.split_once("\\{") {
        let (what, after) = repeated.split_once('}').expect("a closing brace");
        let (what, count) = what.rsplit_once('*').expect("text*count");
        out.push_str(before);
        out.push_str(&what.repeat(count.parse().expect("a count")));
        rest = after;
    }
    out.push_str(rest);
    out.replace("\\_", " ")
}

fn one(text: &str) -> Vec<u8> {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let (name, stream) = name(words[0]);
    let rest = &words[1..];
    let has = |word: &str| rest.contains(&word);
    let argument = |at: usize| unescape(rest.get(at).copied().unwrap_or_default());
    let mut flags = if has("part") { 0 } else { flag::END_HEADERS };
    let frame = match name {
        "get" | "post" | "answer" | "fields" | "block" => {
            let ends = if name == "get" || name == "block" { !has("open") } else { has("end") };
            flags |= if ends { flag::END_STREAM } else { 0 };
            let list = base(name).map(|list| block(&edited(list, rest)));
            return in_frames(flags, stream, &list.unwrap_or_else(|| argument(0)));
        }
        "more" => Frame::new(kind::CONTINUATION, flags, stream, block(&edited(&[], rest))),
        "data" if rest == ["end"] => Frame::data(stream, "", true),
        "data" => Frame::data(stream, argument(0), has("end")),
        "settings" => Frame::new(kind::SETTINGS, 0, 0, argument(0)),
        "reset" => Frame::new(kind::RST_STREAM, 0, stream, number(rest[0]).to_be_bytes()),
        "window" => Frame::new(kind::WINDOW_UPDATE, 0, stream, number(rest[0]).to_be_bytes()),
        "frame" => {
            let byte = |at: usize| u8::try_from(number(rest[at])).expect("a byte");
            Frame::new(byte(0), byte(1), stream, argument(2))
        }
        "raw" => return argument(0),
        other => panic!("{other} is no frame"),
    };
    frame.bytes()
}

/// HEADERS, and CONTINUATION where a block is longer than one frame may be.
fn in_frames(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    if block.len() <= BLOCK_MOST {
        return Frame::new(kind::HEADERS, flags, stream, block).bytes();
    }
    let count = block.len().div_ceil(BLOCK_MOST);
    let mut bytes = Vec::new();
    for (at, piece) in block.chunks(BLOCK_MOST).enumerate() {
        let kind = if at == 0 { kind::HEADERS } else { kind::CONTINUATION };
        let first = if at == 0 { flags & flag::END_STREAM } else { 0 };
        let last = if at + 1 == count { flags & flag::END_HEADERS } else { 0 };
        bytes.extend(Frame::new(kind, first | last, stream, piece).bytes());
    }
    bytes
}

/// `get@3` is `get` on stream 3.
fn name(word: &str) -> (&str, u32) {
    word.split_once('@').map_or((word, 1), |(name, stream)| (name, number(stream)))
}

fn number(word: &str) -> u32 {
    let hexadecimal = word.strip_prefix("0x").map(|digits| u32::from_str_radix(digits, 16));
    hexadecimal.unwrap_or_else(|| word.parse()).unwrap_or_else(|_| panic!("{word} is no number"))
}

fn base(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    match name {
        "get" => Some(&GET),
        "post" => Some(&POST),
        "answer" => Some(&[(":status", "200")]),
        "fields" => Some(&[]),
        _ => None,
    }
}

/// The fields after the words' changes.
fn edited(base: &[(&str, &str)], words: &[&str]) -> Vec<Field> {
    let mut fields: Vec<Field> = base
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    for word in words.iter().filter(|word| !["open", "end", "part"].contains(word)) {
        if let Some(name) = word.strip_prefix('-') {
            let name = unescape(name);
            fields.retain(|(known, _)| *known != name);
            continue;
        }
        let (adds, pair) = word.strip_prefix('+').map_or((false, *word), |pair| (true, pair));
        let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("{word} is no field"));
        let (name, value) = (unescape(name), unescape(value));
        match fields.iter_mut().find(|(known, _)| !adds && *known == name) {
            Some((_, old)) => *old = value,
            None => fields.push((name, value)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_frames() {
        let get = Frame::headers(3, &[GET[0], GET[1], GET[2], (":path", "/a b"), ("x", "1")], true);
        assert_eq!(bytes("get@3 :path=/a\\sb +x=1"), get.bytes());
        let whole = [Frame::headers(1, &[("a", "")], false), Frame::data(1, "x", true)];
        assert_eq!(bytes("fields +a= | data x end"), whole.map(|one| one.bytes()).concat());
        assert_eq!(bytes("fields \\{+a=\\_*2}"), bytes("fields +a= +a="));
        assert_eq!(bytes("frame@0 6 0 \\{\\x00*8}"), Frame::new(6, 0, 0, [0; 8]).bytes());
    }
}
