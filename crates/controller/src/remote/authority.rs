//! The link's authority in its Secret, and the identities that it issues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use link::{Authority, AuthorityError, GatewayUid, Identity, Lifetimes};
use parking_lot::RwLock;
use thiserror::Error;

use crate::provision::Identities;

/// The Secret, in the controller's namespace.
const SECRET: &str = "portcullis-link-authority";

/// Time between two looks at the Secret.
const LOOK: Duration = Duration::from_secs(3600);

/// Tries to make the Secret while other controllers do the same.
const TRIES: usize = 5;

/// Why there is no authority.
#[derive(Debug, Error)]
pub enum KeepError {
    #[error("Secret {SECRET} cannot be read or made: {0}")]
    Api(#[from] kube::Error),
    #[error("Secret {SECRET}: {0}")]
    Authority(#[from] AuthorityError),
    #[error("Secret {SECRET} changes all the time")]
    Contended,
}

/// Keeps the authority in its Secret, and up to date.
pub(super) struct Keeper {
    secrets: Api<Secret>,
    authority: Arc<RwLock<Authority>>,
    data: BTreeMap<String, Vec<u8>>,
    look_at: Instant,
}

struct Issuer(Arc<RwLock<Authority>>);

impl Keeper {
    /// Reads the authority, or makes it.
    pub(super) async fn start(client: Client, namespace: &str) -> Result<Self, KeepError> {
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        for _ in 0..TRIES {
            if let Some(data) = read(&secrets).await? {
                let authority = Authority::from_secret(&data, Lifetimes::default())?;
                let authority = Arc::new(RwLock::new(authority));
                return Ok(Self { secrets, authority, data, look_at: Instant::now() + LOOK });
            }
            let new = Authority::new(SystemTime::now(), Lifetimes::default())?;
            let secret = Secret {
                metadata: ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() },
                data: Some(bytes(new.to_secret())),
                ..Secret::default()
            };
            match secrets.create(&PostParams::default(), &secret).await {
                Ok(_) => tracing::info!(namespace, "the authority of the link was made"),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(KeepError::Contended)
    }

    pub(super) fn authority(&self) -> Authority {
        self.authority.read().clone()
    }

    pub(super) fn identities(&self) -> Arc<dyn Identities> {
        Arc::new(Issuer(Arc::clone(&self.authority)))
    }

    /// The Secret may have changed.
    pub(super) fn look_soon(&mut self) {
        self.look_at = Instant::now();
    }

    /// Returns when [`Self::maintain`] has something to do.
    pub(super) async fn due(&self) {
        tokio::time::sleep_until(self.look_at.into()).await;
    }

    /// The authority to use from now on, when it is another one: read anew, and, by the leader,
    /// replaced in time.
    pub(super) async fn maintain(&mut self, leading: bool) -> Option<Authority> {
        if Instant::now() < self.look_at {
            return None;
        }
        self.look_at = Instant::now() + LOOK;
        match self.renew(leading).await {
            Ok(changed) => changed,
            Err(error) => {
                tracing::warn!(%error, "the authority of the link cannot be looked after");
                None
            }
        }
    }

    async fn renew(&mut self, leading: bool) -> Result<Option<Authority>, KeepError> {
        let Some(data) = read(&self.secrets).await? else { return Ok(None) };
        let mut now = Authority::from_secret(&data, Lifetimes::default())?;
        let mut data = data;
        if leading && let Some(next) = now.maintain(SystemTime::now())? {
            let mut secret = self.secrets.get(SECRET).await?;
            secret.data = Some(bytes(next.to_secret()));
            self.secrets.replace(SECRET, &PostParams::default(), &secret).await?;
            data = next.to_secret();
            now = next;
        }
        if data == self.data {
            return Ok(None);
        }
        self.data = data;
        *self.authority.write() = now.clone();
        Ok(Some(now))
    }
}

async fn read(secrets: &Api<Secret>) -> Result<Option<BTreeMap<String, Vec<u8>>>, kube::Error> {
    let secret = secrets.get_opt(SECRET).await?;
    let data = secret.map(|secret| secret.data.unwrap_or_default());
    Ok(data.map(|data| data.into_iter().map(|(key, value)| (key, value.0)).collect()))
}

fn bytes(data: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, ByteString> {
    data.into_iter().map(|(key, value)| (key, ByteString(value))).collect()
}

impl Identities for Issuer {
    fn renew(
        &self,
        gateway_uid: &str,
        present: Option<&BTreeMap<String, Vec<u8>>>,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, String> {
        let gateway = GatewayUid::new(gateway_uid)
            .ok_or_else(|| format!("\"{gateway_uid}\" is not the UID of a Gateway"))?;
        let authority = self.0.read().clone();
        let now = SystemTime::now();
        let good = present.and_then(|data| Identity::from_secret(data).ok()).is_some_and(|own| {
            own.gateway().is_ok_and(|named| named == gateway) && !authority.is_due(&own, now)
        });
        if good {
            return Ok(None);
        }
        let identity = authority.issue(&gateway, now).map_err(|error| error.to_string())?;
        Ok(Some(identity.to_secret()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Authority, Identities as _, Issuer, Lifetimes, RwLock, SystemTime};

    #[test]
    fn an_identity_is_made_once_and_again_when_it_is_no_good() {
        let authority = Authority::new(SystemTime::now(), Lifetimes::default()).unwrap();
        let issuer = Issuer(Arc::new(RwLock::new(authority)));
        let first = issuer.renew("uid-1", None).unwrap().unwrap();
        assert_eq!(issuer.renew("uid-1", Some(&first)).unwrap(), None);
        assert!(issuer.renew("uid-2", Some(&first)).unwrap().is_some(), "another Gateway's");
        let mut broken = first.clone();
        broken.remove("tls.key");
        assert!(issuer.renew("uid-1", Some(&broken)).unwrap().is_some());
        let other = Authority::new(SystemTime::now(), Lifetimes::default()).unwrap();
        let other = Issuer(Arc::new(RwLock::new(other)));
        assert!(other.renew("uid-1", Some(&first)).unwrap().is_some(), "another authority's");
        assert!(issuer.renew("", None).is_err());
    }
}
