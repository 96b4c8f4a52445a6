//! What a Gateway's proxies should hold.

use std::{collections::BTreeMap, sync::Arc};

use ir::{EndpointMap, IrSet, Revision};
use thiserror::Error;

use crate::{
    digest::{self, Digest},
    limits::{ENTITIES_MAX, ENTITY_BYTES_MAX},
    secret::SecretBytes,
    wire::{Entity, EntityKey, encode},
};

/// A Gateway's configuration: its own entities only, see [`IrSet::for_gateway`].
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Above the one before whenever `ir` differs, across restarts and leaders: proxies refuse
    /// what is older than what they have.
    pub revision: Revision,
    pub ir: Arc<IrSet>,
    /// Of the clusters that `ir` names.
    pub endpoints: Arc<EndpointMap>,
}

/// Why a configuration was not published; the one before stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    #[error("{0} is larger than {ENTITY_BYTES_MAX} bytes; make it smaller")]
    EntityTooLarge(EntityKey),
    #[error("revision {offered} does not come after {published}")]
    Stale { offered: Revision, published: Revision },
    #[error("the gateway has more than {ENTITIES_MAX} routes, listeners and backends")]
    TooManyEntities,
}

/// An entity in the form it is sent, made once for all proxies.
pub(crate) struct Sealed {
    pub(crate) digest: Digest,
    pub(crate) payload: SecretBytes,
}

/// A configuration with its encoded entities.
pub(crate) struct State {
    pub(crate) revision: Revision,
    pub(crate) entities: BTreeMap<EntityKey, Arc<Sealed>>,
    /// Over all entities.
    pub(crate) digest: Digest,
    config: Config,
}

/// A step from what a proxy holds to what it should hold.
pub(crate) enum Step<'a> {
    Put(&'a Sealed),
    Remove(&'a EntityKey),
}

impl State {
    /// Encodes what differs from the previous state.
    pub(crate) fn next(config: Config, previous: Option<&Self>) -> Result<Self, PublishError> {
        let revision = config.revision;
        if let Some(previous) = previous {
            let published = previous.revision;
            if revision < published || (revision == published && config.ir != previous.config.ir) {
                return Err(PublishError::Stale { offered: revision, published });
            }
        }
        let mut entities = BTreeMap::new();
        for entity in Entity::all(&config.ir, &config.endpoints) {
            let key = entity.key();
            let same = previous.and_then(|previous| previous.sealed_as(&key, &entity));
            let sealed = match same {
                Some(sealed) => Arc::clone(sealed),
                None => seal(&key, &entity)?,
            };
            entities.insert(key, sealed);
        }
        if entities.len() > ENTITIES_MAX {
            return Err(PublishError::TooManyEntities);
        }
        let digest = digest::of(entities.values().map(|sealed| sealed.digest.as_slice()));
        Ok(Self { revision, entities, digest, config })
    }

    /// The same with other endpoints.
    pub(crate) fn with_endpoints(&self, endpoints: Arc<EndpointMap>) -> Result<Self, PublishError> {
        Self::next(Config { endpoints, ..self.config.clone() }, Some(self))
    }

    /// The sealed form, if it is of this very entity or of an equal one.
    fn sealed_as(&self, key: &EntityKey, entity: &Entity) -> Option<&Arc<Sealed>> {
        let sealed = self.entities.get(key)?;
        // Pointers are equal far more often than not, and equality begins with them.
        let known = key.find(&self.config.ir, &self.config.endpoints)?;
        (known == *entity).then_some(sealed)
    }

    /// What a proxy that holds `held` needs, in the order of the keys.
    pub(crate) fn steps<'a>(&'a self, held: &'a BTreeMap<EntityKey, Digest>) -> Vec<Step<'a>> {
        let puts = self.entities.iter().filter_map(|(key, sealed)| {
            (held.get(key) != Some(&sealed.digest)).then_some(Step::Put(sealed))
        });
        let gone = held.keys().filter(|key| !self.entities.contains_key(key));
        puts.chain(gone.map(Step::Remove)).collect()
    }

    /// What a proxy holds after these steps.
    pub(crate) fn held(&self) -> BTreeMap<EntityKey, Digest> {
        self.entities.iter().map(|(key, sealed)| (key.clone(), sealed.digest)).collect()
    }
}

fn seal(key: &EntityKey, entity: &Entity) -> Result<Arc<Sealed>, PublishError> {
    let payload = encode(entity);
    if payload.len() > ENTITY_BYTES_MAX {
        return Err(PublishError::EntityTooLarge(key.clone()));
    }
    Ok(Arc::new(Sealed { digest: digest::of([payload.as_bytes()]), payload }))
}
