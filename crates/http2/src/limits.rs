//! The bounds of the codec that nobody sets; the others are in [`Config`](crate::Config).

/// Length of the windows in which frames are counted, in seconds.
pub(crate) const WINDOW_SECONDS: u64 = 10;
/// Payload bytes, either way, that excuse one control frame: a peer that moves data has to send
/// window updates, and may probe the path with pings.
pub(crate) const BYTES_PER_CONTROL: u64 = 256;
/// Control frames that come with one request: priorities, window updates.
pub(crate) const CONTROLS_PER_REQUEST: u64 = 4;
/// Control frames that come with a piece of content: windows of the stream and of the connection,
/// and a ping, which gRPC sends for each of its messages.
pub(crate) const CONTROLS_PER_CONTENT: u64 = 3;
/// Bytes of a connection's window, and of its output, for which one more stream is woken that waits
/// for them.
pub(crate) const BYTES_PER_WAKE: usize = 4 * 1024;
/// Bytes of a field block in pieces, beyond the bound of the decoded section: one that takes more
/// will not end.
pub(crate) const BLOCK_SLACK: usize = 16 * 1024;
/// Interim answers on one stream that wait to be read.
pub(crate) const RESPONSES_MOST: usize = 32;
/// Streams of a client that we reset lately and whose late frames are passed over.
pub(crate) const FORGOTTEN_MOST: usize = 256;
/// Field sections whose memory is kept while streams are in progress.
pub(crate) const SPARE_MOST: usize = 16;
/// Longest value that enters the table of our encoder, in bytes; it would replace many others.
pub(crate) const INDEXED_VALUE_MOST: usize = 1024;
