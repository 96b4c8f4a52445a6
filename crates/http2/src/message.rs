//! What makes a message of a field section, and what makes it malformed (RFC 9113 section 8).

use crate::fields::Fields;

/// A field section that is no part of a message; its stream is reset (RFC 9113 8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A request's head: its pseudo-header fields, each at most once and in front of the others, and
/// fields whose names are tokens in lower case and whose values hold no control byte but HTAB.
/// Fields of the connection are none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    fields: Fields,
    pseudo: Pseudo,
    content_length: Option<u64>,
}

/// Where each pseudo-header field of a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pseudo {
    method: Option<usize>,
    scheme: Option<usize>,
    authority: Option<usize>,
    path: Option<usize>,
    protocol: Option<usize>,
    count: usize,
}

/// A response's head, final or interim; its fields are as those of a [`Request`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    fields: Fields,
    status: u16,
    content_length: Option<u64>,
}

impl Request {
    /// Reads a request's head.
    pub(crate) fn read(fields: Fields) -> Result<Self, Malformed> {
        let mut pseudo = Pseudo::default();
        for (at, (name, _)) in fields.iter().enumerate() {
            let place = match name {
                b":method" => &mut pseudo.method,
                b":scheme" => &mut pseudo.scheme,
                b":authority" => &mut pseudo.authority,
                b":path" => &mut pseudo.path,
                b":protocol" => &mut pseudo.protocol,
                _ => break,
            };
            if place.replace(at).is_some() {
                return Err(Malformed);
            }
            pseudo.count = at.saturating_add(1);
        }
        let content_length = check_fields(&fields, pseudo.count)?;
        let request = Self { fields, pseudo, content_length };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), Malformed> {
        let connect = self.method() == b"CONNECT";
        let [scheme, path] = [self.scheme(), self.path()];
        let whole = match (connect, self.protocol()) {
            // RFC 9113 8.5.
            (true, None) => scheme.is_none() && path.is_none() && self.authority().is_some(),
            // RFC 8441 section 4.
            (true, Some(protocol)) => scheme.is_some() && path.is_some() && is_token(protocol),
            (false, None) => scheme.is_some() && path.is_some(),
            (false, Some(_)) => false,
        };
        let sound = is_token(self.method())
            && scheme.is_none_or(is_scheme)
            && path.is_none_or(is_path)
            && self.authority().is_none_or(is_authority);
        if whole && sound { Ok(()) } else { Err(Malformed) }
    }

    fn pseudo(&self, at: Option<usize>) -> Option<&[u8]> {
        self.fields.get(at?).map(|(_, value)| value)
    }

    /// `:method`.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.pseudo(self.pseudo.method).unwrap_or_default()
    }

    /// `:scheme`; absent in a plain CONNECT.
    #[must_use]
    pub fn scheme(&self) -> Option<&[u8]> {
        self.pseudo(self.pseudo.scheme)
    }

    /// `:authority`.
    #[must_use]
    pub fn authority(&self) -> Option<&[u8]> {
        self.pseudo(self.pseudo.authority)
    }

    /// `:path`, which begins with `/` or is `*`; absent in a plain CONNECT.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.pseudo(self.pseudo.path)
    }

    /// `:protocol` of an extended CONNECT (RFC 8441).
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.pseudo(self.pseudo.protocol)
    }

    /// The one length that all `content-length` fields say.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The fields behind the pseudo-header fields.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().skip(self.pseudo.count)
    }

    /// The number of fields behind the pseudo-header fields.
    #[must_use]
    pub fn field_count(&self) -> usize {
        self.fields.len().saturating_sub(self.pseudo.count)
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn size(&self) -> usize {
        self.fields.size()
    }

    /// The memory of the fields, to be used again.
    #[must_use]
    pub fn into_fields(self) -> Fields {
        self.fields
    }
}

impl Response {
    /// Reads a response's head, interim or final.
    pub(crate) fn read(fields: Fields) -> Result<Self, Malformed> {
        let status = match fields.get(0) {
            Some((
                b":status",
                [hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'],
            )) => [hundreds, tens, ones]
                .iter()
                .fold(0u16, |sum, digit| sum * 10 + u16::from(**digit - b'0')),
            _ => return Err(Malformed),
        };
        // There is no switching of protocols in HTTP/2 (RFC 9113 8.6).
        if status == 101 {
            return Err(Malformed);
        }
        let content_length = check_fields(&fields, 1)?;
        Ok(Self { fields, status, content_length })
    }

    /// `:status`, from 100 to 999, and not 101.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether another head follows.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// The one length that all `content-length` fields say.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The fields behind `:status`.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().skip(1)
    }

