//! The CEL environment: the standard functions, the string extension, and what Kubernetes adds.

use super::names;
use cel::{
    Env, ExecutionError,
    common::{
        types::{CelBool, CelInt, CelList, CelOptional, CelString},
        value::Val,
    },
};
use regex::Regex;
use std::{
    cell::RefCell,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, LazyLock},
};

/// The `matches` of the CEL library compiles its expression at every call; rules call it with a
/// handful of literals, so calls go to one of our own that keeps them.
pub(super) const CACHED_MATCHES: &str = "matchesCompiled";

/// The functions of CEL, of its string extension, and those of Kubernetes that the rules use.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

#[expect(elided_lifetimes_in_paths, reason = "the macros of cel take type names without lifetimes")]
fn environment() -> Env {
    let mut env = Env::stdlib();
    let added = [
        env.add_extension(cel::extensions::strings).is_ok(),
        cel::add_member_overload!(env, fn matches_compiled: (CelString, CelString) -> Result<CelBool>).is_ok(),
        cel::add_overload!(env, fn duration: (CelString) -> Result<CelInt>).is_ok(),
        cel::add_overload!(env, fn is_ip: (CelString) -> CelBool, name = "isIP").is_ok(),
        cel::add_overload!(env, fn subdomain_format: () -> CelString, name = "format.dns1123Subdomain").is_ok(),
        cel::add_overload!(env, fn label_format: () -> CelString, name = "format.dns1123Label").is_ok(),
        cel::add_overload!(env, fn name_format: () -> CelString, name = "format.qualifiedName").is_ok(),
        cel::add_overload!(env, fn value_format: () -> CelString, name = "format.labelValue").is_ok(),
        cel::add_member_overload!(env, fn validate: (CelString, CelString) -> CelOptional).is_ok(),
    ];
    debug_assert!(added.iter().all(|added| *added), "a CEL function is declared twice: {added:?}");
    env
}

thread_local! {
    // Bounded: the expressions come from the rules, never from an object.
    static EXPRESSIONS: RefCell<HashMap<String, Regex>> = RefCell::new(HashMap::new());
}

fn matches_compiled(
    text: &CelString<'_>,
    source: &CelString<'_>,
) -> Result<CelBool, ExecutionError> {
    EXPRESSIONS.with_borrow_mut(|known| {
        let matched = match known.get(source.inner()) {
            Some(regex) => regex.is_match(text.inner()),
            None => {
                let regex = Regex::new(source.inner())
                    .map_err(|error| ExecutionError::function_error("matches", error))?;
                let matched = regex.is_match(text.inner());
                known.insert(source.inner().to_owned(), regex);
                matched
            }
        };
        Ok(CelBool::from(matched))
    })
}

/// The standard's `duration` for texts as Gateway API has them (GEP-2257), in milliseconds. Rules
/// only compare durations. The type of the CEL library comes with every time zone of the world,
/// two megabytes of memory in each process.
fn duration(text: &CelString<'_>) -> Result<CelInt, ExecutionError> {
    let invalid = |error: String| ExecutionError::function_error("duration", error);
    let parsed =
        crate::duration::parse(text.inner()).map_err(|error| invalid(error.to_string()))?;
    let millis = i64::try_from(parsed.as_millis()).map_err(|error| invalid(error.to_string()))?;
    Ok(CelInt::from(millis))
}

/// Kubernetes' `isIP`: no IPv4 address inside an IPv6 one, no zone, no leading zeros.
fn is_ip(text: &CelString<'_>) -> CelBool {
    let valid = match text.inner().parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => true,
        Ok(IpAddr::V6(address)) => address.to_ipv4_mapped().is_none(),
        Err(_) => false,
    };
    CelBool::from(valid)
}

// A named format is a value of its own in Kubernetes; here it is its name, which is all that
// `validate` needs.

fn subdomain_format() -> CelString<'static> {
    CelString::from("dns1123Subdomain")
}

fn label_format() -> CelString<'static> {
    CelString::from("dns1123Label")
}

fn name_format() -> CelString<'static> {
    CelString::from("qualifiedName")
}

fn value_format() -> CelString<'static> {
    CelString::from("labelValue")
}

/// The errors of a text in a named format, or nothing when it is valid.
fn validate(format: &CelString<'_>, text: &CelString<'_>) -> CelOptional<'static> {
    let errors = match format.inner() {
        "dns1123Subdomain" => names::dns1123_subdomain(text.inner()),
        "dns1123Label" => names::dns1123_label(text.inner()),
        "qualifiedName" => names::qualified_name(text.inner()),
        _ => names::label_value(text.inner()),
    };
    if errors.is_empty() {
        return CelOptional::none();
    }
    let errors: Vec<Box<dyn Val>> =
        errors.into_iter().map(|error| Box::new(CelString::from(error)) as Box<dyn Val>).collect();
    CelOptional::of(Box::new(CelList::from(errors)))
}
