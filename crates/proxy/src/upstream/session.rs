//! Session persistence (GEP-1619): the client itself carries which endpoint it had.
//!
//! The value is `ENDPOINT[.START.LAST]`: a digest that names an endpoint without telling its
//! address and, where the session has a timeout, when it began and was last used, in hexadecimal
//! seconds since 1970. It is no secret: a forged one leads to an endpoint that balancing may choose
//! as well.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use ir::{
    CookieLifetime, Endpoint, FieldName, FieldValue, Overlay, RequestView, SessionPersistence,
    SessionPlace,
};

/// Bytes of the digest that are used.
const TOKEN_BYTES: usize = 8;
/// A session with an idle timeout is written again when this part of the timeout has passed.
const REFRESH_PARTS: u64 = 10;

/// The name of an endpoint in sessions: the same on every worker and every data plane.
pub(crate) fn token(endpoint: &Endpoint) -> String {
    let named = format!("{} {}", endpoint.identity, endpoint.address);
    let digest = digest(&SHA256, named.as_bytes());
    digest.as_ref().iter().take(TOKEN_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The session of one request.
pub(crate) struct Session<'t> {
    persistence: &'t SessionPersistence,
    /// What the client brought, if it still counts.
    came: Option<Came>,
    /// The client speaks TLS, so that its cookie may be kept to it.
    secure: bool,
}

struct Came {
    token: String,
    /// Begin and last use; absent where the session has no timeout.
    times: Option<(u64, u64)>,
}

impl<'t> Session<'t> {
    pub(crate) fn read<V: RequestView>(
        persistence: &'t SessionPersistence,
        view: &V,
        secure: bool,
    ) -> Self {
        let name = persistence.name.as_str();
        let came = match &persistence.place {
            SessionPlace::Header => view.header(name).and_then(|value| Came::parse(&value)),
            SessionPlace::Cookie { .. } => {
                let cookies = view.header("cookie");
                cookies.and_then(|cookies| {
                    let mut pairs = cookies.split(|byte| matches!(byte, b';' | b','));
                    pairs.find_map(|pair| {
                        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?;
                        Came::parse(value.strip_prefix(b"=")?)
                    })
                })
            }
        };
        let came = came.filter(|came| came.counts(persistence));
        Self { persistence, came, secure }
    }

    /// The endpoint that the client had.
    pub(crate) fn wanted(&self) -> Option<&str> {
        self.came.as_ref().map(|came| &*came.token)
    }

    /// Tells the client its session, unless it knows already. `token` names the endpoint that
    /// answered.
    pub(crate) fn tell(&self, token: &str, overlay: &mut Overlay) {
        let now = seconds();
        let kept = self.came.as_ref().filter(|came| came.token == token);
        if kept.is_some_and(|came| !self.is_due(came, now)) {
            return;
        }
        let start = kept.and_then(|came| came.times).map_or(now, |(start, _)| start);
        let timed = self.persistence.absolute_timeout.or(self.persistence.idle_timeout).is_some();
        let value = if timed { format!("{token}.{start:x}.{now:x}") } else { token.to_owned() };
        match &self.persistence.place {
            SessionPlace::Header => {
                if let Some(value) = FieldValue::new(&value) {
                    overlay.set(&self.persistence.name, &value);
                }
            }
            SessionPlace::Cookie { path, lifetime } => {
                let cookie = self.cookie(&value, path, *lifetime, now.saturating_sub(start));
                let name = FieldName::new("set-cookie");
                if let (Some(name), Some(cookie)) = (name, FieldValue::new(&cookie)) {
                    overlay.add(&name, &cookie);
                }
            }
        }
    }

    /// Whether so much of the idle timeout has passed that the last use must be told.
    fn is_due(&self, came: &Came, now: u64) -> bool {
        match (self.persistence.idle_timeout, came.times) {
            (Some(idle), Some((_, last))) => {
                now.saturating_sub(last) >= (idle.as_secs() / REFRESH_PARTS).max(1)
            }
            (Some(_), None) | (None, _) => false,
        }
    }

    fn cookie(&self, value: &str, path: &str, lifetime: CookieLifetime, age: u64) -> String {
        let name = self.persistence.name.as_str();
        let mut cookie = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Strict");
        if self.secure {
            cookie.push_str("; Secure");
        }
        let longest = self.persistence.absolute_timeout.map_or(0, |longest| longest.as_secs());
        if lifetime == CookieLifetime::Permanent {
            cookie.push_str(&format!("; Max-Age={}", longest.saturating_sub(age)));
        }
        cookie
    }
}

impl Came {
    fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?.trim_matches('"');
        let mut parts = value.split('.');
        let token = parts.next().filter(|token| token.len() == TOKEN_BYTES.saturating_mul(2))?;
        let seconds = |text: &str| u64::from_str_radix(text, 16).ok();
        let times = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => None,
            (Some(start), Some(last), None) => Some((seconds(start)?, seconds(last)?)),
            (Some(_) | None, _, _) => return None,
        };
        Some(Self { token: token.to_owned(), times })
    }

    /// Whether no timeout of the session has passed.
    fn counts(&self, persistence: &SessionPersistence) -> bool {
        let timeouts = (persistence.absolute_timeout, persistence.idle_timeout);
        if timeouts == (None, None) {
            return true;
        }
        let Some((start, last)) = self.times else { return false };
        let now = seconds();
        let within = |since: u64, timeout: Option<Duration>| {
            timeout.is_none_or(|timeout| now.saturating_sub(since) < timeout.as_secs().max(1))
        };
        start <= now && last <= now && within(start, timeouts.0) && within(last, timeouts.1)
    }
}

/// Since 1970.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
