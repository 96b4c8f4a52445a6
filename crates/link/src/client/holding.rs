//! What a proxy holds, and the change that is on its way.

use std::{collections::BTreeMap, sync::Arc};

use ir::{EndpointMap, IrSet, Revision};

use super::{Source, Update};
use crate::{
    digest::{self, Digest},
    limits::{CHANGE_BYTES_MAX, ENTITIES_MAX},
    wire::{Entity, EntityKey, WireError, decode, encode},
};

/// A whole configuration, with a digest for each entity.
#[derive(Clone, Default)]
pub(crate) struct Holding {
    revision: Option<Revision>,
    ir: Arc<IrSet>,
    endpoints: Arc<EndpointMap>,
    digests: BTreeMap<EntityKey, Digest>,
}

/// Why a change was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// Both sides think that they hold different things.
    Digest,
    Wire(WireError),
}

impl Holding {
    pub(crate) fn new(revision: Revision, entities: impl IntoIterator<Item = Entity>) -> Self {
        let (mut ir, mut endpoints, mut digests) =
            (IrSet::default(), EndpointMap::default(), BTreeMap::new());
        for entity in entities {
            digests.insert(entity.key(), digest::of([encode(&entity).as_bytes()]));
            entity.put_into(&mut ir, &mut endpoints);
        }
        let (ir, endpoints) = (Arc::new(ir), Arc::new(endpoints));
        Self { revision: Some(revision), ir, endpoints, digests }
    }

    pub(crate) fn revision(&self) -> Option<Revision> {
        self.revision
    }

    pub(crate) fn len(&self) -> usize {
        self.digests.len()
    }

    pub(crate) fn digests(&self) -> &BTreeMap<EntityKey, Digest> {
        &self.digests
    }

    pub(crate) fn update(&self, source: Source, changed: usize) -> Update {
        Update {
            revision: self.revision.unwrap_or_default(),
            ir: Arc::clone(&self.ir),
            endpoints: Arc::clone(&self.endpoints),
            source,
            changed,
        }
    }

    /// Forgets what it holds, so that everything is sent again; the revision stays.
    pub(crate) fn distrust(&mut self) {
        self.digests.clear();
    }

    /// The holding after a change, if that is what the controller thinks.
    pub(crate) fn after(
        &self,
        change: Change,
        revision: Revision,
        digest: Digest,
    ) -> Result<Self, Mismatch> {
        let moves_ir = change.steps.keys().any(|key| !key.is_endpoints());
        let moves_endpoints = change.steps.keys().any(EntityKey::is_endpoints);
        // What was distrusted is replaced as a whole.
        let anew = self.digests.is_empty();
        let (mut ir, mut endpoints) = if anew {
            (IrSet::default(), EndpointMap::default())
        } else {
            let ir = if moves_ir { (*self.ir).clone() } else { IrSet::default() };
            let endpoints =
                if moves_endpoints { (*self.endpoints).clone() } else { EndpointMap::default() };
            (ir, endpoints)
        };
        let mut digests = self.digests.clone();
        for (key, step) in change.steps {
            match step {
                Some((digest, entity)) => {
                    digests.insert(key, digest);
                    entity.put_into(&mut ir, &mut endpoints);
                }
                None => {
                    digests.remove(&key);
                    key.remove_from(&mut ir, &mut endpoints);
                }
            }
        }
        if digests.len() > ENTITIES_MAX {
            return Err(Mismatch::Wire(WireError::TooMany));
        }
        if digest::of(digests.values().map(Digest::as_slice)) != digest {
            return Err(Mismatch::Digest);
        }
        let keep_ir = !moves_ir && (!anew || *self.ir == ir);
        let keep_endpoints = !moves_endpoints && (!anew || *self.endpoints == endpoints);
        Ok(Self {
            revision: Some(revision),
            ir: if keep_ir { Arc::clone(&self.ir) } else { Arc::new(ir) },
            endpoints: if keep_endpoints {
                Arc::clone(&self.endpoints)
            } else {
                Arc::new(endpoints)
            },
            digests,
        })
    }
}

/// What was received since the beginning of a revision.
pub(crate) struct Change {
    pub(crate) revision: Revision,
    /// `None` removes.
    steps: BTreeMap<EntityKey, Option<(Digest, Entity)>>,
    bytes: usize,
}

impl Change {
    pub(crate) fn new(revision: Revision) -> Self {
        Self { revision, steps: BTreeMap::new(), bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn put(&mut self, payload: &[u8]) -> Result<(), WireError> {
        let entity = decode(payload)?;
        let digest = digest::of([payload]);
        self.step(entity.key(), Some((digest, entity)), payload.len())
    }

    pub(crate) fn remove(&mut self, key: EntityKey) -> Result<(), WireError> {
        self.step(key, None, 0)
    }

    fn step(
        &mut self,
        key: EntityKey,
        step: Option<(Digest, Entity)>,
        bytes: usize,
    ) -> Result<(), WireError> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.steps.insert(key, step);
        if self.bytes > CHANGE_BYTES_MAX || self.steps.len() > ENTITIES_MAX.saturating_mul(2) {
            return Err(WireError::TooMany);
        }
        Ok(())
    }
}
