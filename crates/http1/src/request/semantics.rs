//! What a syntactically sound request head means, or why it means nothing.

use super::{Meaning, RequestHead};
use crate::authority::parse_authority;
use crate::connection::ConnectionError;
use crate::error::RequestErrorReason as Reason;
use crate::field::FieldIndex;
use crate::scan::trim;
use crate::transfer::{Coding, Facts, content_length, transfer_coding};
use crate::{
    Authority, BodyFraming, Disposition, Known, Limits, Method, Scheme, Span, Target,
    UnderscoreNames, Version,
};

impl RequestHead {
    pub(super) fn understand(&mut self, buf: &[u8], limits: &Limits) -> Result<(), Reason> {
        let method = Method::from_bytes(self.method.of(buf));
        let target = target(buf, method, self.raw_target)?;
        check_method(method, limits)?;
        check_underscores(&self.fields, limits)?;
        let facts = Facts::gather(&self.fields);
        let authority = authority(buf, target, &facts, self.version)?;
        let framing = framing(buf, &facts, self.version, limits)?;
        self.connection.gather(buf, &mut self.fields, limits.connection_options).map_err(
            |error| match error {
                ConnectionError::NotToken => Reason::Connection,
                ConnectionError::TooMany => Reason::OptionsTooMany,
            },
        )?;
        let http11 = self.version == Version::Http11;
        let expects = expects_continue(buf, &self.fields, self.version)? && framing.has_body();
        if !expects && self.fields.has(Known::Expect) {
            for field in self.fields.iter_mut().filter(|f| f.known == Some(Known::Expect)) {
                field.disposition = Disposition::HopByHop;
            }
        }
        self.meaning = Meaning {
            method,
            target,
            authority,
            framing,
            keep_alive: !self.connection.close && (http11 || self.connection.keep_alive),
            expect_continue: expects,
            upgrade: (http11 && self.connection.upgrade && facts.upgrade.count == 1)
                .then_some(facts.upgrade.value),
            te_trailers: te_trailers(buf, &self.fields),
        };
        Ok(())
    }
}

fn check_method(method: Method, limits: &Limits) -> Result<(), Reason> {
    let allowed = match method {
        Method::Connect => limits.allow_connect,
        Method::Trace => limits.allow_trace,
        Method::Delete
        | Method::Get
        | Method::Head
        | Method::Options
        | Method::Patch
        | Method::Post
        | Method::Put
        | Method::Other => true,
    };
    if allowed { Ok(()) } else { Err(Reason::MethodNotAllowed) }
}

fn check_underscores(fields: &FieldIndex, limits: &Limits) -> Result<(), Reason> {
    if limits.underscore_names == UnderscoreNames::Reject
        && fields.iter().any(|f| f.disposition == Disposition::Underscore)
    {
        return Err(Reason::UnderscoreName);
    }
    Ok(())
}

fn target(buf: &[u8], method: Method, at: Span) -> Result<Target, Reason> {
    let bytes = at.of(buf);
    if method == Method::Connect {
        // The path form of CONNECT is refused as a method: no gateway serves it.
        let authority = parse_authority(buf, at).filter(|a| a.port.is_some());
        return authority.map(Target::Authority).ok_or(Reason::MethodNotAllowed);
    }
    match bytes.first() {
        Some(b'/') => {
            let (path, query) = split_query(buf, at);
            Ok(Target::Origin { path, query })
        }
        Some(b'*') if bytes.len() == 1 && method == Method::Options => Ok(Target::Asterisk),
        Some(_) => absolute(buf, at),
        None => Err(Reason::TargetForm),
    }
}

