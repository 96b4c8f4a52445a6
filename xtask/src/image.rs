//! An OCI image of one binary, as an archive that `docker load`, `ctr images import` and `podman load` read. No daemon, no base image.

use crate::step;
use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The user that the image runs as when nobody says otherwise.
const USER: u32 = 65_532;

#[derive(Args)]
pub(crate) struct ImageArgs {
    /// The archive to write.
    output: PathBuf,
    /// This binary instead of a static build of what ships; the libraries of a dynamic one go in too, which is for trying things.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The image's name; `localhost/portcullis` and the version when absent.
    #[arg(long)]
    reference: Option<String>,
}

pub(crate) fn run(root: &Path, args: &ImageArgs) -> anyhow::Result<()> {
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let version = env!("CARGO_PKG_VERSION");
    let reference =
        args.reference.clone().unwrap_or_else(|| format!("localhost/portcullis:{version}"));
    let mut layer = Layer::new();
    layer.folder("etc", 0o755)?;
    layer.file("etc/passwd", 0o644, b"root:x:0:0:root:/:/\nnonroot:x:65532:65532::/:/\n")?;
    layer.file("etc/group", 0o644, b"root:x:0:\nnonroot:x:65532:\n")?;
    layer.file("etc/nsswitch.conf", 0o644, b"hosts: files dns\n")?;
    let libraries = libraries(&binary)?;
    if args.binary.is_none() {
        ensure!(libraries.is_empty(), "{} is not static", binary.display());
    }
    for library in &libraries {
        let content = fs::read(library).with_context(|| format!("read {}", library.display()))?;
        layer.file(library.to_string_lossy().trim_start_matches('/'), 0o755, &content)?;
    }
    let content = fs::read(&binary).with_context(|| format!("read {}", binary.display()))?;
    layer.file("portcullis", 0o755, &content)?;
    write(&args.output, &reference, version, &layer.finish()?)?;
    println!("{} holds {reference}", args.output.display());
    Ok(())
}

/// What ships, needing no library: glibc linked in, whose resolver reads files and asks DNS by itself.
/// Only the last step differs from `cargo xtask dist`, so that both share their parts.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    command.args([
        "rustc",
        "--profile",
        "dist",
        "--package",
        "portcullis",
        "--features",
        "full",
        "--",
    ]);
    command.args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"]);
    let shown = "cargo rustc --profile dist --features full -- -C target-feature=+crt-static";
    step::run_shown(command, shown)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("dist/portcullis"))
}

/// What a dynamic binary loads, its loader included; empty for a static one.
fn libraries(binary: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(binary).output().context("run ldd")?;
    if !output.status.success() {
        return Ok(BTreeSet::new());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).collect())
}

/// One layer: files without times or owners, so that equal contents give equal bytes.
struct Layer {
    archive: tar::Builder<Vec<u8>>,
    folders: BTreeSet<String>,
}

impl Layer {
    fn new() -> Self {
        Self { archive: tar::Builder::new(Vec::new()), folders: BTreeSet::new() }
    }

    fn folder(&mut self, name: &str, mode: u32) -> anyhow::Result<()> {
        if self.folders.insert(name.to_owned()) {
            let mut header = header(0, mode);
            header.set_entry_type(tar::EntryType::Directory);
            self.archive.append_data(&mut header, format!("{name}/"), [].as_slice())?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
        let parents: Vec<usize> = name.match_indices('/').map(|(at, _)| at).collect();
        for at in parents {
            self.folder(name.get(..at).unwrap_or_default(), 0o755)?;
        }
        let mut header = header(content.len(), mode);
        self.archive.append_data(&mut header, name, content)?;
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Vec<u8>> {
        Ok(self.archive.into_inner()?)
    }
}

fn header(size: usize, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(size).unwrap_or(u64::MAX));
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn config(version: &str, layer: &str) -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": ["/portcullis"],
            "Env": ["PATH=/"],
            "WorkingDir": "/",
            "User": format!("{USER}:{USER}"),
            "Labels": {
                "org.opencontainers.image.title": "portcullis",
                "org.opencontainers.image.description": "A Kubernetes Gateway API implementation in one binary",
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.version": version,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask image" }],
    })
}

/// The archive has an OCI layout and, for older readers, the manifest of `docker save`.
fn write(output: &Path, reference: &str, version: &str, layer: &[u8]) -> anyhow::Result<()> {
    let layer_digest = sha256(layer);
    let config = config(version, &layer_digest).to_string();
    let config_digest = sha256(config.as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": format!("sha256:{config_digest}"),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": format!("sha256:{layer_digest}"),
            "size": layer.len(),
        }],
    })
    .to_string();
    let manifest_digest = sha256(manifest.as_bytes());
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{manifest_digest}"),
            "size": manifest.len(),
            "annotations": {
                "io.containerd.image.name": reference,
                "org.opencontainers.image.ref.name": reference,
            },
        }],
    });
    let blob = |digest: &str| format!("blobs/sha256/{digest}");
    let docker = json!([{
        "Config": blob(&config_digest),
        "RepoTags": [reference],
        "Layers": [blob(&layer_digest)],
    }]);
    let mut archive = Layer::new();
    archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.file("index.json", 0o644, index.to_string().as_bytes())?;
    archive.file("manifest.json", 0o644, docker.to_string().as_bytes())?;
    archive.file(&blob(&config_digest), 0o644, config.as_bytes())?;
    archive.file(&blob(&manifest_digest), 0o644, manifest.as_bytes())?;
    archive.file(&blob(&layer_digest), 0o644, layer)?;
    fs::write(output, archive.finish()?).with_context(|| format!("write {}", output.display()))
}

#[cfg(test)]
mod tests {
    use super::{Layer, sha256, write};
    use std::{collections::BTreeMap, io::Read as _};

    #[test]
    fn every_blob_has_the_digest_of_its_name_and_equal_input_gives_equal_archives() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let mut layer = Layer::new();
            layer.file("etc/group", 0o644, b"root").unwrap();
            let path = folder.path().join(name);
            write(&path, "localhost/x:1", "1", &layer.finish().unwrap()).unwrap();
            std::fs::read(path).unwrap()
        };
        let bytes = make("one.tar");
        assert_eq!(bytes, make("two.tar"));
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(name, content);
        }
        let blobs: Vec<_> =
            files.iter().filter(|(name, c)| name.starts_with("blobs/") && !c.is_empty()).collect();
        assert_eq!(blobs.len(), 3);
        for (name, content) in blobs {
            assert!(name.ends_with(&sha256(content)), "{name}");
        }
    }
}
