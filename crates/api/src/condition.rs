//! Status conditions.

use std::sync::Arc;

use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::timestamp::Timestamp;

open_enum! {
    /// `metav1.ConditionStatus`.
    pub enum ConditionStatus {
        True = "True",
        False = "False",
        Unknown = "Unknown",
    }
}

object! {
    /// `metav1.Condition`.
    pub struct Condition {
        r#type: Arc<str> = "type",
        status: ConditionStatus = "status",
        /// The generation that was looked at; absent in the CRD's default conditions.
        observed_generation: Option<i64> = "observedGeneration",
        /// Filled in by whoever writes the status: pure code has no clock.
        last_transition_time: Option<Timestamp> = "lastTransitionTime",
        reason: Arc<str> = "reason",
        message: Arc<str> = "message" always,
    }
}
