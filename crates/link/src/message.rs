//! What the two sides say to each other.

use std::sync::Arc;

use ir::{Ack, Revision};

use crate::{
    Identity,
    digest::Digest,
    secret::SecretBytes,
    wire::{Decoder, Encoder, EntityKey, Wire, WireError, lists::form},
};

/// The first message of a proxy. Its form never changes, so that any two builds can tell why they
/// do not understand each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Of the lists of `wire::lists`.
    pub(crate) fingerprint: [u8; 8],
    /// The release, for messages.
    pub(crate) release: Arc<str>,
    pub(crate) proxy: Arc<str>,
    /// What it serves.
    pub(crate) holds: Option<Revision>,
}

/// From a proxy to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromProxy {
    Ack(Ack),
    /// Entities that need not be sent again while their digests are the same.
    Held(Vec<(EntityKey, Digest)>),
    /// All entities that are held were named.
    HeldAll,
    Ping,
    Pong,
    /// The revision is older than what the proxy holds.
    Refuse {
        offered: Revision,
        holds: Revision,
    },
}

/// From the controller to a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToProxy {
    /// What follows until [`Self::Commit`] leads to this revision.
    Begin(Revision),
    /// All of it is sent. The digest is over everything that is held now.
    Commit {
        revision: Revision,
        digest: Digest,
    },
    /// This controller does not lead; the address of the one that does, if known.
    Elsewhere(Option<Arc<str>>),
    /// Use this identity from the next connection on.
    Identity(Identity),
    Ping,
    Pong,
    /// An entity, encoded.
    Put(SecretBytes),
    Refused(Refusal),
    Remove(EntityKey),
}

/// Why a controller does not serve a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its build encodes entities in another way.
    Build(Arc<str>),
    /// The Gateway is not served any more.
    Retracted,
}

form! { struct Hello { fingerprint, release, proxy, holds } }

form! { enum FromProxy {
    0 => Ack(ack),
    1 => Held(entities),
    2 => HeldAll,
    3 => Ping,
    4 => Pong,
    5 => Refuse { offered, holds },
} }

form! { enum ToProxy {
    0 => Begin(revision),
    1 => Commit { revision, digest },
    2 => Elsewhere(address),
    3 => Identity(identity),
    4 => Ping,
    5 => Pong,
    6 => Put(entity),
    7 => Refused(refusal),
    8 => Remove(key),
} }

form! { enum Refusal { 0 => Build(release), 1 => Retracted } }

impl Wire for SecretBytes {
    fn put(&self, out: &mut Encoder) {
        out.bytes(self.as_bytes());
    }

    fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok(Self::new(input.bytes()?.to_vec()))
    }
}
