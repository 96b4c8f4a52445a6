//! HTTP/2 for tests: a client on the crate `h2`, a backend that records, and raw frames for what no client would send.

pub mod backend;
mod client;
mod duplex;
mod frames;
mod recorder;
pub mod script;

pub use client::{Answer, Client, Error};
pub use duplex::Duplex;
pub use frames::{Frame, RawH2, block, flag, kind};
pub use recorder::{Hold, Recorder, Reply, Seen};

use http::HeaderMap;

/// Fields as pairs of text, in order.
fn pairs(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

fn map(pairs: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            http::HeaderName::from_bytes(name.as_bytes()).expect("a field name"),
            value.parse().expect("a field value"),
        );
    }
    map
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
