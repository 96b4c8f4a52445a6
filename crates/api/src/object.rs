//! An object of any kind, and reading one.

use std::sync::Arc;

use serde_json::Value;

use crate::backend_tls_policy::BackendTlsPolicy;
use crate::conversion::{self, Conversion};
use crate::core_kinds::{ClusterTrustBundle, ConfigMap, Namespace, Secret, Service};
use crate::decode::{DecodeIssue, Decoder, decode};
use crate::discovery::{EndpointSlice, Endpoints};
use crate::gateway::Gateway;
use crate::gateway_class::GatewayClass;
use crate::gateway_parameters::{EnvoyProxy, GatewayParameters};
use crate::grpc_route::GrpcRoute;
use crate::http_route::HttpRoute;
use crate::l4_routes::{TcpRoute, TlsRoute, UdpRoute};
use crate::listener_set::ListenerSet;
use crate::meta::{ObjectMeta, ObjectName};
use crate::reference_grant::ReferenceGrant;
use crate::resource::{Resource, to_value};
use crate::x_kinds::{XBackend, XBackendTrafficPolicy, XMesh, XTelemetryPolicy};

/// An object of a kind that we do not know, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherObject {
    /// Group and version as written.
    pub api_version: Arc<str>,
    /// The kind as written; empty when absent.
    pub kind: Arc<str>,
    /// The metadata.
    pub metadata: ObjectMeta,
    /// The whole object.
    pub value: Value,
}

impl OtherObject {
    /// The part of `apiVersion` before the slash; empty for core.
    #[must_use]
    pub fn group(&self) -> &str {
        conversion::split_api_version(&self.api_version).0
    }
}

/// What [`Object::decode`] read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The object, in the newest shape.
    pub object: Object,
    /// Fields that could not be used, by their path in the newest shape. Whoever serves the
    /// object must not serve less than those fields asked for.
    pub issues: Vec<DecodeIssue>,
    /// Set when the object was written in an old shape.
    pub conversion: Option<Conversion>,
}

impl Decoded {
    /// The issues at or inside `field`, such as `spec.rules[0]`.
    pub fn issues_under(&self, field: &str) -> impl Iterator<Item = &DecodeIssue> {
        self.issues.iter().filter(move |issue| issue.is_under(field))
    }
}

macro_rules! objects {
    ($($variant:ident,)*) => {
        /// An object of any kind. Cloning is cheap.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Object {
            $(
                #[doc = concat!("See [`", stringify!($variant), "`].")]
                $variant(Arc<$variant>),
            )*
            /// A kind that we do not know.
            Other(Arc<OtherObject>),
        }

        impl Object {
            /// The API group; empty for core.
            #[must_use]
            pub fn group(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $variant::GROUP, )*
                    Self::Other(object) => object.group(),
                }
            }

            /// The kind.
            #[must_use]
            pub fn kind(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $variant::KIND, )*
                    Self::Other(object) => &object.kind,
                }
            }

            /// The metadata.
            #[must_use]
            pub fn meta(&self) -> &ObjectMeta {
                match self {
                    $( Self::$variant(object) => object.meta(), )*
                    Self::Other(object) => &object.metadata,
                }
            }

            /// The same object with another `metadata.generation`.
            #[must_use]
            pub fn with_generation(&self, generation: i64) -> Self {
                match self {
                    $( Self::$variant(object) => {
                        let mut object = (**object).clone();
                        object.metadata.generation = Some(generation);
                        Self::$variant(Arc::new(object))
                    } )*
                    Self::Other(object) => {
                        let mut object = (**object).clone();
                        object.metadata.generation = Some(generation);
                        Self::Other(Arc::new(object))
                    }
                }
            }

            /// The object as Kubernetes JSON. Secrets come out redacted.
            #[must_use]
            pub fn to_value(&self) -> Value {
                match self {
                    $( Self::$variant(object) => to_value(&**object), )*
                    Self::Other(object) => object.value.clone(),
                }
            }

            fn decode_known(group: &str, kind: &str, value: &Value) -> Option<(Self, Vec<DecodeIssue>)> {
                $(
                    if group == $variant::GROUP && kind == $variant::KIND {
                        let (object, issues) = decode::<$variant>(value);
                        return Some((Self::$variant(Arc::new(object)), issues));
                    }
                )*
                None
            }
        }

        $(
            impl From<$variant> for Object {
                fn from(object: $variant) -> Self {
                    Self::$variant(Arc::new(object))
                }
            }
        )*
    };
}

objects! {
    GatewayClass,
    Gateway,
    HttpRoute,
    GrpcRoute,
    TlsRoute,
    TcpRoute,
    UdpRoute,
    ListenerSet,
    BackendTlsPolicy,
    ReferenceGrant,
    XBackend,
    XBackendTrafficPolicy,
    XMesh,
    XTelemetryPolicy,
    GatewayParameters,
    EnvoyProxy,
    Namespace,
    Service,
    EndpointSlice,
    Endpoints,
    Secret,
    ConfigMap,
    ClusterTrustBundle,
}

impl Object {
    /// Namespace and name.
    #[must_use]
    pub fn name(&self) -> ObjectName {
        self.meta().object_name()
    }

    /// Reads an object of any kind and any version, old shapes in their newest form. Never fails:
    /// what cannot be used is listed in the result.
    #[must_use]
    pub fn decode(value: &Value) -> Decoded {
        let (value, conversion) = conversion::to_newest(value);
        let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (group, _) = conversion::split_api_version(api_version);
        let (object, issues) = Self::decode_known(group, kind, &value)
            .unwrap_or_else(|| decode_other(api_version, kind, &value));
        Decoded { object, issues, conversion }
    }
}

/// The metadata of an unknown kind is read as far as it goes; it need not have any.
fn decode_other(api_version: &str, kind: &str, value: &Value) -> (Object, Vec<DecodeIssue>) {
    let mut decoder = Decoder::default();
    let metadata: Option<ObjectMeta> = match value.as_object() {
        Some(map) => decoder.field(map, "metadata"),
        None => {
            decoder.wrong_type("object", value);
            None
        }
    };
    let object = OtherObject {
        api_version: api_version.into(),
        kind: kind.into(),
        metadata: metadata.unwrap_or_default(),
        value: value.clone(),
    };
    (Object::Other(Arc::new(object)), decoder.into_issues())
}
