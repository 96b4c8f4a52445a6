//! Session persistence (GEP-1619): what a backend, a rule or a policy asks for, checked.
//!
//! Of several the nearest to the endpoints wins: XBackend, then the rule, then the policy of the
//! Service. A session pins an endpoint, never a backend: weights choose that for each request.

use std::sync::Arc;

use api::{CookieLifetimeType, SessionPersistenceType};
use ir::{CookieLifetime, FieldName, ObjectRef, Origin, SessionPersistence, SessionPlace};

use crate::code::Code;

/// Why a session cannot be kept as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// Below `sessionPersistence`; empty for the whole.
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

impl Problem {
    /// Its field, where `holder` is that of `sessionPersistence`.
    pub(crate) fn below(&self, holder: &str) -> String {
        if self.field.is_empty() { holder.to_owned() } else { format!("{holder}.{}", self.field) }
    }
}

/// A session with the name that was written, if one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) named: bool,
    inner: SessionPersistence,
}

impl Session {
    /// What keeps sessions at `backend`. A cookie without a name gets one of its own for each
    /// backend, since two backends must not share one.
    pub(crate) fn at(&self, backend: &ObjectRef) -> Arc<SessionPersistence> {
        let mut session = self.inner.clone();
        if !self.named
            && let Some(name) = FieldName::new(&generated_name(backend))
        {
            session.name = name;
        }
        Arc::new(session)
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.inner.origin
    }
}

/// Reads what is written at `origin`.
pub(crate) fn lower(origin: Origin, wanted: &api::SessionPersistence) -> Result<Session, Problem> {
    let problem = |field, message: String| Problem { code: Code::InvalidValue, field, message };
    let timeout = timeout(wanted)?;
    let (written, place) = match wanted.r#type() {
        SessionPersistenceType::Cookie if wanted.header.is_some() => {
            let message = "header is for type Header; remove it, or set type to Header".to_owned();
            return Err(problem("header", message));
        }
        SessionPersistenceType::Cookie => {
            let cookie = wanted.cookie.clone().unwrap_or_default();
            let place = SessionPlace::Cookie {
                path: cookie_path(cookie.path())?,
                lifetime: lifetime(&cookie, timeout.is_some())?,
            };
            (cookie.name, place)
        }
        SessionPersistenceType::Header if wanted.cookie.is_some() => {
            let message = "cookie is for type Cookie; remove it, or set type to Cookie".to_owned();
            return Err(problem("cookie", message));
        }
        SessionPersistenceType::Header => match &wanted.header {
            Some(header) => (Some(Arc::clone(&header.name)), SessionPlace::Header),
            None => return Err(problem("header", "type Header needs header.name".to_owned())),
        },
        SessionPersistenceType::Other(other) => {
            let message = format!("the type \"{other}\" is not known; use Cookie or Header");
            return Err(Problem { code: Code::UnknownValue, field: "type", message });
        }
    };
    let named = written.is_some();
    let text = written.unwrap_or_else(|| generated_name(&origin.object).into());
    let name = FieldName::new(&text).filter(|name| !name.is_of_connection()).ok_or_else(|| {
        let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        problem("", format!("\"{shown}\" cannot be the name of a cookie or header"))
    })?;
    let inner =
        SessionPersistence { origin, name, place, absolute_timeout: timeout, idle_timeout: None };
    Ok(Session { named, inner })
}

fn timeout(wanted: &api::SessionPersistence) -> Result<Option<std::time::Duration>, Problem> {
    let Some(text) = wanted.absolute_timeout.as_deref() else { return Ok(None) };
    match api::duration::parse(text) {
        Ok(duration) if duration.is_zero() => Ok(None),
        Ok(duration) => Ok(Some(duration)),
        Err(error) => Err(Problem {
            code: Code::InvalidValue,
            field: "absoluteTimeout",
            message: error.to_string(),
        }),
    }
}

/// A path that can stand in `Set-Cookie` (RFC 6265 4.1.1).
fn cookie_path(path: &str) -> Result<Arc<str>, Problem> {
    let clean = path.starts_with('/')
        && path.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b';');
    if clean {
        Ok(path.into())
    } else {
        let shown: String = path.chars().take(64).flat_map(char::escape_debug).collect();
        let message = format!("\"{shown}\" is not the path of a cookie; start it with /");
        Err(Problem { code: Code::InvalidValue, field: "cookie.path", message })
    }
}

fn lifetime(cookie: &api::CookieConfig, timed: bool) -> Result<CookieLifetime, Problem> {
    match cookie.lifetime_type() {
        CookieLifetimeType::Session => Ok(CookieLifetime::Session),
        CookieLifetimeType::Permanent if timed => Ok(CookieLifetime::Permanent),
        CookieLifetimeType::Permanent => Err(Problem {
            code: Code::InvalidValue,
            field: "absoluteTimeout",
            message: "a cookie with lifetimeType Permanent needs absoluteTimeout".to_owned(),
        }),
        CookieLifetimeType::Other(other) => Err(Problem {
            code: Code::UnknownValue,
            field: "cookie.lifetimeType",
            message: format!("the lifetimeType \"{other}\" is not known; use Session or Permanent"),
        }),
    }
}

/// The same for one backend in every release and on every machine: clients keep it.
fn generated_name(backend: &ObjectRef) -> String {
    let parts = [&backend.group, &backend.kind, &backend.namespace, &backend.name];
    let bytes = parts.into_iter().flat_map(|part| part.bytes().chain([b'/']));
    // FNV-1a, 64 bits.
    let digest = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("portcullis-{digest:016x}")
}
