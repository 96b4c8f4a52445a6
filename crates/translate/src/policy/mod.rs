//! Policies: objects that change how others are treated.

pub(crate) mod backend_tls;
