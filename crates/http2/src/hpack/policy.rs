//! What becomes of a field in an encoder's table: one that differs in each message would drive out
//! what is worth keeping, and a secret must not be found out by its compression (RFC 7541 section
//! 7.1).

use super::encode::Indexing;
use crate::limits::INDEXED_VALUE_MOST;

/// For the names of the static table, by their first index.
#[inline]
pub(super) fn of_known(index: u32, value: &[u8]) -> Indexing {
    match index {
        // authorization, cookie, proxy-authorization, set-cookie
        23 | 32 | 49 | 55 => Indexing::Never,
        // :path, age, content-length, content-range, date, etag, expires, if-match to
        // if-unmodified-since, last-modified, location, range, referer
        4 | 21 | 28 | 30 | 33 | 34 | 36 | 39..=44 | 46 | 50 | 51 => Indexing::Literal,
        _ => of_value(value),
    }
}

/// For all other names, in lower case.
#[inline]
pub(super) fn of_unknown(name: &[u8], value: &[u8]) -> Indexing {
    match name {
        b"forwarded" | b"grpc-message" | b"grpc-timeout" | b"server-timing" | b"traceparent"
        | b"tracestate" | b"x-forwarded-for" | b"x-real-ip" | b"x-request-id" => Indexing::Literal,
        _ => of_value(value),
    }
}

#[inline]
fn of_value(value: &[u8]) -> Indexing {
    if value.len() > INDEXED_VALUE_MOST { Indexing::Literal } else { Indexing::Index }
}

#[cfg(test)]
mod tests {
    use super::{super::static_table, *};

    #[test]
    fn names_are_told_by_their_indices() {
        for name in ["authorization", "cookie", "proxy-authorization", "set-cookie"] {
            let index = static_table::find(name.as_bytes()).unwrap();
            assert_eq!(of_known(index, b"x"), Indexing::Never, "{name}");
        }
        let literal = [
            ":path",
            "age",
            "content-length",
            "content-range",
            "date",
            "etag",
            "expires",
            "if-match",
            "if-modified-since",
            "if-none-match",
            "if-range",
            "if-unmodified-since",
            "last-modified",
            "location",
            "range",
            "referer",
        ];
        for name in literal {
            let index = static_table::find(name.as_bytes()).unwrap();
            assert_eq!(of_known(index, b"x"), Indexing::Literal, "{name}");
        }
        let others = (1..=static_table::ENTRIES).filter_map(static_table::get);
        let names: std::collections::BTreeSet<&[u8]> = others.map(|(name, _)| name).collect();
        let indexed = names.iter().filter_map(|name| static_table::find(name));
        let indexed = indexed.filter(|index| of_known(*index, b"x") == Indexing::Index).count();
        assert_eq!(indexed, names.len() - 4 - literal.len());
    }

    #[test]
    fn large_values_are_not_kept() {
        assert_eq!(of_unknown(b"x", &[b'x'; INDEXED_VALUE_MOST]), Indexing::Index);
        assert_eq!(of_unknown(b"x", &[b'x'; INDEXED_VALUE_MOST + 1]), Indexing::Literal);
        assert_eq!(of_unknown(b"x-request-id", b"1"), Indexing::Literal);
    }
}
