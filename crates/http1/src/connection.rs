//! The field `Connection`: its options, and the fields they take out of the message.

use crate::field::{Disposition, FieldIndex};
use crate::scan::{is_token, trim};
use crate::{Known, Span};

/// What the fields `Connection` of one head say.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// All options in order.
    pub(crate) options: Vec<Span>,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// An option names a field that a peer may not have removed.
    pub(crate) protected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionError {
    NotToken,
    TooMany,
}

impl Connection {
    pub(crate) fn clear(&mut self) {
        self.options.clear();
        self.close = false;
        self.keep_alive = false;
        self.upgrade = false;
        self.protected = false;
    }

    /// Reads all fields `Connection` and marks the fields they list. `max_options` bounds the
    /// work, which is options times fields.
    pub(crate) fn gather(
        &mut self,
        buf: &[u8],
        index: &mut FieldIndex,
        max_options: usize,
    ) -> Result<(), ConnectionError> {
        if !index.has(Known::Connection) {
            return Ok(());
        }
        for field in index.iter().filter(|f| f.known == Some(Known::Connection)) {
            self.split(buf, field.value, max_options)?;
        }
        for option in &self.options {
            let name = option.of(buf);
            if name.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if name.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if name.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if is_protected(name) {
                self.protected = true;
            } else {
                nominate(buf, index, name);
            }
        }
        Ok(())
    }

    /// Splits one value at its commas. Empty elements are skipped (RFC 9110 section 5.6.1.2).
    fn split(
        &mut self,
        buf: &[u8],
        value: Span,
        max_options: usize,
    ) -> Result<(), ConnectionError> {
        let mut start = value.start as usize;
        for element in value.of(buf).split(|b| *b == b',') {
            let end = start + element.len();
            let (from, to) = trim(buf, start, end);
            start = end + 1;
            if from == to {
                continue;
            }
            let option = Span::new(from, to);
            if !is_token(option.of(buf)) {
                return Err(ConnectionError::NotToken);
            }
            if self.options.len() >= max_options {
                return Err(ConnectionError::TooMany);
            }
            self.options.push(option);
        }
        Ok(())
    }
}

fn nominate(buf: &[u8], index: &mut FieldIndex, name: &[u8]) {
    for field in index.iter_mut() {
        if field.disposition == Disposition::Forward
            && field.name.len() == name.len()
            && field.name.of(buf).eq_ignore_ascii_case(name)
        {
            field.disposition = Disposition::Nominated;
        }
    }
}

/// Fields that carry identity, framing or what a proxy before us vouches for. A peer that could
/// have them removed could change who it seems to be, or what a policy behind us sees.
fn is_protected(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x-forwarded-";
    let forwarded = name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX));
    let known = match Known::from_token(name) {
        Some(
            Known::Authorization
            | Known::ContentLength
            | Known::ContentType
            | Known::Cookie
            | Known::Date
            | Known::EarlyData
            | Known::Expect
            | Known::Forwarded
            | Known::Host
            | Known::Location
            | Known::Origin
            | Known::ProxyAuthenticate
            | Known::ProxyAuthorization
            | Known::SetCookie
            | Known::TransferEncoding
            | Known::Vary
            | Known::Via
            | Known::XRealIp
            | Known::XRequestId,
        ) => true,
        Some(_) | None => false,
    };
    forwarded || known
}
