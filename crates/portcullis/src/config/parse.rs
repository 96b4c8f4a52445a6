//! From the text of a setting to its value. An error says what would be valid.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use link::ProxyName;
use translate::AddressPool;

use super::{AccessLogTarget, CONTROLLER_NAME, LogFormat};

pub(super) fn parse_optional(text: &str) -> Result<Option<String>> {
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

pub(super) fn parse_pools(text: &str) -> Result<Vec<AddressPool>> {
    text.split(',')
        .map(|part| {
            parse_pool(part.trim()).with_context(|| {
                format!("\"{part}\" is neither `*`, an IP address nor a CIDR such as 127.0.0.0/24")
            })
        })
        .collect()
}

fn parse_pool(text: &str) -> Option<AddressPool> {
    if text == "*" {
        return Some(AddressPool::Any);
    }
    text.parse().map(AddressPool::Ip).or_else(|_| text.parse().map(AddressPool::Network)).ok()
}

pub(super) fn parse_offset(text: &str) -> Result<u16> {
    text.parse().context("use a number from 0 to 65535")
}

pub(super) fn parse_socket(text: &str) -> Result<SocketAddr> {
    text.parse().context("use an IP address and a port, such as 127.0.0.1:9180 or [::1]:9180")
}

pub(crate) fn parse_loopback(text: &str) -> Result<SocketAddr> {
    let address = parse_socket(text)?;
    if !address.ip().is_loopback() {
        bail!("the admin address must be a loopback address, such as 127.0.0.1:9181");
    }
    Ok(address)
}

pub(super) fn parse_count(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        Ok(_) | Err(_) => bail!("use a number from 1"),
    }
}

pub(super) fn parse_number(text: &str) -> Result<usize> {
    text.parse().context("use a number from 0")
}

/// Bytes, as a number with one of Kubernetes' binary or decimal suffixes.
pub(super) fn parse_size(text: &str) -> Result<usize> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("") => Some(1),
        Some("k") => Some(1_000),
        Some("M") => Some(1_000_000),
        Some("G") => Some(1_000_000_000),
        Some("Ki") => Some(1 << 10),
        Some("Mi") => Some(1 << 20),
        Some("Gi") => Some(1usize << 30),
        Some(_) | None => None,
    };
    let number = digits.parse::<usize>().ok();
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .context("use a number of bytes, such as 512Mi or 2Gi")
}

pub(super) fn parse_controller(text: &str) -> Result<String> {
    match text.split_once('/') {
        Some((domain, path)) if domain.contains('.') && !path.is_empty() => Ok(text.to_owned()),
        _ => bail!("a controller name is a domain and a path, such as {CONTROLLER_NAME}"),
    }
}

pub(super) fn parse_controllers(text: &str) -> Result<Vec<String>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(part.to_owned())
            }
            _ => bail!("use a host and a port, such as controller.example:9443 or [::1]:9443"),
        })
        .collect()
}

pub(super) fn parse_folder(text: &str) -> Result<Option<PathBuf>> {
    Ok((!text.is_empty()).then(|| text.into()))
}

pub(super) fn parse_proxy_name(text: &str) -> Result<ProxyName> {
    ProxyName::new(text).context("use letters, digits, `-`, `_` and `.`, such as a pod's name")
}

pub(super) fn parse_log_format(text: &str) -> Result<LogFormat> {
    match text {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => bail!("use text or json"),
    }
}

pub(super) fn parse_log_level(text: &str) -> Result<String> {
    crate::observe::log::filter(text)?;
    Ok(text.to_owned())
}

pub(super) fn parse_access_log(text: &str) -> Result<AccessLogTarget> {
    match text {
        "" => bail!("use `-`, `off` or a file"),
        "-" => Ok(AccessLogTarget::Stdout),
        "off" => Ok(AccessLogTarget::Off),
        path => Ok(AccessLogTarget::File(path.into())),
    }
}

/// Durations in the Gateway API's own form (GEP-2257).
pub(super) fn parse_duration(text: &str) -> Result<Duration> {
    api::duration::parse(text)
        .with_context(|| "use a duration such as 500ms, 10s or 1m30s".to_owned())
}

pub(super) fn parse_switch(text: &str) -> Result<bool> {
    text.parse().context("use true or false")
}

pub(super) fn parse_name(text: &str) -> Result<String> {
    match text {
        "" => bail!("a name must not be empty"),
        name => Ok(name.to_owned()),
    }
}

pub(super) fn parse_ip(text: &str) -> Result<Option<IpAddr>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).context("use an IP address, such as 10.0.0.7")
}

pub(super) fn parse_host_and_port(text: &str) -> Result<String> {
    match parse_controllers(text)?.as_slice() {
        [one] => Ok(one.clone()),
        _ => bail!("use one host and a port, such as controller.example:9443"),
    }
}
