//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Encoded size of one entity in bytes. An object of Kubernetes has at most 1.5 MiB.
pub const ENTITY_BYTES_MAX: usize = 4 << 20;

/// Size of one message in bytes: an entity and its frame.
pub const FRAME_BYTES_MAX: usize = 4100 * 1024;

/// Size in bytes of a message of a peer that has not introduced itself.
pub const GREETING_BYTES_MAX: usize = 4 * 1024;

/// Elements of all lists of one entity: what a small message can make its reader allocate.
pub const ENTITY_ITEMS_MAX: usize = 1_000_000;

/// Entities of one Gateway, endpoint sets included.
pub const ENTITIES_MAX: usize = 250_000;

/// Encoded size of all changes that one revision brings, in bytes.
pub const CHANGE_BYTES_MAX: usize = 1024 << 20;

/// Entities a proxy names in one message when it says what it holds.
pub const HELD_PER_MESSAGE: usize = 4096;

/// Ports in an acknowledgement.
pub const PORTS_MAX: usize = 4096;

/// Letters of a reason, such as why a port could not be bound, in bytes; more is cut off.
pub const REASON_BYTES_MAX: usize = 512;

/// Bytes of a Gateway's UID.
pub const GATEWAY_UID_BYTES_MAX: usize = 128;

/// Bytes of a proxy's name, as of a Pod.
pub const PROXY_NAME_BYTES_MAX: usize = 253;

/// Connections of proxies to one controller.
pub const CONNECTIONS_MAX: usize = 8192;

/// Connections that may be in their handshake at a time.
pub const HANDSHAKES_MAX: usize = 256;

/// Messages of a proxy that wait for their session.
pub const INBOUND_QUEUE: usize = 16;

/// Events that wait for the controller; then sessions wait.
pub const EVENT_QUEUE: usize = 1024;

/// Acknowledgements that wait for the stream.
pub const ACK_QUEUE: usize = 16;

/// Size of the file with the last good configuration, in bytes.
pub const STATE_FILE_BYTES_MAX: u64 = 1024 << 20;

/// Size of each file of an identity, in bytes.
pub const IDENTITY_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// From the accepted connection to a complete greeting.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// For the peer to take one message.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// For a proxy to acknowledge a revision.
pub const ACK_DEADLINE: Duration = Duration::from_secs(60);

/// Silence after which a side says that it is there.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Silence of the peer after which the connection is given up.
pub const SILENCE_MAX: Duration = Duration::from_secs(35);

/// Wait before the second try to reach a controller, of which a random part of at least a half is
/// waited; doubled for each further try.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(200);

/// Longest wait between two tries to reach a controller.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// Redirects that are followed one after another without a wait.
pub const REDIRECTS_MAX: u32 = 3;

/// How often an identity's files are looked at while a stream is open.
pub const IDENTITY_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Between two writes of the last good configuration when only endpoints changed.
pub const STATE_WRITE_INTERVAL: Duration = Duration::from_secs(2);
