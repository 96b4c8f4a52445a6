//! Connections that switched to another protocol: bytes both ways, nothing understood.

use std::rc::Rc;

use crate::{
    http::{connection::Connection, record::Record, scratch::Scratch},
    l4::relay::relay,
    upstream::stream::UpstreamStream,
    worker::Worker,
};

/// Copies to the end. What either side sent behind its head is in the buffers and goes first; then
/// the buffers are given up, so that an idle tunnel holds little.
pub(crate) async fn tunnel(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    scratch: &mut Scratch,
    mut upstream: UpstreamStream,
    record: &mut Record<'_>,
) {
    let early = scratch.input.unread().to_vec();
    scratch.input.consume(early.len());
    scratch.input.shrink();
    let heads = [early, std::mem::take(&mut scratch.from_upstream).unread().to_vec()];
    (scratch.to_upstream, scratch.to_client) = Default::default();
    let Connection { stream, timer, .. } = connection;
    let count = |received, sent| {
        record.received = record.received.saturating_add(received);
        record.sent = record.sent.saturating_add(sent);
    };
    record.reason = relay(worker, timer, stream, &mut upstream, heads, count).await;
}