    /// The memory of the fields, to be used again.
    #[must_use]
    pub fn into_fields(self) -> Fields {
        self.fields
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn size(&self) -> usize {
        self.fields.size()
    }
}

/// Judges a trailer section, in which pseudo-header fields have no place (RFC 9113 8.1).
pub(crate) fn check_trailers(fields: &Fields) -> Result<(), Malformed> {
    check_fields(fields, 0).map(drop)
}

/// Judges the fields from `first` on; gives the length that they say.
fn check_fields(fields: &Fields, first: usize) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for (name, value) in fields.iter().skip(first) {
        if !is_name(name) || !is_value(value) {
            return Err(Malformed);
        }
        match name {
            b"connection" | b"transfer-encoding" | b"upgrade" | b"keep-alive"
            | b"proxy-connection" => return Err(Malformed),
            b"te" if value != b"trailers" => return Err(Malformed),
            b"content-length" => {
                let said = number(value)?;
                if *length.get_or_insert(said) != said {
                    return Err(Malformed);
                }
            }
            _ => {}
        }
    }
    Ok(length)
}

fn number(digits: &[u8]) -> Result<u64, Malformed> {
    if digits.is_empty() {
        return Err(Malformed);
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9).ok_or(Malformed)?;
        sum.checked_mul(10).and_then(|sum| sum.checked_add(u64::from(digit))).ok_or(Malformed)
    })
}

/// Which bytes a word of a message may hold.
const TOKEN: u8 = 1;
/// A token without capitals: a field's name (RFC 9113 8.2.1).
const NAME: u8 = 2;
const PATH: u8 = 4;
const AUTHORITY: u8 = 8;

/// For each byte, the words that it may be part of.
static WORDS: [u8; 256] = words();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; the index is below 256")]
const fn words() -> [u8; 256] {
    let mut words = [0; 256];
    let mut byte = 0u8;
    while byte.is_ascii() {
        let alphanumeric = byte.is_ascii_alphanumeric();
        if alphanumeric || holds(b"!#$%&'*+-.^_`|~", byte) {
            words[byte as usize] |= if byte.is_ascii_uppercase() { TOKEN } else { TOKEN | NAME };
        }
        // A fragment has no place in a request (RFC 9113 8.3.1).
        if byte.is_ascii_graphic() && byte != b'#' {
            words[byte as usize] |= PATH;
        }
        // RFC 3986 3.2, without escapes.
        if alphanumeric || holds(b"-._~!$&'()*+,;=:@[]", byte) {
            words[byte as usize] |= AUTHORITY;
        }
        byte += 1;
    }
    words
}

const fn holds(mut bytes: &[u8], wanted: u8) -> bool {
    while let [first, rest @ ..] = bytes {
        if *first == wanted {
            return true;
        }
        bytes = rest;
    }
    false
}

fn is_word(bytes: &[u8], word: u8) -> bool {
    let all = bytes
        .iter()
        .fold(word, |all, byte| all & WORDS.get(usize::from(*byte)).copied().unwrap_or_default());
    all != 0 && !bytes.is_empty()
}

fn is_token(bytes: &[u8]) -> bool {
    is_word(bytes, TOKEN)
}

fn is_name(bytes: &[u8]) -> bool {
    is_word(bytes, NAME)
}

/// No control byte but HTAB. Blanks around a value are left to the reader, who trims them.
fn is_value(bytes: &[u8]) -> bool {
    // Without a branch for each byte, so that many are judged at once.
    !bytes.iter().fold(false, |bad, byte| bad | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f))
}

