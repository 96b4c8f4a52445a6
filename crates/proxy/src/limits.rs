//! Every bound of the data plane, in one place.

use std::time::Duration;

/// Bounds on what one process, connection or request may cost.
///
/// Sizes are bytes, counts are per process unless a field says otherwise, and a duration is
/// measured with the worker's coarse clock (a late firing of up to 50 ms is normal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Downstream connections of the whole process; one more is closed at once.
    pub connections: usize,
    /// Requests in progress in the whole process; one more is refused with 503. Each may need a
    /// connection to a backend.
    pub requests: usize,
    /// Downstream connections of one client address, whole process; `None` does not count them.
    pub connections_per_source: Option<usize>,
    /// Bytes that the process may hold; `None` watches nothing. Near it, idle connections are
    /// closed (80 %), then requests refused (90 %), then connections (95 %).
    pub memory: Option<usize>,
    /// Bytes of `memory` that are set aside for a request in progress: its buffers, and what the
    /// kernel holds for its connections. Further requests are refused.
    pub request_memory: usize,
    /// TLS handshakes in progress, per worker; one more connection is closed at once.
    pub handshakes: usize,
    /// From the first byte of a request to the end of its head.
    pub head_timeout: Duration,
    /// Without a byte of a request body.
    pub body_idle: Duration,
    /// Bytes a second of a request body, beyond the first `body_idle` of waiting for the client.
    pub body_rate: u32,
    /// Between two requests of one connection.
    pub keep_alive: Duration,
    /// The same while nine tenths of `connections` are open.
    pub keep_alive_crowded: Duration,
    /// Without the client taking a byte of a response.
    pub write_idle: Duration,
    /// Bytes a second that the client must take of a response that waits for it, beyond the first
    /// `write_idle`.
    pub write_rate: u32,
    /// TCP connect to one endpoint, and the TLS handshake where there is one.
    pub connect: Duration,
    /// Without a byte from a backend that owes a response.
    pub response_idle: Duration,
    /// Without a byte in either direction of an upgraded, TCP or TLS connection.
    pub tunnel_idle: Duration,
    /// Without a side of an upgraded, TCP or TLS connection taking a byte of what waits for it,
    /// whatever moves the other way.
    pub tunnel_write_idle: Duration,
    /// ClientHello and TLS handshake, together.
    pub handshake_timeout: Duration,
    /// Size of a ClientHello with its record headers.
    pub client_hello: usize,
    /// Interim (1xx) responses before a final one.
    pub interim_responses: u32,
    /// Unread request body that is read and dropped to keep a connection.
    pub drain_body: usize,
    /// Request bytes, head included, kept for another attempt.
    pub replay: usize,
    /// First size of a buffer, in bytes.
    pub buffer_initial: usize,
    /// Largest size of a buffer, in bytes.
    pub buffer_largest: usize,
    /// Sets of buffers, and tasks for requests of HTTP/2, that a worker keeps for reuse.
    pub scratch_kept: usize,
    /// One answer of an authorization service, with the connecting before it.
    pub auth_timeout: Duration,
    /// Body of an authorization service's answer, in bytes; a larger one refuses the request.
    pub auth_answer: usize,
    /// Request body bytes that a mirror may lag behind before it is dropped.
    pub mirror_backlog: usize,
    /// Mirror requests in flight, per worker.
    pub mirrors: usize,
    /// Idle upstream connections per endpoint and worker.
    pub pool_per_endpoint: usize,
    /// How long an upstream connection may idle.
    pub pool_idle: Duration,
    /// Endpoints tried for one request when connects fail, where the rule has no `retry`.
    pub connect_attempts: u32,
    /// Pause before the first retry, where the rule names none; it doubles with each.
    pub retry_backoff: Duration,
    /// Longest pause before a retry, unless the rule's own first one is longer.
    pub retry_backoff_most: Duration,
    /// Requests in progress on one HTTP/2 connection, from a client or to an endpoint.
    pub http2_streams: u32,
    /// Bytes that an HTTP/2 peer may send of one body before they are used.
    pub http2_window: u32,
    /// The same for all bodies of one client's connection.
    pub http2_connection_window: u32,
    /// Bytes that wait for the socket of an HTTP/2 connection, from which on bodies wait.
    pub http2_send_buffer: usize,
    /// Size of a decoded HTTP/2 header list, as RFC 9113 6.5.2 counts it.
    pub http2_header_list: usize,
    /// Bytes of the heads of all requests in progress on one client's HTTP/2 connection; what goes
    /// beyond is refused, to be sent again later.
    pub http2_heads: usize,
    /// HTTP/2 streams that a client may cancel, or make us cancel, in ten seconds.
    pub http2_resets: u32,
    /// HTTP/2 frames without content that a peer may send in ten seconds, beyond those that its
    /// traffic excuses.
    pub http2_control_frames: u32,
    /// HTTP/2 requests of one connection that were refused for their form.
    pub http2_glitches: u32,
    /// HTTP/2 connections per endpoint and worker.
    pub http2_connections: usize,
    /// How long a connection keeps its buffers after a response, while at most `scratch_kept`
    /// connections of its worker have buffers; beyond that it gives them back at once.
    pub linger: Duration,
    /// Commands queued to a worker.
    pub commands: usize,
    /// Bytes of access log lines a worker collects before it hands them to the writer.
    pub log_batch: usize,
    /// Batches queued to the access log writer; when full, lines are dropped and counted.
    pub log_queue: usize,
    /// Misses per second and worker that are explained in the access log.
    pub explained_misses: u32,
    /// Pause after an accept that failed for want of a resource.
    pub accept_backoff: Duration,
    /// Pending connections that the kernel queues per socket.
    pub backlog: i32,
    /// Rules with counters of their own; further ones share one series.
    pub metric_series: usize,
    /// UDP flows of the whole process, shared evenly by the workers; one more ends another.
    pub udp_flows: usize,
    /// UDP flows of one client address, per port and worker.
    pub udp_flows_per_source: usize,
    /// Without a datagram in either direction of a UDP flow.
    pub udp_idle: Duration,
    /// Datagrams sent to a UDP client before it sends again, unless it answered to one before.
    pub udp_replies: u32,
    /// What an HTTP/1.1 head may hold.
    pub head: http1::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            requests: 100_000,
            connections_per_source: None,
            memory: None,
            request_memory: 96 * 1024,
            handshakes: 1_000,
            head_timeout: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            body_rate: 16,
            keep_alive: Duration::from_secs(60),
            keep_alive_crowded: Duration::from_secs(5),
            write_idle: Duration::from_secs(30),
            write_rate: 256,
            connect: Duration::from_secs(5),
            response_idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(3600),
            tunnel_write_idle: Duration::from_secs(600),
            handshake_timeout: Duration::from_secs(10),
            client_hello: 16 * 1024,
            interim_responses: 16,
            drain_body: 64 * 1024,
            replay: 64 * 1024,
            buffer_initial: 16 * 1024,
            buffer_largest: 128 * 1024,
            scratch_kept: 128,
            auth_timeout: Duration::from_secs(5),
            auth_answer: 64 * 1024,
            mirror_backlog: 256 * 1024,
            mirrors: 256,
            pool_per_endpoint: 256,
            pool_idle: Duration::from_secs(30),
            connect_attempts: 3,
            retry_backoff: Duration::from_millis(25),
            retry_backoff_most: Duration::from_millis(250),
            http2_streams: 100,
            http2_window: 64 * 1024 - 1,
            http2_connection_window: 1024 * 1024,
            http2_send_buffer: 64 * 1024,
            http2_header_list: 32 * 1024,
            http2_heads: 512 * 1024,
            http2_resets: 200,
            http2_control_frames: 1000,
            http2_glitches: 100,
            http2_connections: 16,
            linger: Duration::from_millis(500),
            commands: 64,
            log_batch: 32 * 1024,
            log_queue: 64,
            explained_misses: 10,
            accept_backoff: Duration::from_millis(20),
            backlog: 4096,
            metric_series: 20_000,
            udp_flows: 10_000,
            udp_flows_per_source: 1_000,
            udp_idle: Duration::from_secs(60),
            udp_replies: 100,
            head: http1::Limits::default(),
        }
    }
}

