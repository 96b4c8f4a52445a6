//! Every bound of this crate, with its unit.

/// Matches that lost which `explain` names in a section unless all are asked for.
pub const OTHERS_MAX: usize = 12;

/// Those among them that lost by their path.
pub const OTHERS_BY_PATH_MAX: usize = 5;

/// Hosts that a hint of `explain` names.
pub const HOSTS_NAMED_MAX: usize = 5;

/// Characters of the widest first column of a table; longer cells push the rest of their line.
pub const COLUMN_MAX: usize = 64;

/// Regular expressions of one hostname that `lint` compares with each match.
pub const SHADOW_PATTERNS_MAX: usize = 256;

/// Earlier matches with a fitting path that `lint` compares with each match.
pub const SHADOW_CANDIDATES_MAX: usize = 1024;

/// A certificate that ends within this time is reported, in seconds: 30 days, time enough to renew
/// one by hand.
pub const EXPIRES_SOON_SECONDS: i64 = 30 * 86_400;

/// The part of its life that a certificate must have before it to go unreported, as its
/// denominator, where that is less than `EXPIRES_SOON_SECONDS`: what renews certificates by itself
/// does so when a third is left, so with a quarter left it is late.
pub const EXPIRES_SOON_PART: i64 = 4;

/// Bits of the shortest RSA key that goes unreported.
pub const RSA_BITS_MIN: usize = 2048;
