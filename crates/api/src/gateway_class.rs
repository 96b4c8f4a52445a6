//! GatewayClass.

use std::sync::Arc;

use serde_json::Value;

use crate::condition::Condition;
use crate::decode::{Decode, Decoder, record};
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::reference::ParametersReference;
use crate::shape::Shape;

object! {
    /// The controller, and its parameters, that Gateways of this class belong to.
    pub struct GatewayClass {
        metadata: ObjectMeta = "metadata",
        spec: GatewayClassSpec = "spec",
        status: Option<GatewayClassStatus> = "status",
    }
}

object! {
    /// What the author of a class asks for.
    pub struct GatewayClassSpec {
        /// A domain and a path; who is not this controller leaves the class alone.
        controller_name: Arc<str> = "controllerName",
        parameters_ref: Option<ParametersReference> = "parametersRef",
        description: Option<Arc<str>> = "description",
    }
}

object! {
    /// What the controller of a class reports.
    pub struct GatewayClassStatus {
        conditions: Vec<Condition> = "conditions",
        /// Sorted by name.
        supported_features: Vec<SupportedFeature> = "supportedFeatures",
    }
}

/// A feature name of the conformance suite. Read both as `{name: X}` and, from releases before
/// 1.3, as the plain text `X`; always written as an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SupportedFeature {
    /// The feature's name, such as `HTTPRouteCORS`.
    pub name: Arc<str>,
}

object! {
    /// The JSON form of [`SupportedFeature`].
    pub struct SupportedFeatureObject {
        name: Arc<str> = "name",
    }
}

impl Decode for SupportedFeature {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        if let Some(name) = value.as_str() {
            return Some(Self { name: name.into() });
        }
        record::<SupportedFeatureObject>(value, decoder).map(|object| Self { name: object.name })
    }

    fn shape() -> Shape {
        SupportedFeatureObject::shape()
    }
}

impl serde::Serialize for SupportedFeature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SupportedFeatureObject { name: self.name.clone() }.serialize(serializer)
    }
}