impl Limits {
    /// Every bound by name, for metrics and docs; durations in milliseconds (`_ms`).
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let ms = |value: Duration| u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        vec![
            ("accept_backoff_ms", ms(self.accept_backoff)),
            ("auth_answer", count(self.auth_answer)),
            ("auth_timeout_ms", ms(self.auth_timeout)),
            ("backlog", u64::try_from(self.backlog).unwrap_or(0)),
            ("body_idle_ms", ms(self.body_idle)),
            ("body_rate", u64::from(self.body_rate)),
            ("buffer_initial", count(self.buffer_initial)),
            ("buffer_largest", count(self.buffer_largest)),
            ("client_hello", count(self.client_hello)),
            ("commands", count(self.commands)),
            ("connect_attempts", u64::from(self.connect_attempts)),
            ("connect_ms", ms(self.connect)),
            ("connections", count(self.connections)),
            ("connections_per_source", count(self.connections_per_source.unwrap_or(0))),
            ("drain_body", count(self.drain_body)),
            ("explained_misses", u64::from(self.explained_misses)),
            ("handshake_timeout_ms", ms(self.handshake_timeout)),
            ("handshakes", count(self.handshakes)),
            ("head_bytes", count(self.head.head_bytes)),
            ("head_fields", count(self.head.fields)),
            ("head_target_bytes", count(self.head.target_bytes)),
            ("head_timeout_ms", ms(self.head_timeout)),
            ("head_trailer_bytes", count(self.head.trailer_bytes)),
            ("head_value_bytes", count(self.head.value_bytes)),
            ("http2_connection_window", u64::from(self.http2_connection_window)),
            ("http2_connections", count(self.http2_connections)),
            ("http2_control_frames", u64::from(self.http2_control_frames)),
            ("http2_glitches", u64::from(self.http2_glitches)),
            ("http2_header_list", count(self.http2_header_list)),
            ("http2_heads", count(self.http2_heads)),
            ("http2_resets", u64::from(self.http2_resets)),
            ("http2_send_buffer", count(self.http2_send_buffer)),
            ("http2_streams", u64::from(self.http2_streams)),
            ("http2_window", u64::from(self.http2_window)),
            ("interim_responses", u64::from(self.interim_responses)),
            ("keep_alive_crowded_ms", ms(self.keep_alive_crowded)),
            ("keep_alive_ms", ms(self.keep_alive)),
            ("linger_ms", ms(self.linger)),
            ("log_batch", count(self.log_batch)),
            ("log_queue", count(self.log_queue)),
            ("memory", count(self.memory.unwrap_or(0))),
            ("metric_series", count(self.metric_series)),
            ("mirror_backlog", count(self.mirror_backlog)),
            ("mirrors", count(self.mirrors)),
            ("pool_idle_ms", ms(self.pool_idle)),
            ("pool_per_endpoint", count(self.pool_per_endpoint)),
            ("replay", count(self.replay)),
            ("request_memory", count(self.request_memory)),
            ("requests", count(self.requests)),
            ("response_idle_ms", ms(self.response_idle)),
            ("retry_backoff_most_ms", ms(self.retry_backoff_most)),
            ("retry_backoff_ms", ms(self.retry_backoff)),
            ("scratch_kept", count(self.scratch_kept)),
            ("tunnel_idle_ms", ms(self.tunnel_idle)),
            ("tunnel_write_idle_ms", ms(self.tunnel_write_idle)),
            ("udp_flows", count(self.udp_flows)),
            ("udp_flows_per_source", count(self.udp_flows_per_source)),
            ("udp_idle_ms", ms(self.udp_idle)),
            ("udp_replies", u64::from(self.udp_replies)),
            ("write_idle_ms", ms(self.write_idle)),
            ("write_rate", u64::from(self.write_rate)),
        ]
    }

    /// Lowers the connection cap so that it fits a limit of open files: a request needs two.
    #[must_use]
    pub fn within_files(mut self, files: usize) -> Self {
        let most = (files / 2).saturating_sub(64).max(16);
        self.connections = self.connections.min(most);
        self.udp_flows = self.udp_flows.min(most / 2).max(1);
        self.requests = Self::requests_within(files, self.connections).min(self.requests);
        self
    }

    /// Requests that a limit of open files leaves room for beside so many connections of clients:
    /// each may need a connection to a backend.
    #[must_use]
    pub fn requests_within(files: usize, connections: usize) -> usize {
        files.saturating_sub(connections).saturating_sub(64).max(16)
    }
}
