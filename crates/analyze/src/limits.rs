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