fn is_scheme(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

fn is_path(bytes: &[u8]) -> bool {
    bytes == b"*" || (bytes.first() == Some(&b'/') && is_word(bytes, PATH))
}

fn is_authority(bytes: &[u8]) -> bool {
    is_word(bytes, AUTHORITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        pairs.iter().for_each(|(name, value)| fields.push(name.as_bytes(), value.as_bytes()));
        fields
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];

    fn get(more: &[(&str, &str)]) -> Result<Request, Malformed> {
        Request::read(fields(&[&GET[..], more].concat()))
    }

    #[test]
    fn a_request_says_its_parts() {
        let request = get(&[("x-a", "1"), ("content-length", "03"), ("content-length", "3")]);
        let request = request.unwrap();
        assert_eq!(request.method(), b"GET");
        assert_eq!(request.scheme(), Some(&b"http"[..]));
        assert_eq!(request.authority(), Some(&b"a.example"[..]));
        assert_eq!(request.path(), Some(&b"/"[..]));
        assert_eq!(request.protocol(), None);
        assert_eq!(request.content_length(), Some(3));
        assert_eq!(request.field_count(), 3);
        assert_eq!(request.fields().next(), Some((&b"x-a"[..], &b"1"[..])));
    }

    #[test]
    fn fields_that_break_a_rule_make_a_request_malformed() {
        let cases = [
            ("X-Upper", "1"),
            ("x y", "1"),
            ("", "1"),
            ("x:", "1"),
            ("x\u{e9}", "1"),
            ("x", "a\r\nb"),
            ("x", "a\nb"),
            ("x", "a\0b"),
            ("x", "\x7f"),
            ("x", "\x01"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("keep-alive", "1"),
            ("proxy-connection", "close"),
            ("te", "gzip"),
            ("te", ""),
            ("content-length", ""),
            ("content-length", "+1"),
            ("content-length", "1,1"),
            ("content-length", "18446744073709551616"),
            (":path", "/again"),
            (":status", "200"),
            (":unknown", "1"),
            (":protocol", "websocket"),
        ];
        for case in cases {
            assert_eq!(get(&[case]), Err(Malformed), "{case:?}");
        }
        assert_eq!(get(&[("content-length", "1"), ("content-length", "2")]), Err(Malformed));
        assert_eq!(get(&[("x", "1"), (":path", "/")]), Err(Malformed));
        for good in [("te", "trailers"), ("x", "a\tb \u{e9}"), ("x", ""), ("x_y", "1")] {
            assert!(get(&[good]).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn pseudo_header_fields_are_judged() {
        let with = |at: usize, value: &str| {
            let mut pairs = GET;
            pairs[at].1 = value;
            Request::read(fields(&pairs)).is_ok()
        };
        for (at, bad) in [
            (0, ""),
            (0, "G T"),
            (0, "G\r\n"),
            (0, "CONNECT"),
            (1, ""),
            (1, "1http"),
            (1, "ht tp"),
            (2, ""),
            (2, "a b"),
            (2, "a/b"),
            (2, "a?b"),
            (2, "%61"),
            (2, "a\u{e9}"),
            (3, ""),
            (3, "x"),
            (3, "?x"),
            (3, "/a b"),
            (3, "/a#b"),
            (3, "/\u{e9}"),
            (3, "http://a/"),
        ] {
            assert!(!with(at, bad), "{at} {bad:?}");
        }
        for (at, good) in
            [(0, "M-SEARCH"), (1, "ftp"), (2, "[::1]:80"), (3, "*"), (3, "/?a#"[..3].as_ref())]
        {
            assert!(with(at, good), "{at} {good:?}");
        }
        for missing in 0..4 {
            let mut pairs = GET.to_vec();
            pairs.remove(missing);
            assert_eq!(Request::read(fields(&pairs)).is_ok(), missing == 2, "{missing}");
        }
    }

    #[test]
    fn connect_has_an_authority_alone_unless_it_is_extended() {
        let connect = [(":method", "CONNECT"), (":authority", "a.example:443")];
        assert!(Request::read(fields(&connect)).is_ok());
        assert_eq!(Request::read(fields(&connect[..1])), Err(Malformed));
        let extended = [&connect[..], &[(":scheme", "http"), (":path", "/"), (":protocol", "x")]];
        assert!(Request::read(fields(&extended.concat())).is_ok());
        assert_eq!(Request::read(fields(&extended.concat()[..4])), Err(Malformed));
    }

    #[test]
    fn a_response_has_one_status_of_three_digits() {
        let read = |pairs: &[(&str, &str)]| Response::read(fields(pairs)).map(|r| r.status());
        assert_eq!(read(&[(":status", "204"), ("x", "1")]), Ok(204));
        for bad in ["", "20", "2000", "099", "2x0", "-20", "101"] {
            assert_eq!(read(&[(":status", bad)]), Err(Malformed), "{bad}");
        }
        assert_eq!(read(&[]), Err(Malformed));
        assert_eq!(read(&[("x", "1"), (":status", "200")]), Err(Malformed));
        assert_eq!(read(&[(":status", "200"), (":status", "200")]), Err(Malformed));
        assert_eq!(read(&[(":status", "200"), (":path", "/")]), Err(Malformed));
    }

    #[test]
    fn trailers_have_no_pseudo_header_fields() {
        assert_eq!(check_trailers(&fields(&[("grpc-status", "0")])), Ok(()));
        assert_eq!(check_trailers(&fields(&[(":path", "/")])), Err(Malformed));
        assert_eq!(check_trailers(&fields(&[("transfer-encoding", "chunked")])), Err(Malformed));
    }
}
