//! The request that is asked about, as a client would send it.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
};

use ir::{FieldName, FieldValue, RequestView};
use thiserror::Error;

/// A request from outside, before anything of ours has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub scheme: Scheme,
    /// The host that the client connects to, without port; an IPv6 address in brackets.
    pub host: String,
    /// The listener's port, whatever port is bound for it.
    pub port: u16,
    /// What the client sends as `Host`, with port where it is not the scheme's own.
    pub authority: String,
    /// As written, with the query.
    pub path_and_query: String,
    /// Without `Host`, in order.
    pub headers: Vec<(String, String)>,
    pub client_ip: IpAddr,
    /// The name in the TLS handshake, where it differs from the host.
    pub sni: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
    /// A connection whose bytes nobody but the client speaks of.
    Tcp,
    /// A TLS handshake, whatever follows it.
    Tls,
    Udp,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
        }
    }

    /// `None` where the port must be written.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https | Self::Tls => Some(443),
            Self::Tcp | Self::Udp => None,
        }
    }

    /// Whether a request is asked about, rather than a connection.
    pub fn has_requests(self) -> bool {
        match self {
            Self::Http | Self::Https => true,
            Self::Tcp | Self::Tls | Self::Udp => false,
        }
    }
}

/// Why a text is not a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    #[error(
        "\"{0}\" is not a URL; write http://, https://, grpc://, grpcs://, tls://, tcp:// or udp:// before the host"
    )]
    NoScheme(String),
    #[error(
        "scheme \"{0}\" is not one a listener speaks; use http, https, grpc, grpcs, tls, tcp or udp"
    )]
    Scheme(String),
    #[error("{0} has no usual port; write it behind the host")]
    NoPort(&'static str),
    #[error("a {0} URL ends behind the port, since there is no request; leave out {1}")]
    Path(&'static str, String),
    #[error("URL holds user information; leave out what stands before the @")]
    UserInformation,
    #[error("host \"{0}\" is not valid: {1}")]
    Host(String, ir::host::HostError),
    #[error("port of \"{0}\" is not a number from 1 to 65535")]
    Port(String),
    #[error("URL holds {0:?}, which must be percent-encoded")]
    Byte(char),
    #[error("method \"{0}\" is not a token; write one such as GET")]
    Method(String),
    #[error("header \"{0}\" has no colon; write \"name: value\"")]
    HeaderColon(String),
    #[error("\"{0}\" is not a header name")]
    HeaderName(String),
    #[error("value of header {0} holds a control character")]
    HeaderValue(String),
}

impl Request {
    /// A GET from 127.0.0.1; with `grpc` and `grpcs` the call of a gRPC client. A fragment is
    /// dropped, as every client does.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn from_url(url: &str) -> Result<Self, RequestError> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| RequestError::NoScheme(url.to_owned()))?;
        let (scheme, calls) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, false),
            "https" => (Scheme::Https, false),
            "grpc" => (Scheme::Http, true),
            "grpcs" => (Scheme::Https, true),
            "tcp" => (Scheme::Tcp, false),
            "tls" => (Scheme::Tls, false),
            "udp" => (Scheme::Udp, false),
            _ => return Err(RequestError::Scheme(scheme.to_owned())),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        if let Some(bad) = rest.chars().find(|letter| !letter.is_ascii_graphic()) {
            return Err(RequestError::Byte(bad));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(RequestError::UserInformation);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (host, port) = host_and_port(authority)?;
        let port =
            port.or(scheme.default_port()).ok_or_else(|| RequestError::NoPort(scheme.as_str()))?;
        if !scheme.has_requests() && !matches!(path, "" | "/") {
            return Err(RequestError::Path(scheme.as_str(), path.to_owned()));
        }
        Ok(Self {
            method: if calls { "POST" } else { "GET" }.to_owned(),
            scheme,
            authority: authority_of(&host, port, scheme),
            host,
            port,
            path_and_query: format!("{slash}{path}"),
            headers: if calls { grpc_headers() } else { Vec::new() },
            client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            sni: None,
        })
    }

    /// The same request with another method.
    ///
    /// # Errors
    /// When it is not a token.
    pub fn with_method(mut self, method: &str) -> Result<Self, RequestError> {
        if FieldName::new(method).is_none() {
            return Err(RequestError::Method(method.to_owned()));
        }
        method.clone_into(&mut self.method);
        Ok(self)
    }

    /// The same request with one more header, written `name: value`. `Host` replaces what the URL
    /// says, as with curl.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub fn with_header(mut self, line: &str) -> Result<Self, RequestError> {
        let (name, value) =
            line.split_once(':').ok_or_else(|| RequestError::HeaderColon(line.to_owned()))?;
        let name = FieldName::new(name.trim())
            .ok_or_else(|| RequestError::HeaderName(name.trim().to_owned()))?;
        let value = FieldValue::new(value)
            .ok_or_else(|| RequestError::HeaderValue(name.as_str().to_owned()))?;
        if name.matches(b"host") {
            host_and_port(value.as_str())?;
            value.as_str().clone_into(&mut self.authority);
        } else {
            self.headers.push((name.as_str().to_owned(), value.as_str().to_owned()));
        }
        Ok(self)
    }

    #[must_use]
    pub fn with_client_ip(mut self, address: IpAddr) -> Self {
        self.client_ip = address;
        self
    }

    #[must_use]
    pub fn with_sni(mut self, name: Option<String>) -> Self {
        self.sni = name;
        self
    }

    /// Whether it is a gRPC call, by its content type; gRPC-Web reads HTTP statuses.
    pub(super) fn is_call(&self) -> bool {
        let content_type =
            self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        content_type.is_some_and(|(_, value)| {
            let value = value.to_ascii_lowercase();
            let rest = value.strip_prefix("application/grpc");
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';', ' ']))
        })
    }

    /// The URL, put together again.
    pub fn url(&self) -> String {
        let authority = authority_of(&self.host, self.port, self.scheme);
        let path = if self.scheme.has_requests() { self.path_and_query.as_str() } else { "" };
        format!("{}://{authority}{path}", self.scheme.as_str())
    }

    /// The name in the TLS handshake, lower case; empty for addresses, which have none.
    pub(super) fn server_name(&self) -> String {
        let name = self.sni.as_deref().unwrap_or(&self.host);
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
            String::new()
        } else {
            name.to_ascii_lowercase()
        }
    }

    /// The address that the client connects to, if the URL names one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

