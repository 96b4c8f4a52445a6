//! Which of the kinds that we read the API server serves, and in which version.

use std::collections::{BTreeMap, BTreeSet};

use api::{ClusterTrustBundle, KINDS, KindInfo, Resource as _};
use kube::{Client, api::ApiResource};

use crate::watch::KindKey;

/// Few clusters serve them, so that they are a capability of the cluster.
pub const TRUST_BUNDLES: KindKey = (ClusterTrustBundle::GROUP, ClusterTrustBundle::KIND);

/// How a kind is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Every object.
    Whole,
    /// Names only; objects are read when something refers to them.
    OnDemand,
}

/// A kind that is served, at the newest version that both sides know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedKind {
    pub info: &'static KindInfo,
    pub resource: ApiResource,
    pub reading: Reading,
}

/// Served kinds by group and kind.
pub type ServedKinds = BTreeMap<(&'static str, &'static str), ServedKind>;

/// Asks the API server. Groups that it does not have are left out.
///
/// # Errors
/// When it does not answer.
pub async fn served_kinds(client: &Client) -> Result<ServedKinds, kube::Error> {
    let groups = client.list_api_groups().await?;
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for info in KINDS {
        if info.group.is_empty() {
            versions.entry("").or_default().insert("v1".to_owned());
        } else if let Some(group) = groups.groups.iter().find(|group| group.name == info.group) {
            let served = group.versions.iter().map(|version| version.version.clone());
            versions.entry(info.group).or_default().extend(served);
        }
    }
    let mut plurals: BTreeSet<(String, String)> = BTreeSet::new();
    for (group, versions) in &versions {
        for version in versions.iter().filter(|version| is_known(group, version)) {
            let api_version = api::resource::api_version(group, version);
            let answer = if group.is_empty() {
                client.list_core_api_resources(version).await
            } else {
                client.list_api_group_resources(&api_version).await
            };
            let list = match answer {
                Ok(list) => list,
                // A version that went away in between, or a group that comes up.
                Err(kube::Error::Api(status)) if status.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            for resource in list.resources {
                plurals.insert((api_version.clone(), resource.name));
            }
        }
    }
    let wanted = KINDS.iter().filter(|info| info.kind != "Endpoints");
    Ok(wanted.filter_map(|info| Some(((info.group, info.kind), served(info, &plurals)?))).collect())
}

fn is_known(group: &str, version: &str) -> bool {
    KINDS
        .iter()
        .filter(|info| info.group == group)
        .any(|info| info.versions.iter().any(|known| known.name == version))
}

fn served(info: &'static KindInfo, plurals: &BTreeSet<(String, String)>) -> Option<ServedKind> {
    let api_version = info
        .versions
        .iter()
        .map(|version| (version.name, api::resource::api_version(info.group, version.name)))
        .find(|(_, api_version)| plurals.contains(&(api_version.clone(), info.plural.to_owned())));
    let (version, api_version) = api_version?;
    let reading = match (info.group, info.kind) {
        ("", "Secret" | "ConfigMap") | TRUST_BUNDLES => Reading::OnDemand,
        _ => Reading::Whole,
    };
    let resource = ApiResource {
        group: info.group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: info.kind.to_owned(),
        plural: info.plural.to_owned(),
    };
    Some(ServedKind { info, resource, reading })
}
