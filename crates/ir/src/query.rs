//! Query parameters as matches see them (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use crate::{index::HashMap, limits::QUERY_INLINE_MAX};

/// The parameters of one query. Names and values are decoded when compared; the first of a name
/// counts. A lookup costs the same however long the query is, once it is read.
pub(crate) enum Query<'q> {
    Few { pairs: [(&'q str, &'q str); QUERY_INLINE_MAX], count: usize },
    Many(HashMap<Cow<'q, [u8]>, &'q str>),
}

impl<'q> Query<'q> {
    pub(crate) fn new(text: &'q str) -> Self {
        let mut pairs = [("", ""); QUERY_INLINE_MAX];
        let mut count = 0_usize;
        for pair in split(text) {
            match pairs.get_mut(count) {
                Some(slot) => *slot = pair,
                None => return Self::many(text),
            }
            count = count.saturating_add(1);
        }
        Self::Few { pairs, count }
    }

    fn many(text: &'q str) -> Self {
        let mut map = HashMap::default();
        for (name, value) in split(text) {
            map.entry(decode(name)).or_insert(value);
        }
        Self::Many(map)
    }

    /// The decoded value of the first parameter with this decoded name.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'q, [u8]>> {
        match self {
            Self::Few { pairs, count } => pairs
                .iter()
                .take(*count)
                .find(|(raw, _)| decoded(raw).eq(name.bytes()))
                .map(|(_, value)| decode(value)),
            Self::Many(map) => map.get(name.as_bytes()).map(|value| decode(value)),
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decode(raw: &str) -> Cow<'_, [u8]> {
    if raw.bytes().any(|byte| byte == b'%' || byte == b'+') {
        Cow::Owned(decoded(raw).collect())
    } else {
        Cow::Borrowed(raw.as_bytes())
    }
}

/// `+` is a space; an escape that is none stands for itself.
fn decoded(raw: &str) -> impl Iterator<Item = u8> {
    let mut rest = raw.as_bytes();
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        rest = after;
        let byte = match first {
            b'+' => b' ',
            b'%' => match escape(after) {
                Some((byte, tail)) => {
                    rest = tail;
                    byte
                }
                None => b'%',
            },
            other => *other,
        };
        Some(byte)
    })
}

/// The byte that two hexadecimal digits at the start stand for, and what follows them.
pub(crate) fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = text.split_first_chunk::<2>()?;
    Some(((digit(*high)? << 4) | digit(*low)?, rest))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
