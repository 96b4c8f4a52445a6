//! Which fields of the IR the stream carries: all of them.
//!
//! Each list is expanded to code that destructures the type without `..` and matches without `_`:
//! a field or variant that is added to `ir` does not build here until it is in its list. The lists
//! are also what [`fingerprint`] is made of, so that two builds understand each other exactly when
//! their lists are equal. Whoever changes the type of a field without changing its name counts
//! [`FORM`] up.

use std::sync::{Arc, LazyLock};

use ir::{
    Ack, Action, Attachment, AuthProtocol, Authorities, Backend, BackendProtocol, Balance,
    BindAddress, BindFailure, CallMatch, Certificate, CertificateId, CipherSuite, ClientValidation,
    ClientValidationMode, Cluster, ClusterId, ConnectionSettings, CookieLifetime, Cors, CorsOrigin,
    Endpoint, EndpointSet, EndpointState, EndpointsKey, EscapedSlashes, ExternalAuth, FailReason,
    Filter, Fraction, Gateway, HeaderMatch, HeaderModifier, HostPattern, HttpRoute, HttpSettings,
    L4Route, Listener, ListenerId, Locality, Match, Mirror, Origin, Outlier, PathMatch,
    PathModifier, PortAck, PortKey, PrivateKey, Protocol, ProxyProtocol, QueryMatch, Redirect,
    Retry, RetryBudget, Revision, Rewrite, RouteKind, Rule, SessionPersistence, SessionPlace,
    SubjectAltName, Target, Timeouts, TlsOptions, TlsTermination, TlsVersion, Transport,
    TrustBundle, TrustBundleId, TrustedPeers, UpstreamTls, ValueMatch,
};

use super::{
    WireError,
    codec::{Decoder, Encoder, Wire},
};

/// Counts changes of form that the lists do not show.
const FORM: u8 = 1;

/// Tells builds apart that do not understand each other's entities.
pub(crate) fn fingerprint() -> [u8; 8] {
    static FINGERPRINT: LazyLock<[u8; 8]> = LazyLock::new(|| {
        let lists: String = LISTS.chars().filter(|letter| !letter.is_whitespace()).collect();
        let digest = crate::digest::of([&[FORM], lists.as_bytes()]);
        let mut short = [0; 8];
        short.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        short
    });
    *FINGERPRINT
}

macro_rules! wire {
    ($($kind:ident $name:ident $body:tt)*) => {
        const LISTS: &str = stringify!($($kind $name $body)*);
        $( form! { $kind $name $body } )*
    };
}

macro_rules! form {
    (struct $name:ident { $($field:ident),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Encoder) {
                let Self { $($field),* } = self;
                $( $field.put(out); )*
            }

            fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
                $( let $field = Wire::take(input)?; )*
                Ok(Self { $($field),* })
            }
        }
    };
    (tuple $name:ident { $($item:ident),* }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Encoder) {
                let Self($($item),*) = self;
                $( $item.put(out); )*
            }

            fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
                $( let $item = Wire::take(input)?; )*
                Ok(Self($($item),*))
            }
        }
    };
    (enum $name:ident { $(
        $tag:literal => $variant:ident $( ( $($item:ident),* ) )? $( { $($field:ident),* } )?
    ),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Encoder) {
                match self { $(
                    Self::$variant $( ( $($item),* ) )? $( { $($field),* } )? => {
                        out.byte($tag);
                        $( $( $item.put(out); )* )?
                        $( $( $field.put(out); )* )?
                    }
                )* }
            }

            fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
                match input.byte()? {
                    $( $tag => {
                        $( $( let $item = Wire::take(input)?; )* )?
                        $( $( let $field = Wire::take(input)?; )* )?
                        Ok(Self::$variant $( ( $($item),* ) )? $( { $($field),* } )?)
                    } )*
                    tag => Err(WireError::Tag { of: stringify!($name), tag }),
                }
            }
        }
    };
}

pub(crate) use form;

/// Types that are shared behind an `Arc`.
macro_rules! shared {
    ($($name:ident)*) => { $(
        impl Wire for Arc<$name> {
            fn put(&self, out: &mut Encoder) {
                (**self).put(out);
            }

            fn take(input: &mut Decoder<'_>) -> Result<Self, WireError> {
                $name::take(input).map(Arc::new)
            }
        }
    )* };
}

shared! {
    Certificate ClientValidation Cluster Endpoint EndpointSet Gateway HttpRoute L4Route Listener
    PrivateKey Rule SessionPersistence TrustBundle UpstreamTls
}

