//! Query parameters as matches see them (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use crate::{escape, index::HashMap, limits::QUERY_INLINE_MAX};

/// The parameters of one query. Names and values are decoded when compared; the first of a name
/// counts. Once it is read, a lookup costs the same however long the query is.
pub(crate) struct Query<'q> {
    /// Raw names and values.
    few: [(&'q str, &'q str); QUERY_INLINE_MAX],
    count: usize,
    /// All parameters, by decoded name, where they are more than `few` holds.
    many: Option<HashMap<Cow<'q, [u8]>, &'q str>>,
}

impl<'q> Query<'q> {
    pub(crate) fn new(text: &'q str) -> Self {
        let mut query = Self { few: [("", ""); QUERY_INLINE_MAX], count: 0, many: None };
        for pair in split(text) {
            match query.few.get_mut(query.count) {
                Some(slot) => *slot = pair,
                None => {
                    query.many = Some(by_name(text));
                    break;
                }
            }
            query.count = query.count.saturating_add(1);
        }
        query
    }

    /// The decoded value of the first parameter with this decoded name.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'q, [u8]>> {
        match &self.many {
            Some(many) => many.get(name.as_bytes()).map(|value| decode(value)),
            None => {
                let mut pairs = self.few.iter().take(self.count);
                pairs.find(|(raw, _)| decoded(raw).eq(name.bytes())).map(|(_, value)| decode(value))
            }
        }
    }
}

fn by_name(text: &str) -> HashMap<Cow<'_, [u8]>, &str> {
    let mut map = HashMap::default();
    for (name, value) in split(text) {
        map.entry(decode(name)).or_insert(value);
    }
    map
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
            b'%' => match escape::decode(after) {
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
