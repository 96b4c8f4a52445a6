//! Settings of a listener's edge, from annotations of the Gateway and from parameters.
//!
//! Layers, later ones win: ConfigMap of the class, ConfigMap of the Gateway, annotations of the
//! Gateway. In each, `key.listener` is for one listener of the Gateway and wins over `key`.

use std::collections::BTreeMap;

use ipnet::IpNet;
use ir::{ConnectionSettings, EscapedSlashes, HttpSettings, TrustedPeers};

use crate::hint::nearest;
use crate::limits::TRUSTED_NETWORKS_MAX;

/// Prefix of our annotations.
pub const ANNOTATION_PREFIX: &str = "portcullis.dev/";

pub(crate) const TRUSTED_HOPS: &str = "trusted-hops";
pub(crate) const TRUSTED_PROXIES: &str = "trusted-proxies";
pub(crate) const ESCAPED_SLASHES: &str = "escaped-slashes";
pub(crate) const MERGE_SLASHES: &str = "merge-slashes";
pub(crate) const PROXY_PROTOCOL: &str = "proxy-protocol";
pub(crate) const MAX_CONNECTIONS: &str = "max-connections";

/// Every key, as an annotation behind [`ANNOTATION_PREFIX`] or as a ConfigMap's key.
pub const EDGE_KEYS: &[&str] = &[
    TRUSTED_HOPS,
    TRUSTED_PROXIES,
    ESCAPED_SLASHES,
    MERGE_SLASHES,
    PROXY_PROTOCOL,
    MAX_CONNECTIONS,
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Layer {
    hops: Option<u8>,
    networks: Option<Vec<IpNet>>,
    escaped_slashes: Option<EscapedSlashes>,
    keep_empty_segments: Option<bool>,
    proxy_protocol: Option<bool>,
    connections_max: Option<u32>,
}

/// The settings of a Gateway for all its listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    common: Layer,
    listeners: BTreeMap<String, Layer>,
}

/// Why a key or value was not taken.
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Edge {
    /// Takes one setting. A value that is not understood sets the strictest choice.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), Refused> {
        let (key, listener) = match key.split_once('.') {
            Some((key, listener)) => (key, Some(listener)),
            None => (key, None),
        };
        let layer = match listener {
            Some(listener) => self.listeners.entry(listener.to_owned()).or_default(),
            None => &mut self.common,
        };
        let value = value.trim();
        match key {
            TRUSTED_HOPS => {
                let parsed = value.parse::<u8>().ok();
                layer.hops = Some(parsed.unwrap_or_default());
                parsed.map(drop).ok_or_else(|| refused(key, value, "a number from 0 to 255"))
            }
            TRUSTED_PROXIES => {
                let parsed = networks(value);
                layer.networks = Some(parsed.clone().unwrap_or_default());
                parsed.map(drop).ok_or_else(|| {
                    refused(key, value, "a list of networks such as 10.0.0.0/8, 2001:db8::/32")
                })
            }
            ESCAPED_SLASHES => {
                let parsed = match value {
                    "keep" => Some(EscapedSlashes::Keep),
                    "reject" => Some(EscapedSlashes::Reject),
                    _ => None,
                };
                layer.escaped_slashes = Some(parsed.unwrap_or(EscapedSlashes::Reject));
                parsed.map(drop).ok_or_else(|| refused(key, value, "keep or reject"))
            }
            MERGE_SLASHES => {
                let parsed = value.parse::<bool>().ok();
                layer.keep_empty_segments = Some(!parsed.unwrap_or(true));
                parsed.map(drop).ok_or_else(|| refused(key, value, "true or false"))
            }
            PROXY_PROTOCOL => {
                let parsed = match value {
                    "accept" => Some(true),
                    "off" => Some(false),
                    _ => None,
                };
                layer.proxy_protocol = Some(parsed.unwrap_or_default());
                parsed.map(drop).ok_or_else(|| refused(key, value, "accept or off"))
            }
            MAX_CONNECTIONS => {
                let parsed = value.parse::<u32>().ok().filter(|max| *max > 0);
                layer.connections_max = parsed.or(layer.connections_max);
                parsed.map(drop).ok_or_else(|| refused(key, value, "a number above 0"))
            }
            _ => Err(Refused {
                message: format!("\"{key}\" is not a setting; use one of {}", EDGE_KEYS.join(", ")),
                hint: nearest(key, EDGE_KEYS.iter().copied()),
            }),
        }
    }

    /// Names of listeners that have settings of their own.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &str> {
        self.listeners.keys().map(String::as_str)
    }

    /// The settings of the Gateway's own listener `name`, or those for listeners of ListenerSets,
    /// whose owners cannot decide whom to trust.
    pub(crate) fn settings(&self, name: Option<&str>) -> HttpSettings {
        let empty = Layer::default();
        let own = name.and_then(|name| self.listeners.get(name)).unwrap_or(&empty);
        let common = &self.common;
        HttpSettings {
            trusted_peers: TrustedPeers {
                hops: own.hops.or(common.hops).unwrap_or_default(),
                networks: own
                    .networks
                    .clone()
                    .or_else(|| common.networks.clone())
                    .unwrap_or_default(),
            },
            escaped_slashes: own.escaped_slashes.or(common.escaped_slashes).unwrap_or_default(),
            keep_empty_segments: own
                .keep_empty_segments
                .or(common.keep_empty_segments)
                .unwrap_or_default(),
        }
    }

    /// As [`Self::settings`], for connections as a whole.
    pub(crate) fn connection(&self, name: Option<&str>) -> ConnectionSettings {
        let own = name.and_then(|name| self.listeners.get(name));
        let common = &self.common;
        ConnectionSettings {
            proxy_protocol: own
                .and_then(|own| own.proxy_protocol)
                .or(common.proxy_protocol)
                .unwrap_or_default(),
            connections_max: own.and_then(|own| own.connections_max).or(common.connections_max),
        }
    }
}

fn refused(key: &str, value: &str, wanted: &str) -> Refused {
    let shown: String = value.chars().take(64).collect();
    Refused { message: format!("{key} is \"{shown}\"; write {wanted}"), hint: None }
}

/// A comma-separated list of networks or single addresses; empty trusts nobody.
fn networks(text: &str) -> Option<Vec<IpNet>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let networks: Option<Vec<IpNet>> = entries
        .map(|entry| {
            entry
                .parse::<IpNet>()
                .ok()
                .or_else(|| entry.parse::<std::net::IpAddr>().ok().map(IpNet::from))
        })
        .collect();
    networks.filter(|networks| networks.len() <= TRUSTED_NETWORKS_MAX)
}
