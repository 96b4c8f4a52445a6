//! Session persistence (GEP-1619): a session pins the endpoint inside the backend that weights
//! chose, never the backend.

use std::{sync::Arc, time::Duration};

use crate::{FieldName, Origin};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPersistence {
    pub origin: Origin,
    /// Of the cookie or of the header.
    pub name: FieldName,
    pub place: SessionPlace,
    /// A session ends so long after it began.
    pub absolute_timeout: Option<Duration>,
    /// A session ends so long after its last request.
    pub idle_timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionPlace {
    Cookie { path: Arc<str>, lifetime: CookieLifetime },
    Header,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieLifetime {
    /// Neither `Expires` nor `Max-Age` is sent.
    Session,
    /// As long as [`SessionPersistence::absolute_timeout`], which is then set.
    Permanent,
}
