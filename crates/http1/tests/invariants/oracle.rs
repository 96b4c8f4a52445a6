//! A second reader of request heads and chunked bodies, written apart from the codec: whole input
//! only, no speed, no spans. Where the two disagree, one of them is wrong.

/// A request as the oracle reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub http11: bool,
    pub fields: Vec<(String, Vec<u8>)>,
    pub host: Option<String>,
    /// `none`, `chunked` or a decimal number.
    pub framing: String,
}

pub enum Verdict {
    Accept(Box<Request>),
    Refuse,
    /// There is no complete head to judge.
    NoHead,
}

fn token(s: &str) -> bool {
    let extra = "!#$%&'*+-.^_`|~";
    !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    (0..haystack.len()).find(|at| haystack[*at..].starts_with(needle))
}

/// Judges the first head of `input` under the default limits.
pub fn request(input: &[u8]) -> Verdict {
    let mut rest = input;
    for _ in 0..2 {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    if rest.starts_with(b"\r\n") {
        return Verdict::Refuse;
    }
    let Some(end) = find(rest, b"\r\n\r\n") else { return Verdict::NoHead };
    if end + 4 + (input.len() - rest.len()) > 65536 {
        return Verdict::Refuse;
    }
    match head(&rest[..end]) {
        Some(request) => Verdict::Accept(Box::new(request)),
        None => Verdict::Refuse,
    }
}

fn head(bytes: &[u8]) -> Option<Request> {
    // Latin-1: one char for each byte, so that text functions work on any input.
    let text: String = bytes.iter().map(|b| char::from(*b)).collect();
    let mut lines = text.split("\r\n");
    let (method, target, http11) = request_line(lines.next()?)?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if !token(name) || value.len() > 70_000 || value.chars().count() > 32768 {
            return None;
        }
        if value.chars().any(|c| c == '\u{7f}' || (c < ' ' && c != '\t')) {
            return None;
        }
        let value = value.trim_matches([' ', '\t']);
        let value: Vec<u8> = value.chars().map(|c| c as u8).collect();
        fields.push((name.to_ascii_lowercase(), value));
    }
    if fields.len() > 100 {
        return None;
    }
    let authority = target_authority(&method, &target)?;
    let host = host(&fields, authority, http11)?;
    let framing = framing(&fields, http11)?;
    connection_and_expect(&fields, http11)?;
    Some(Request { method, target, http11, fields, host, framing })
}

fn request_line(line: &str) -> Option<(String, String, bool)> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = parts[..] else { return None };
    if !token(method) || method.len() > 32 || ["CONNECT", "TRACE"].contains(&method) {
        return None;
    }
    let visible = |c: char| ('!'..='~').contains(&c) && c != '#';
    if target.is_empty() || target.len() > 16384 || !target.chars().all(visible) {
        return None;
    }
    let http11 = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    Some((method.to_owned(), target.to_owned(), http11))
}

/// The authority of an absolute-form target. `None` when the target is refused.
fn target_authority(method: &str, target: &str) -> Option<Option<String>> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Some(None);
    }
    let (scheme, rest) = target.split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let authority = rest.split(['/', '?']).next()?;
    valid_host(authority).then(|| Some(authority.to_owned()))
}

fn valid_host(authority: &str) -> bool {
    let (name, port) = match authority.rfind(']') {
        Some(close) => authority.split_at(close + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_ok = port.is_empty()
        || port.strip_prefix(':').is_some_and(|p| {
            p.len() <= 5
                && p.chars().all(|c| c.is_ascii_digit())
                && p.parse::<u32>().is_ok_and(|p| (1..=65535).contains(&p))
        });
    let name_ok = match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let trimmed = name.strip_suffix('.').unwrap_or(name);
            name.len() <= 254
                && trimmed.split('.').all(|label| {
                    !label.is_empty()
                        && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_~".contains(c))
                })
        }
    };
    port_ok && name_ok
}

fn all<'a>(fields: &'a [(String, Vec<u8>)], name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_slice()).collect()
}

fn host(
    fields: &[(String, Vec<u8>)],
    authority: Option<String>,
    http11: bool,
) -> Option<Option<String>> {
    match all(fields, "host")[..] {
        [] if http11 => None,
        [] => Some(authority),
        [b""] => authority.map(Some),
        [value] => {
            let value = std::str::from_utf8(value).ok()?;
            valid_host(value).then(|| Some(authority.unwrap_or_else(|| value.to_owned())))
        }
        _ => None,
    }
}

fn framing(fields: &[(String, Vec<u8>)], http11: bool) -> Option<String> {
    match (&all(fields, "transfer-encoding")[..], &all(fields, "content-length")[..]) {
        ([], []) => Some("none".to_owned()),
        ([], [length]) => {
            let digits = std::str::from_utf8(length).ok()?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            // What fits a signed number of 64 bits.
            digits.parse::<i64>().ok().filter(|_| plain).map(|n| n.to_string())
        }
        ([coding], []) if http11 && coding.eq_ignore_ascii_case(b"chunked") => {
            Some("chunked".to_owned())
        }
        _ => None,
    }
}

fn connection_and_expect(fields: &[(String, Vec<u8>)], http11: bool) -> Option<()> {
    let mut options = 0;
    for value in all(fields, "connection") {
        let value: String = value.iter().map(|b| char::from(*b)).collect();
        for option in value.split(',').map(|o| o.trim_matches([' ', '\t'])) {
            if option.is_empty() {
                continue;
            }
            options += 1;
            if !token(option) {
                return None;
            }
        }
    }
    let expects = all(fields, "expect");
    let odd = expects.iter().any(|v| !v.eq_ignore_ascii_case(b"100-continue"));
    (options <= 32 && !(http11 && odd)).then_some(())
}

/// Decodes a whole chunked body without extensions and trailers. `None` when it has them, is not
/// complete or is malformed.
pub fn plain_chunks(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let line = find(&input[at..], b"\r\n")?;
        let digits = std::str::from_utf8(&input[at..at + line]).ok()?;
        if digits.is_empty() || digits.len() > 16 || !digits.chars().all(|c| c.is_ascii_hexdigit())
        {
            return None;
        }
        let size = usize::try_from(u64::from_str_radix(digits, 16).ok()?).ok()?;
        at += line + 2;
        if size == 0 {
            return input[at..].starts_with(b"\r\n").then_some((data, at + 2));
        }
        data.extend_from_slice(input.get(at..at.checked_add(size)?)?);
        at += size;
        if !input[at..].starts_with(b"\r\n") {
            return None;
        }
        at += 2;
    }
}
