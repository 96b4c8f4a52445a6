//! What ships must not inherit what makes a plain build quick.

use super::Source;

/// Every package that `release` treats apart must be named again in `dist`, which inherits from it.
pub(super) fn check(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let Some(manifest) = sources.iter().find(|source| source.path == "Cargo.toml") else {
        return Ok(vec!["Cargo.toml: missing".to_owned()]);
    };
    let manifest: toml::Table = toml::from_str(&manifest.text)?;
    let packages =
        |profile: &str| manifest.get("profile")?.get(profile)?.get("package")?.as_table().cloned();
    let (release, dist) =
        (packages("release").unwrap_or_default(), packages("dist").unwrap_or_default());
    let lost = release.keys().filter(|package| !dist.contains_key(*package));
    Ok(lost
        .map(|package| {
            format!(
                "Cargo.toml: profile.release.package.{package} also slows what ships; \
                 set profile.dist.package.{package} as well"
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    #[test]
    fn an_exception_of_release_that_dist_would_inherit_is_found() {
        let found = |dist: &str| {
            let text = format!("[profile.release.package.quick]\nopt-level = 0\n{dist}");
            check(&[Source { path: "Cargo.toml".to_owned(), text }]).unwrap()
        };
        assert_eq!(found("").len(), 1);
        assert_eq!(found("[profile.dist.package.other]\nopt-level = 3\n").len(), 1);
        assert!(found("[profile.dist.package.quick]\nopt-level = 3\n").is_empty());
    }
}
