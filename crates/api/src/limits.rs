//! Every bound of this crate, with its unit.

/// Octets in a hostname, the CRDs' limit.
pub const HOSTNAME_LENGTH_MAX: usize = 253;

/// Decode issues kept per object; one more says that there were others.
pub const ISSUES_MAX: usize = 100;

/// Errors of the schema reported for one object; as many warnings.
pub const VIOLATIONS_MAX: usize = 256;

/// Octets of a name that is compared with others to find the nearest: the cost grows with the
/// product of lengths, and no name that people type is longer.
pub const NEAR_NAME_MAX: usize = 64;

/// Octets of all annotations of an object together, the API server's limit.
pub const ANNOTATIONS_SIZE_MAX: usize = 256 * 1024;
