//! Every bound of this crate, with its unit.

/// Compiled size above which one pattern is refused, in bytes: many tenants share one process.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiled size above which the patterns of one host are tried one by one instead of together,
/// in bytes.
pub const PATTERN_SET_BYTES_MAX: usize = 8 << 20;

/// Number of regular expressions in one host from which they are tried together.
pub const PATTERN_SET_MIN: usize = 4;

/// Candidates that are looked at for the hint on a miss.
pub const CLOSEST_CANDIDATES_MAX: usize = 256;

/// A host name in bytes, without port (RFC 1035 2.3.4 counts 253 visible characters).
pub const HOST_BYTES_MAX: usize = 253;

/// Query parameters that are looked through in order; more are put into a map first.
pub const QUERY_INLINE_MAX: usize = 16;
