//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Largest request body that the admin endpoint reads, in bytes; more is answered with 413.
pub(crate) const ADMIN_BODY_BYTES_MAX: usize = 1 << 20;

/// Longest wait for the head of a request to the admin endpoint.
pub(crate) const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait at the end of a drain for clients of the admin endpoint to close their connections.
pub(crate) const ADMIN_CLOSE_MAX: Duration = Duration::from_secs(1);

/// Longest wait of `drain` until the admin endpoint takes the connection, and until it answers that
/// the drain has begun.
pub(crate) const DRAIN_ANSWER_MAX: Duration = Duration::from_secs(30);

/// Longest status line that `drain` reads, in bytes.
pub(crate) const DRAIN_STATUS_LINE_MAX: u64 = 1024;

/// Rules that the banner of `serve` lists; a large configuration is looked at with `status`.
pub(crate) const BANNER_RULES_MAX: usize = 20;

/// Routes that are attached nowhere which `explain` names.
pub(crate) const EXPLAIN_IDLE_ROUTES_MAX: usize = 5;

/// Longest wait that a `delay` in the query may ask a demo backend for.
pub(crate) const DEMO_DELAY_MAX: Duration = Duration::from_secs(30);

/// Requests whose attempts the demo backends remember.
pub(crate) const DEMO_ATTEMPTS_MAX: usize = 256;

/// Largest datagram that a demo backend sends back whole, in bytes.
pub(crate) const DEMO_DATAGRAM_MAX: usize = 64 * 1024;