fn absolute(buf: &[u8], at: Span) -> Result<Target, Reason> {
    let bytes = at.of(buf);
    let Some(colon) = bytes.windows(3).position(|w| w == b"://") else {
        return Err(Reason::TargetForm);
    };
    let scheme = match bytes.get(..colon) {
        Some(name) if name.eq_ignore_ascii_case(b"http") => Scheme::Http,
        Some(name) if name.eq_ignore_ascii_case(b"https") => Scheme::Https,
        Some(_) | None => return Err(Reason::AbsoluteForm),
    };
    let start = at.start as usize + colon + 3;
    let end = at.end as usize;
    let rest = Span::new(start, end).of(buf);
    let authority_len = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let authority = parse_authority(buf, Span::new(start, start + authority_len))
        .ok_or(Reason::AbsoluteForm)?;
    let (path, query) = split_query(buf, Span::new(start + authority_len, end));
    Ok(Target::Absolute { scheme, authority, path, query })
}

fn split_query(buf: &[u8], at: Span) -> (Span, Option<Span>) {
    match memchr::memchr(b'?', at.of(buf)) {
        None => (at, None),
        Some(mark) => {
            let mark = at.start as usize + mark;
            let query = Span::new(mark + 1, at.end as usize);
            (Span::new(at.start as usize, mark), Some(query))
        }
    }
}

/// RFC 9112 section 3.2: exactly one valid `Host` in HTTP/1.1, and an authority in the target
/// wins over it.
fn authority(
    buf: &[u8],
    target: Target,
    facts: &Facts,
    version: Version,
) -> Result<Option<Authority>, Reason> {
    let from_target = match target {
        Target::Absolute { authority, .. } | Target::Authority(authority) => Some(authority),
        Target::Origin { .. } | Target::Asterisk => None,
    };
    match facts.host.count {
        0 if version == Version::Http10 => Ok(from_target),
        0 => Err(Reason::MissingHost),
        1 if facts.host.value.is_empty() => match from_target {
            Some(authority) => Ok(Some(authority)),
            None => Err(Reason::EmptyHost),
        },
        1 => {
            let host = parse_authority(buf, facts.host.value).ok_or(Reason::Host)?;
            Ok(Some(from_target.unwrap_or(host)))
        }
        _ => Err(Reason::DuplicateHost),
    }
}

/// RFC 9112 section 6.3, with every case that it leaves to the recipient refused.
fn framing(
    buf: &[u8],
    facts: &Facts,
    version: Version,
    limits: &Limits,
) -> Result<BodyFraming, Reason> {
    match (facts.transfer_encoding.count, facts.content_length.count) {
        (0, 0) => Ok(BodyFraming::None),
        (0, 1) => {
            let length =
                content_length(facts.content_length.value.of(buf)).ok_or(Reason::ContentLength)?;
            if length > limits.content_length {
                return Err(Reason::ContentTooLarge);
            }
            Ok(BodyFraming::Length(length))
        }
        (0, _) => Err(Reason::DuplicateContentLength),
        _ if version == Version::Http10 => Err(Reason::TransferEncodingVersion),
        (1, 0) => match transfer_coding(facts.transfer_encoding.value.of(buf)) {
            Coding::Chunked => Ok(BodyFraming::Chunked),
            Coding::Malformed => Err(Reason::TransferEncoding),
            Coding::Unknown => Err(Reason::TransferEncodingUnknown),
        },
        (_, 0) => Err(Reason::DuplicateTransferEncoding),
        _ => Err(Reason::LengthAndTransferEncoding),
    }
}

/// RFC 9110 section 10.1.1: only `100-continue` is defined, and HTTP/1.0 has none of it.
fn expects_continue(buf: &[u8], fields: &FieldIndex, version: Version) -> Result<bool, Reason> {
    if version == Version::Http10 || !fields.has(Known::Expect) {
        return Ok(false);
    }
    if fields.values(Known::Expect, buf).all(|v| v.eq_ignore_ascii_case(b"100-continue")) {
        return Ok(true);
    }
    Err(Reason::Expect)
}

fn te_trailers(buf: &[u8], fields: &FieldIndex) -> bool {
    fields.values(Known::Te, buf).any(|value| {
        value.split(|b| *b == b',').any(|element| {
            let (start, end) = trim(element, 0, element.len());
            element.get(start..end).is_some_and(|e| e.eq_ignore_ascii_case(b"trailers"))
        })
    })
}
