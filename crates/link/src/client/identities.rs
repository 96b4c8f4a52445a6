//! Which identity to use: the newest of those in the folder and from the stream.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::ClientConfig;

use crate::{
    Identity,
    authority::AuthorityError,
    limits::IDENTITY_FILE_BYTES_MAX,
    name::GatewayUid,
    tls::{self, TlsError},
};

/// An identity's files must be these.
const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

pub(crate) struct Identities {
    folder: PathBuf,
    in_folder: Option<Identity>,
    from_stream: Option<Identity>,
}

impl Identities {
    /// Also says which Gateway it is for; it stays that one.
    pub(crate) fn open(folder: &Path) -> Result<(Self, GatewayUid), AuthorityError> {
        let identity = read(folder)?;
        let gateway = identity.gateway()?;
        let identities =
            Self { folder: folder.to_owned(), in_folder: Some(identity), from_stream: None };
        Ok((identities, gateway))
    }

    /// The TLS settings of the newest identity, and its end.
    pub(crate) fn newest(&self) -> Result<(Arc<ClientConfig>, SystemTime), TlsError> {
        let known = self.in_folder.iter().chain(&self.from_stream);
        let dated = known.filter_map(|identity| Some((identity.validity().ok()?, identity)));
        let newest = dated.max_by_key(|((from, _), _)| *from);
        let ((_, until), identity) = newest.ok_or(AuthorityError::Certificate)?;
        Ok((Arc::new(tls::client(identity)?), until))
    }

    /// Takes an identity from the stream, if it is a usable one for the same Gateway.
    pub(crate) fn take(&mut self, identity: Identity, gateway: &GatewayUid) -> bool {
        let usable = identity.gateway().is_ok_and(|named| named == *gateway)
            && tls::client(&identity).is_ok();
        if usable {
            self.from_stream = Some(identity);
        }
        usable
    }

    /// Reads the folder again; whether what it holds now should be used instead.
    pub(crate) async fn look_again(&mut self, gateway: &GatewayUid) -> bool {
        let folder = self.folder.clone();
        let Ok(Ok(identity)) = tokio::task::spawn_blocking(move || read(&folder)).await else {
            // Files are replaced one after another: half of it is no identity.
            return false;
        };
        let same = self.in_folder.as_ref() == Some(&identity);
        let usable = identity.gateway().is_ok_and(|named| named == *gateway)
            && tls::client(&identity).is_ok();
        if same || !usable {
            return false;
        }
        self.in_folder = Some(identity);
        true
    }
}

fn read(folder: &Path) -> Result<Identity, AuthorityError> {
    let mut data = BTreeMap::new();
    for name in FILES {
        let mut bytes = Vec::new();
        let file = File::open(folder.join(name)).map_err(|_| AuthorityError::Missing(name))?;
        file.take(IDENTITY_FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|_| AuthorityError::Missing(name))?;
        data.insert(name.to_owned(), bytes);
    }
    Identity::from_secret(&data)
}
