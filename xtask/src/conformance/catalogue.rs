//! Which tests exist, and which of them a run is about.

use super::Args;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::{collections::BTreeSet, path::Path};

/// The profiles of gateways, in the order in which we name them.
const PROFILES: [&str; 5] =
    ["GATEWAY-HTTP", "GATEWAY-GRPC", "GATEWAY-TLS", "GATEWAY-TCP", "GATEWAY-UDP"];

/// The names of `--fast`, from the root of the workspace: one a line, `#` begins a comment.
const FAST: &str = "conformance/fast.txt";

/// Features of Gateways with pods of their own, which `--inline` has not.
const OF_PODS: [&str; 3] =
    ["GatewayInfrastructure", "GatewayAddressRoutability", "GatewayAddressRoutabilityCluster"];

/// What `conformance/catalogue` prints.
#[derive(Deserialize)]
pub(super) struct Catalogue {
    tests: Vec<Test>,
    /// Every feature that concerns gateways.
    pub(super) features: Vec<String>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    features: Vec<String>,
    profiles: Vec<String>,
    mesh: bool,
    /// Of `conformance/own`, not of the upstream suite.
    own: bool,
}

/// The tests that must pass in a run.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Of the upstream suite.
    pub(super) upstream: BTreeSet<String>,
    /// Of `conformance/own`.
    pub(super) own: BTreeSet<String>,
    pub(super) profiles: Vec<String>,
    /// All there is for gateways: only such a run is worth a report.
    pub(super) complete: bool,
}

impl Chosen {
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.upstream.union(&self.own)
    }
}

impl Catalogue {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// What the command line asks for; a name that does not exist is an error, not an empty run.
    pub(super) fn choose(&self, root: &Path, args: &Args) -> anyhow::Result<Chosen> {
        let mut names = args.test.clone();
        if args.fast {
            let text = std::fs::read_to_string(root.join(FAST))
                .with_context(|| format!("cannot read {FAST}"))?;
            names.extend(listed(&text));
        }
        let profiles = profiles(&args.profile)?;
        self.chosen(&names, profiles, args.inline)
    }

    fn chosen(
        &self,
        names: &[String],
        profiles: Vec<String>,
        inline: bool,
    ) -> anyhow::Result<Chosen> {
        let every: BTreeSet<&str> =
            self.tests.iter().filter(|test| !test.mesh).map(|test| test.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !every.contains(name.as_str())) {
            let lower = name.to_lowercase();
            let near: Vec<&str> =
                every.iter().copied().filter(|test| test.to_lowercase().contains(&lower)).collect();
            bail!("there is no test `{name}` for gateways; with this in their name: {near:?}");
        }
        let complete = names.is_empty() && profiles.is_empty();
        let in_profiles = |test: &Test| {
            profiles.is_empty() || test.profiles.iter().any(|profile| profiles.contains(profile))
        };
        let (needs_pods, possible): (Vec<&Test>, Vec<&Test>) = self
            .tests
            .iter()
            .filter(|test| !test.mesh && in_profiles(test))
            .filter(|test| names.is_empty() || names.contains(&test.name))
            .partition(|test| inline && test.needs_pods());
        if !needs_pods.is_empty() {
            let names: Vec<&str> = needs_pods.iter().map(|test| test.name.as_str()).collect();
            println!("left out, being about Gateways with pods of their own: {}", names.join(", "));
        }
        let (own, upstream): (Vec<&Test>, Vec<&Test>) =
            possible.into_iter().partition(|test| test.own);
        if own.is_empty() && upstream.is_empty() {
            bail!("no test is left: the named tests are in none of the named profiles");
        }
        let names = |tests: Vec<&Test>| tests.into_iter().map(|test| test.name.clone()).collect();
        let (own, upstream) = (names(own), names(upstream));
        let profiles =
            if profiles.is_empty() { PROFILES.map(str::to_owned).into() } else { profiles };
        Ok(Chosen { upstream, own, profiles, complete })
    }
}

impl Test {
    fn needs_pods(&self) -> bool {
        self.features.iter().any(|feature| OF_PODS.contains(&feature.as_str()))
    }
}

/// The full names of profiles; `http` is short for `GATEWAY-HTTP`.
fn profiles(asked: &[String]) -> anyhow::Result<Vec<String>> {
    let mut full = Vec::new();
    for name in asked {
        let upper = name.to_uppercase();
        let found = PROFILES
            .iter()
            .find(|profile| **profile == upper || profile.strip_prefix("GATEWAY-") == Some(&upper));
        full.push(
            (*found.with_context(|| format!("no profile `{name}`; there are {PROFILES:?}"))?)
                .to_owned(),
        );
    }
    Ok(full)
}

fn listed(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let test = |name: &str, profiles: &[&str], mesh| Test {
            name: name.to_owned(),
            features: Vec::new(),
            own: false,
            profiles: profiles.iter().map(|profile| (*profile).to_owned()).collect(),
            mesh,
        };
        let tests = vec![
            test("HTTPRouteWeight", &["GATEWAY-HTTP"], false),
            test("TCPRouteWeighted", &["GATEWAY-TCP"], false),
            test("MeshBasic", &[], true),
            Test {
                own: true,
                features: vec!["GatewayAddressRoutability".to_owned()],
                ..test("Routability", &["GATEWAY-HTTP"], false)
            },
        ];
        Catalogue { tests, features: Vec::new() }
    }

    #[test]
    fn a_run_without_a_choice_is_about_every_test_but_those_of_meshes() {
        let chosen = catalogue().chosen(&[], Vec::new(), false).unwrap();
        assert_eq!((chosen.upstream.len(), chosen.own.len()), (2, 1));
        assert!(chosen.complete && chosen.profiles.len() == 5);
    }

    #[test]
    fn a_profile_chooses_its_tests_and_may_be_named_short() {
        let chosen =
            catalogue().chosen(&[], profiles(&["tcp".to_owned()]).unwrap(), false).unwrap();
        assert_eq!(chosen.upstream, BTreeSet::from(["TCPRouteWeighted".to_owned()]));
        assert!(!chosen.complete);
        assert!(profiles(&["ftp".to_owned()]).is_err());
    }

    #[test]
    fn without_pods_of_their_own_gateways_are_not_asked_for_what_only_these_have() {
        let chosen = catalogue().chosen(&[], Vec::new(), true).unwrap();
        assert!(chosen.own.is_empty() && chosen.complete);
        assert!(catalogue().chosen(&["Routability".to_owned()], Vec::new(), true).is_err());
    }

    #[test]
    fn a_test_that_does_not_exist_is_an_error_that_names_its_likes() {
        let error =
            catalogue().chosen(&["Weight".to_owned()], Vec::new(), false).unwrap_err().to_string();
        assert!(error.contains("HTTPRouteWeight"), "{error}");
        assert!(catalogue().chosen(&["MeshBasic".to_owned()], Vec::new(), false).is_err());
    }

    #[test]
    fn the_list_of_the_fast_tests_may_hold_comments() {
        let text = "# HTTP\nHTTPRouteWeight # slow\n\n";
        assert_eq!(listed(text).collect::<Vec<_>>(), ["HTTPRouteWeight"]);
    }
}
