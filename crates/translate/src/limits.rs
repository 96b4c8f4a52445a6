//! Every bound of this crate, with its unit.

/// Conditions in one list of a status that the API admits, those of others included.
pub const CONDITIONS_MAX: usize = 8;

/// Entries in `ancestors` of a policy's status that the API admits.
pub const POLICY_ANCESTORS_MAX: usize = 16;

/// Entries in `ancestors` of an XBackend's status that the API admits.
pub const BACKEND_ANCESTORS_MAX: usize = 32;

/// Entries in `parents` of a route's status that the API admits.
pub const PARENTS_MAX: usize = 32;

/// Sentences of findings that share one condition; more are counted, not shown.
pub const SENTENCES_MAX: usize = 4;

/// Addresses of one network that are tried for a Gateway without an address of its own.
pub const NETWORK_ADDRESSES_MAX: usize = 4096;

/// Networks that one listener may trust.
pub const TRUSTED_NETWORKS_MAX: usize = 256;

/// Certificates in one chain; more are refused.
pub const CHAIN_MAX: usize = 16;

/// Certificates in one bundle of authorities; more are refused.
pub const AUTHORITIES_MAX: usize = 1024;

/// Bytes of a request body that an authorization service may be shown (`forwardBody.maxSize`).
pub const AUTH_BODY_BYTES_MAX: u32 = 1 << 20;

/// Names among which the nearest is looked for; with more of them none is suggested.
pub const HINT_CANDIDATES_MAX: usize = 10_000;

/// Compiled regular expressions of all routes of one namespace, in bytes: those of the youngest
/// routes beyond it are dropped.
pub const NAMESPACE_PATTERNS_BYTES_MAX: usize = 128 << 20;

/// Weight of a backend reference; a larger one counts as this one.
pub const WEIGHT_MAX: u32 = 1_000_000;
