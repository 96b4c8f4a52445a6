//! `options` of a listener's `tls` and of a BackendTLSPolicy: which versions and suites.

use std::collections::BTreeMap;
use std::sync::Arc;

use ir::{CipherSuite, TlsOptions, TlsVersion};

use crate::hint::nearest;

const MIN_VERSION: &str = "portcullis.dev/tls-min-version";
const MAX_VERSION: &str = "portcullis.dev/tls-max-version";
const CIPHER_SUITES: &str = "portcullis.dev/tls-cipher-suites";

/// Every key that is understood.
pub const TLS_OPTIONS: &[&str] = &[MIN_VERSION, MAX_VERSION, CIPHER_SUITES];

/// Why an option was not taken.
pub(crate) struct Refused {
    pub(crate) key: Arc<str>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// The options as they are written, or everything that is wrong with them.
pub(crate) fn parse(written: &BTreeMap<Arc<str>, Arc<str>>) -> Result<TlsOptions, Vec<Refused>> {
    let mut options = TlsOptions::default();
    let mut refused: Vec<Refused> = Vec::new();
    for (key, value) in written {
        let mut refuse = |message: String, hint: Option<String>| {
            refused.push(Refused { key: Arc::clone(key), message, hint });
        };
        match &**key {
            MIN_VERSION => match TlsVersion::named(value) {
                Some(version) => options.min_version = Some(version),
                None => refuse(version_message(key, value), None),
            },
            MAX_VERSION => match TlsVersion::named(value) {
                Some(version) => options.max_version = Some(version),
                None => refuse(version_message(key, value), None),
            },
            CIPHER_SUITES => match suites(value) {
                Ok(suites) => options.cipher_suites = suites,
                Err((message, hint)) => refuse(message, hint),
            },
            _ => {
                let message = format!("option {key} is not known; remove it");
                refuse(message, nearest(key, TLS_OPTIONS.iter().copied()));
            }
        }
    }
    if refused.is_empty() {
        refused.extend(contradiction(&options));
    }
    if refused.is_empty() { Ok(options) } else { Err(refused) }
}

fn version_message(key: &str, value: &str) -> String {
    format!("{key} is \"{}\"; write 1.2 or 1.3", shown(value))
}

fn shown(value: &str) -> String {
    value.chars().take(64).collect()
}

/// A list of names with commas between them, in order of preference.
fn suites(value: &str) -> Result<Vec<CipherSuite>, (String, Option<String>)> {
    let mut suites = Vec::new();
    for name in value.split(',').map(str::trim) {
        let Some(suite) = CipherSuite::named(name) else {
            let message = format!("cipher suite \"{}\" is not served", shown(name));
            let known = CipherSuite::ALL.iter().map(|suite| suite.as_str());
            return Err((message, nearest(name, known)));
        };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    Ok(suites)
}

fn contradiction(options: &TlsOptions) -> Option<Refused> {
    let lowest = options.min_version.unwrap_or(TlsVersion::Tls12);
    let highest = options.max_version.unwrap_or(TlsVersion::Tls13);
    let refused =
        |key: &str, message: String| Some(Refused { key: key.into(), message, hint: None });
    if lowest > highest {
        let message = format!(
            "the lowest version {} is above the highest, {}",
            lowest.as_str(),
            highest.as_str()
        );
        return refused(MIN_VERSION, message);
    }
    let suites = &options.cipher_suites;
    let possible = suites.iter().any(|suite| (lowest..=highest).contains(&suite.version()));
    if !suites.is_empty() && !possible {
        let message = "no cipher suite of the list belongs to a version that is allowed";
        return refused(CIPHER_SUITES, message.to_owned());
    }
    None
}
