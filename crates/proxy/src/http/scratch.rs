//! What a busy connection needs and an idle one gives back.

use std::{cell::Cell, fmt::Write as _, net::SocketAddr};

use http1::{BodyDecoder, RequestHead, ResponseHead};
use ir::{FieldName, FieldValue, Overlay};

use crate::{
    buffer::{Buffer, Outgoing},
    limits::Limits,
    reserve::Reserve,
};

/// Memory of one exchange at a time, reused by the next.
#[derive(Default)]
pub(crate) struct Scratch {
    /// From the client; keeps the request head while its exchange lasts.
    pub(crate) input: Buffer,
    pub(crate) from_upstream: Buffer,
    pub(crate) to_upstream: Outgoing,
    pub(crate) to_client: Outgoing,
    pub(crate) request: RequestHead,
    pub(crate) response: ResponseHead,
    pub(crate) request_body: BodyDecoder,
    pub(crate) response_body: BodyDecoder,
    pub(crate) request_overlay: Overlay,
    pub(crate) response_overlay: Overlay,
    /// Fields that authorization services add to the response.
    pub(crate) added: Vec<(FieldName, FieldValue)>,
    pub(crate) names: Names,
}

/// Texts derived from the request head.
#[derive(Default)]
pub(crate) struct Names {
    /// Host with port as received; empty when the request has none.
    pub(crate) authority: String,
    /// Canonical host without port; empty when the request has none.
    pub(crate) host: String,
    /// Canonical path.
    pub(crate) path: String,
    /// Value of the request id that is forwarded and logged.
    pub(crate) request_id: String,
    /// The peer's address.
    pub(crate) peer: String,
    /// How the session names the endpoint of this attempt; empty without a session.
    pub(crate) session: String,
    /// A gRPC call: answers of ours have gRPC's form.
    pub(crate) grpc: bool,
}

impl Names {
    pub(crate) fn set_peer(&mut self, peer: SocketAddr) {
        self.peer.clear();
        if write!(self.peer, "{}", peer.ip()).is_err() {
            tracing::debug!("an address failed to format");
        }
    }

    /// Forgets what belongs to one request.
    pub(crate) fn clear(&mut self) {
        self.authority.clear();
        self.host.clear();
        self.path.clear();
        self.request_id.clear();
        self.session.clear();
        self.grpc = false;
    }
}

/// Scratches of one worker that wait for their next use.
#[derive(Default)]
pub(crate) struct ScratchPool {
    free: Reserve<Box<Scratch>>,
    taken: Cell<usize>,
}

impl ScratchPool {
    pub(crate) fn take(&self) -> Box<Scratch> {
        self.taken.set(self.taken.get().saturating_add(1));
        self.free.take().unwrap_or_default()
    }

    /// Frees what nobody needed since the last call. Returns how many remain.
    pub(crate) fn trim(&self) -> usize {
        drop(self.free.trim());
        self.free.len()
    }

    /// Whether so few are in use that a connection may hold on to its own between requests.
    pub(crate) fn has_room(&self, limits: &Limits) -> bool {
        self.taken.get() <= limits.scratch_kept
    }

    /// Takes a scratch back; what grew beyond the usual is freed.
    pub(crate) fn give(&self, mut scratch: Box<Scratch>, limits: &Limits) {
        self.taken.set(self.taken.get().saturating_sub(1));
        if self.free.len() >= limits.scratch_kept {
            return;
        }
        for buffer in [&mut scratch.input, &mut scratch.from_upstream] {
            buffer.clear();
            if buffer.capacity() > limits.buffer_initial {
                *buffer = Buffer::default();
            }
        }
        for outgoing in [&mut scratch.to_upstream, &mut scratch.to_client] {
            outgoing.clear();
            if outgoing.bytes.capacity() > limits.buffer_initial.saturating_mul(2) {
                *outgoing = Outgoing::default();
            }
        }
        scratch.request.reset();
        scratch.response.reset();
        self.free.give(scratch);
    }
}
