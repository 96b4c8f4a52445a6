//! Every bound of this crate, in one place.

use std::time::Duration;

/// Bytes of one file; a longer one is not read.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// Bytes of one YAML document. An object of an API server has at most 1.5 MiB; a list dumped from
/// a cluster is one document too.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// Files that one PATH may expand to.
pub const MAX_FILES: usize = 50_000;

/// Folders below one another.
pub const MAX_FOLDER_DEPTH: usize = 32;

/// Nested maps and sequences, aliases expanded.
pub const MAX_DEPTH: usize = 64;

/// Cost of what the aliases of one document may add, in bytes: the text of the scalars plus
/// [`NODE_COST`] for each node. This is what stops the document whose aliases multiply.
pub const MAX_ALIAS_COST: usize = 4 << 20;

/// Cost of a node that an alias copies, besides its text.
pub const NODE_COST: usize = 32;

/// Problems reported for one document; the rest is counted.
pub const MAX_PROBLEMS: usize = 20;

/// Characters of a map key before its colon (YAML 1.1 and 1.2 both say 1024).
pub const MAX_SIMPLE_KEY: usize = 1024;

/// Endpoints that the annotation or `--backend` may name for one Service.
pub const MAX_ANNOTATED_ENDPOINTS: usize = 1000;

/// Quiet time after a file event before the files are read again.
pub const DEBOUNCE_QUIET: std::time::Duration = std::time::Duration::from_millis(10);

/// Longest wait for that quiet time.
pub const DEBOUNCE_LONGEST: std::time::Duration = std::time::Duration::from_millis(100);

/// Interval of the comparison that finds changes on file systems without events.
pub const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_secs(3);

/// Time between two look-ups of the host names of backends.
pub const NAME_INTERVAL: Duration = Duration::from_secs(30);

/// Host names that are looked up at a time.
pub const NAME_LOOKUPS: usize = 16;

/// Host names of backends in all; the others have no addresses.
pub const NAMES_MAX: usize = 1000;

/// Addresses of one host name that are used.
pub const NAME_ADDRESSES_MAX: usize = 64;