wire! {
    // ---- names
    struct Origin { object, field }
    enum HostPattern { 0 => Exact(name), 1 => Wildcard(suffix) }

    // ---- gateways and listeners
    struct Gateway { object, class, listeners, client_certificate }
    struct ListenerId { owner, name }
    enum BindAddress { 0 => Any, 1 => Ip(address) }
    struct Listener {
        id, origin, gateway, addresses, port, bind_port, protocol, hostname, http, connection,
        filters,
    }
    enum Protocol {
        0 => Http,
        1 => Https(termination),
        2 => TlsPassthrough,
        3 => TlsTerminate(termination),
        4 => Tcp,
        5 => Udp,
    }
    struct ConnectionSettings { proxy_protocol, connections_max }
    struct HttpSettings { trusted_peers, escaped_slashes, keep_empty_segments }
    struct TrustedPeers { hops, networks }
    enum EscapedSlashes { 0 => Keep, 1 => Reject }

    // ---- routes
    struct HttpRoute { object, kind, created, attachments, rules }
    enum RouteKind { 0 => Grpc, 1 => Http }
    struct Attachment { listener, hosts }
    struct Rule { origin, index, name, matches, filters, action, timeouts, retry }
    enum Action { 0 => Forward(backends), 1 => Redirect(redirect), 2 => Fail(reason) }
    enum FailReason { 0 => InvalidBackend, 1 => NoBackends, 2 => UnsupportedRule }
    struct Backend { origin, weight, target, filters, persistence }
    struct SessionPersistence { origin, name, place, absolute_timeout, idle_timeout }
    enum SessionPlace { 0 => Cookie { path, lifetime }, 1 => Header }
    enum CookieLifetime { 0 => Session, 1 => Permanent }
    enum Target { 0 => Cluster(cluster), 1 => Fail(reason) }
    struct Match { origin, path, method, headers, query }
    enum PathMatch { 0 => Exact(path), 1 => Prefix(path), 2 => Regex(pattern), 3 => Call(call) }
    struct CallMatch { service_chars, method_chars, pattern }
    struct HeaderMatch { name, value }
    struct QueryMatch { name, value }
    enum ValueMatch { 0 => Exact(text), 1 => Regex(pattern) }
    struct Timeouts { request, backend_request }
    struct Retry { attempts, codes, backoff }
    struct L4Route { object, created, attachments, origin, backends, passthrough }

    // ---- filters
    enum Filter {
        0 => Cors(cors),
        1 => Mirror(mirror),
        2 => RequestHeaders(modifier),
        3 => ResponseHeaders(modifier),
        4 => Rewrite(rewrite),
        5 => ExternalAuth(auth),
    }
    struct HeaderModifier { set, add, remove }
    struct Redirect { origin, scheme, hostname, path, port, status }
    struct Rewrite { origin, hostname, path }
    enum PathModifier { 0 => ReplaceFull(path), 1 => ReplacePrefix(path) }
    struct Mirror { origin, target, share }
    struct ExternalAuth { origin, target, protocol, allowed_headers, body_max }
    enum AuthProtocol { 0 => Grpc, 1 => Http { path_prefix, allowed_response_headers } }
    struct Fraction { numerator, denominator }
    struct Cors {
        origin, allow_origins, allow_credentials, allow_methods, allow_headers, expose_headers,
        max_age,
    }
    enum CorsOrigin { 0 => Any, 1 => Origin { scheme, host, port } }

    // ---- clusters and endpoints
    tuple ClusterId { cluster }
    struct Cluster {
        backend, port, protocol, tls, balance, proxy_protocol, outlier, retry_budget, locality,
    }
    enum BackendProtocol { 0 => Http1, 1 => Http2, 2 => Negotiated, 3 => Tcp, 4 => Udp }
    enum ProxyProtocol { 0 => V1, 1 => V2 }
    struct Outlier { consecutive_failures, ejection, max_percent }
    struct RetryBudget { percent, interval, min_retries, min_interval }
    enum Locality { 0 => Any, 1 => PreferZone, 2 => PreferNode }
    enum Balance { 0 => LeastRequest, 1 => RoundRobin }
    struct EndpointsKey { backend, port }
    struct EndpointSet { endpoints }
    struct Endpoint { address, identity, zone, for_zones, for_nodes, state }
    enum EndpointState { 0 => Ready, 1 => Draining }

    // ---- TLS
    struct TlsTermination { certificates, client_validation, options }
    struct ClientValidation { authorities, mode }
    enum ClientValidationMode { 0 => AllowValidOnly, 1 => AllowInsecureFallback }
    struct UpstreamTls {
        origin, server_name, authorities, subject_alt_names, client_certificate, options,
    }
    enum Authorities { 0 => System, 1 => Bundles(bundles) }
    enum SubjectAltName { 0 => Hostname(name), 1 => Uri(uri) }
    struct TlsOptions { min_version, max_version, cipher_suites }
    enum TlsVersion { 0 => Tls12, 1 => Tls13 }
    enum CipherSuite {
        0 => Aes256GcmSha384,
        1 => Aes128GcmSha256,
        2 => Chacha20Poly1305Sha256,
        3 => EcdheEcdsaAes256GcmSha384,
        4 => EcdheEcdsaAes128GcmSha256,
        5 => EcdheEcdsaChacha20Poly1305Sha256,
        6 => EcdheRsaAes256GcmSha384,
        7 => EcdheRsaAes128GcmSha256,
        8 => EcdheRsaChacha20Poly1305Sha256,
    }
    tuple CertificateId { digest }
    struct Certificate { id, origin, chain, key, names }
    tuple TrustBundleId { digest }
    struct TrustBundle { id, origin, certificates }

    // ---- acknowledgements
    struct Revision { epoch, sequence }
    struct Ack { revision, ports }
    struct PortAck { key, result }
    enum BindFailure { 0 => InUse, 1 => Denied, 2 => NotLocal, 3 => Other(words) }
    struct PortKey { address, port, transport }
    enum Transport { 0 => Tcp, 1 => Udp }
}
