//! What is served: feature names for GatewayClass status, and the verdict on every field.

pub(crate) mod features;

pub use features::supported_features;