/// What every gRPC client sends.
fn grpc_headers() -> Vec<(String, String)> {
    vec![
        ("content-type".to_owned(), "application/grpc".to_owned()),
        ("te".to_owned(), "trailers".to_owned()),
    ]
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), RequestError> {
    let host = ir::host::normalize(authority).map_err(|error| match error {
        ir::host::HostError::Port => RequestError::Port(authority.to_owned()),
        ir::host::HostError::BadByte
        | ir::host::HostError::BadIpv6
        | ir::host::HostError::Empty
        | ir::host::HostError::TooLong => RequestError::Host(authority.to_owned(), error),
    })?;
    if host.port == Some(0) {
        return Err(RequestError::Port(authority.to_owned()));
    }
    Ok((host.name.into_owned(), host.port))
}

fn authority_of(host: &str, port: u16, scheme: Scheme) -> String {
    if scheme.default_port() == Some(port) { host.to_owned() } else { format!("{host}:{port}") }
}

/// The head that the matcher reads; path and host are canonical.
pub(super) struct Head<'a> {
    pub(super) request: &'a Request,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl RequestView for Head<'_> {
    fn method(&self) -> &str {
        &self.request.method
    }

    fn host(&self) -> &str {
        self.host
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        self.query
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if name.eq_ignore_ascii_case("host") {
            return Some(Cow::Borrowed(self.request.authority.as_bytes()));
        }
        let lines = self.request.headers.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name));
        let values: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
        match values.as_slice() {
            [] => None,
            [one] => Some(Cow::Borrowed(one.as_bytes())),
            many => Some(Cow::Owned(many.join(", ").into_bytes())),
        }
    }
}
