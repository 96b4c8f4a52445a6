//! The last good configuration on disk: what a proxy serves when it starts without a controller.
//!
//! The file has a head, the entities in their encoded form, and a digest over all of it. A file
//! that was cut off, written by a build with other lists, or meant for another Gateway is not
//! used.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use ir::{Ack, Revision};
use tokio::{sync::watch, time::Instant};

use super::{Update, holding::Holding};
use crate::{
    digest::{self, Digest},
    limits::{ENTITIES_MAX, STATE_FILE_BYTES_MAX, STATE_WRITE_INTERVAL},
    name::GatewayUid,
    secret::SecretBytes,
    wire::{Decoder, Encoder, Entity, Wire, WireError, decode, encode, lists::fingerprint},
};

const FILE: &str = "last-good.portcullis";
const UNFINISHED: &str = "last-good.unfinished";
const MAGIC: [u8; 8] = *b"PCLSTATE";

/// What is stored, if it can be used; says why when it cannot.
pub(crate) fn read(folder: &Path, gateway: &GatewayUid) -> Option<Holding> {
    let path = folder.join(FILE);
    let bytes = match read_file(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the last good configuration is not read");
            return None;
        }
    };
    match parse(bytes.as_bytes(), gateway) {
        Ok(holding) => {
            tracing::info!(revision = ?holding.revision(), "starting from the last good configuration");
            Some(holding)
        }
        Err(why) => {
            tracing::warn!(path = %path.display(), why, "the last good configuration is not used");
            None
        }
    }
}

fn read_file(path: &Path) -> io::Result<SecretBytes> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > STATE_FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let read = (&mut file).take(STATE_FILE_BYTES_MAX).read_to_end(&mut bytes);
    let bytes = SecretBytes::new(bytes);
    read.map(|_| bytes)
}

fn parse(bytes: &[u8], gateway: &GatewayUid) -> Result<Holding, String> {
    let end = bytes.len().saturating_sub(size_of::<Digest>());
    let (body, sum) = bytes.split_at_checked(end).ok_or("it is cut off")?;
    if digest::of([body]).as_slice() != sum {
        return Err("it is cut off or changed".to_owned());
    }
    let mut input = Decoder::new(body);
    let head = |input: &mut Decoder<'_>| {
        Ok::<_, WireError>((<[u8; 8]>::take(input)?, <[u8; 8]>::take(input)?))
    };
    let (magic, lists) = head(&mut input).map_err(|error| error.to_string())?;
    if magic != MAGIC {
        return Err("it is another kind of file".to_owned());
    }
    if lists != fingerprint() {
        return Err("another release wrote it".to_owned());
    }
    if String::take(&mut input).map_err(|error| error.to_string())? != gateway.as_str() {
        return Err("it is of another gateway".to_owned());
    }
    let rest = |input: &mut Decoder<'_>| {
        let revision = Revision::take(input)?;
        let count = input.length()?.min(ENTITIES_MAX);
        let entities = (0..count).map(|_| decode(input.bytes()?)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, WireError>(Holding::new(revision, entities))
    };
    let holding = rest(&mut input).map_err(|error| error.to_string())?;
    input.finish().map_err(|error| error.to_string())?;
    Ok(holding)
}

fn render(update: &Update, gateway: &GatewayUid) -> SecretBytes {
    let mut out = Encoder::default();
    MAGIC.put(&mut out);
    fingerprint().put(&mut out);
    gateway.as_str().to_owned().put(&mut out);
    update.revision.put(&mut out);
    let entities: Vec<_> = Entity::all(&update.ir, &update.endpoints).collect();
    out.length(entities.len());
    for entity in &entities {
        out.bytes(encode(entity).as_bytes());
    }
    let mut bytes = out.finish();
    let sum = digest::of([bytes.as_bytes()]);
    bytes.bytes_mut().extend_from_slice(&sum);
    bytes
}

/// Replaces the file as a whole: a reader finds the one before or the new one.
fn write(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = folder.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(FILE))
}

/// Writes what was acknowledged: each revision at once, endpoints alone at intervals.
pub(crate) async fn keep(
    folder: Option<PathBuf>,
    gateway: GatewayUid,
    mut updates: watch::Receiver<Option<Update>>,
    mut acks: watch::Receiver<Option<Ack>>,
) {
    let Some(folder) = folder else { return };
    let mut written: Option<(Update, Instant)> = None;
    loop {
        let pause = written.as_ref().map(|(_, at)| *at + STATE_WRITE_INTERVAL);
        tokio::select! {
            Ok(()) = acks.changed() => {}
            Ok(()) = updates.changed(), if pause.is_none_or(|until| until <= Instant::now()) => {}
            () = sleep_until(pause), if pause.is_some_and(|until| until > Instant::now()) => continue,
            else => return,
        }
        let acknowledged = acks.borrow_and_update().as_ref().map(|ack| ack.revision);
        let Some(update) = updates.borrow_and_update().clone() else { continue };
        let same = written.as_ref().is_some_and(|(last, _)| {
            last.revision == update.revision
                && Arc::ptr_eq(&last.ir, &update.ir)
                && Arc::ptr_eq(&last.endpoints, &update.endpoints)
        });
        if same || acknowledged != Some(update.revision) {
            continue;
        }
        store(&folder, &gateway, &update).await;
        written = Some((update, Instant::now()));
    }
}

async fn sleep_until(until: Option<Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

async fn store(folder: &Path, gateway: &GatewayUid, update: &Update) {
    let (folder, gateway, update) = (folder.to_owned(), gateway.clone(), update.clone());
    let stored = tokio::task::spawn_blocking(move || {
        write(&folder, render(&update, &gateway).as_bytes())
            .inspect_err(|error| {
                tracing::warn!(folder = %folder.display(), %error, "the last good configuration is not stored");
            })
            .is_ok()
    });
    if stored.await.is_ok_and(|stored| stored) {
        tracing::debug!("the last good configuration is stored");
    }
}
