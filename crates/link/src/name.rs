//! Who is on the stream.

use std::{fmt, sync::Arc};

use crate::limits::{GATEWAY_UID_BYTES_MAX, PROXY_NAME_BYTES_MAX};

/// The UID of a Gateway object: what an identity certificate proves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayUid(Arc<str>);

/// The name of one proxy of a Gateway: of its Pod. It proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyName(Arc<str>);

impl GatewayUid {
    /// `None` unless it consists of 1 to 128 letters, digits, `-`, `_` and `.`.
    pub fn new(text: &str) -> Option<Self> {
        is_name(text, GATEWAY_UID_BYTES_MAX).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ProxyName {
    /// `None` unless it consists of 1 to 253 letters, digits, `-`, `_` and `.`.
    pub fn new(text: &str) -> Option<Self> {
        is_name(text, PROXY_NAME_BYTES_MAX).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl fmt::Display for GatewayUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ProxyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
