//! How the corpora are sent, and how their lines `reached:` are read.

use testkit::{raw, recorder::Recorded};

/// Longer inputs are not sent byte by byte: a system call for each is slow.
pub const BYTEWISE_MAX: usize = 2_048;

/// How an input is written to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Whole,
    Bytes,
    Split(u64),
}

impl Way {
    /// The ways for an input; the splits follow from `seed`.
    pub fn all(input: &[u8], seed: u64) -> Vec<Self> {
        let mut ways = vec![Self::Whole, Self::Split(seed), Self::Split(seed << 20)];
        if input.len() <= BYTEWISE_MAX {
            ways.push(Self::Bytes);
        }
        ways
    }

    /// The pieces, each for a write of its own.
    pub fn pieces(self, input: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Whole => vec![input],
            Self::Bytes => input.chunks(1).collect(),
            Self::Split(seed) => raw::split(input, seed).collect(),
        }
    }
}

/// The texts of the requests that a line `reached:` promises.
pub fn promised(reached: &str) -> Vec<&str> {
    match reached {
        "" | "nothing" | "begun" => Vec::new(),
        text => text.split(" & ").collect(),
    }
}

/// Whether a request is the promised one: `METHOD TARGET` and then facts.
///
/// # Errors
/// The first fact that is not so.
pub fn check(promise: &str, request: &Recorded) -> Result<(), String> {
    let mut words = promise.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if (method != "*" && method != request.method) || target != request.target {
        return Err(format!("{} {} instead of {promise}", request.method, request.target));
    }
    let bad = |got: &dyn std::fmt::Debug, fact: &str| Err(format!("{got:?} reached, not {fact}"));
    for fact in words {
        if let Some(name) = fact.strip_prefix('!') {
            if let Some(value) = request.field(name) {
                return bad(&value, fact);
            }
            continue;
        }
        let (name, value) = fact.split_once('=').unwrap();
        let value = testkit::corpus::unescape(value);
        let trailers = &request.body.trailers;
        let same = match name.strip_prefix("trailer:") {
            Some(name) => {
                trailers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v.as_bytes() == value)
            }
            None if name == "body" => request.body.content == value,
            None if name == "trailers" => trailers.len().to_string().as_bytes() == value,
            None => {
                let values: Vec<&str> = request.head.all(name).collect();
                matches!(values.as_slice(), [only] if only.as_bytes() == value)
            }
        };
        if !same {
            return bad(&(&request.head.fields, trailers, request.text()), fact);
        }
    }
    Ok(())
}
