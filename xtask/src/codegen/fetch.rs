//! Fetches the upstream module with the go tool and proves that it is the pinned one.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PATH: &str = "sigs.k8s.io/gateway-api";
const VERSION: &str = "v1.7.0";

/// The module and its version, as the digests name their source.
pub(crate) const NAME: &str = "sigs.k8s.io/gateway-api v1.7.0";

/// The module's hash in the form of a `go.sum` line. A changed tag or a broken proxy cannot get past it.
const SUM: &str = "h1:duVnm7nO6oXfMMUWfcDoBph47CYR/ME3NGxccOVglaY=";

/// The folder that holds the module, from the module cache or freshly downloaded.
pub(crate) fn module() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/codegen");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("go.mod"), "module codegen\n\ngo 1.21\n")?;
    let output = Command::new("go")
        .args(["mod", "download", "-json", &format!("{PATH}@{VERSION}")])
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod")
        .env("GOWORK", "off")
        .current_dir(&folder)
        .output()
        .context("run the go tool, which fetches the CRDs; install Go 1.21 or newer")?;
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "fetch {NAME}: the go tool said: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )
    })?;
    let text = |key: &str| report.get(key).and_then(Value::as_str);
    let sum = text("Sum").with_context(|| {
        format!("fetch {NAME}: {}", text("Error").unwrap_or("the go tool gave no reason"))
    })?;
    ensure!(sum == SUM, "{NAME} has the sum {sum}, the pinned one is {SUM}; do not use it");
    // An older Go downloads a module that asks for a newer Go, but reports an error instead of `Dir`.
    let dir = match text("Dir") {
        Some(dir) => PathBuf::from(dir),
        None => {
            beside_zip(text("Zip").context("the go tool names neither a folder nor a zip file")?)?
        }
    };
    ensure!(dir.is_dir(), "{NAME} was downloaded but {} is missing", dir.display());
    Ok(dir)
}

/// The extracted folder of a module zip: `CACHE/cache/download/PATH/@v/VERSION.zip` → `CACHE/PATH@VERSION`.
fn beside_zip(zip: &str) -> anyhow::Result<PathBuf> {
    let cache = zip
        .strip_suffix(&format!("cache/download/{PATH}/@v/{VERSION}.zip"))
        .with_context(|| format!("unexpected place of the module's zip: {zip}"))?;
    Ok(Path::new(cache).join(format!("{PATH}@{VERSION}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_found_from_the_zip_when_the_go_tool_does_not_name_it() {
        let zip = "/c/mod/cache/download/sigs.k8s.io/gateway-api/@v/v1.7.0.zip";
        assert_eq!(beside_zip(zip).unwrap(), Path::new("/c/mod/sigs.k8s.io/gateway-api@v1.7.0"));
        assert!(beside_zip("/elsewhere/v1.7.0.zip").is_err());
    }
}
