//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Changes from the API server that may wait for the owner of the snapshot; watches wait then.
pub const CHANGE_QUEUE: usize = 1024;

/// Quiet time after a change before the snapshot is translated.
pub const DEBOUNCE_QUIET: Duration = Duration::from_millis(20);

/// Longest wait for that quiet time.
pub const DEBOUNCE_LONGEST: Duration = Duration::from_millis(100);

/// Time between two looks at which kinds the API server serves.
pub const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);

/// Longest wait for one answer of the API server, watches aside.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Statuses that are being written at a time.
pub const STATUS_WRITES: usize = 16;

/// Tries to write one status before the next change is waited for.
pub const STATUS_TRIES: usize = 5;

/// Wait before a status is tried again that could not be written.
pub const STATUS_RETRY: Duration = Duration::from_secs(5);

/// Services for the pods of XBackends that are being written at a time.
pub const SELECTOR_WRITES: usize = 16;

/// Wait before such a Service is tried again that could not be written.
pub const SELECTOR_RETRY: Duration = Duration::from_secs(5);

/// Secrets and ConfigMaps that are being read at a time.
pub const FETCHES: usize = 16;

/// Events that may be written in [`EVENT_WINDOW`]; the others are left out and counted.
pub const EVENTS_MAX: usize = 100;

/// See [`EVENTS_MAX`].
pub const EVENT_WINDOW: Duration = Duration::from_secs(60);

/// Events of which it is remembered how often they were written.
pub const EVENTS_KNOWN: usize = 10_000;

/// Bytes of an event's note (the API's limit is 1024).
pub const EVENT_NOTE_BYTES: usize = 1000;

/// How long a lease holds without being renewed.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);

/// A leader that could not renew its lease for this long leads no more.
pub const LEASE_DEADLINE: Duration = Duration::from_secs(10);

/// Time between two looks at the lease.
pub const LEASE_RETRY: Duration = Duration::from_secs(2);

/// Longest wait for the answer to one request about the lease.
pub const LEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the pods of a Gateway may take over a new revision before its status says that they
/// have not.
pub const ACK_PATIENCE: Duration = Duration::from_secs(3);

/// How long pods may take to come back to a controller that has just begun to lead, before the
/// status of their Gateways says that they have not.
pub const RECONNECT_PATIENCE: Duration = Duration::from_secs(20);
