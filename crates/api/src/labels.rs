//! Label selectors (`metav1.LabelSelector`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::object_macro::object;
use crate::open_enum::open_enum;

object! {
    /// Selects objects by their labels; all requirements must hold, and none at all selects all.
    pub struct LabelSelector {
        match_labels: BTreeMap<Arc<str>, Arc<str>> = "matchLabels",
        match_expressions: Vec<LabelSelectorRequirement> = "matchExpressions",
    }
}

object! {
    /// One requirement on one label.
    pub struct LabelSelectorRequirement {
        key: Arc<str> = "key",
        operator: LabelSelectorOperator = "operator",
        /// At least one for In and NotIn, none for Exists and DoesNotExist.
        values: Vec<Arc<str>> = "values",
    }
}

open_enum! {
    /// How a label is compared with the values.
    pub enum LabelSelectorOperator {
        In = "In",
        NotIn = "NotIn",
        Exists = "Exists",
        DoesNotExist = "DoesNotExist",
    }
}

impl LabelSelector {
    /// Whether an object with `labels` is selected. A requirement that is not valid selects
    /// nothing.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }

    /// The index of the first requirement in `matchExpressions` that is not valid.
    #[must_use]
    pub fn first_invalid(&self) -> Option<usize> {
        self.match_expressions.iter().position(|requirement| !requirement.is_valid())
    }
}

impl LabelSelectorRequirement {
    /// Whether operator and values go together.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        use LabelSelectorOperator::{DoesNotExist, Exists, In, NotIn, Other};
        match self.operator {
            In | NotIn => !self.values.is_empty(),
            Exists | DoesNotExist => self.values.is_empty(),
            Other(_) => false,
        }
    }

    /// An absent label satisfies NotIn, as in Kubernetes.
    fn matches(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> bool {
        use LabelSelectorOperator::{DoesNotExist, Exists, In, NotIn, Other};
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        self.is_valid()
            && match self.operator {
                In => listed,
                NotIn => !listed,
                Exists => value.is_some(),
                DoesNotExist => value.is_none(),
                Other(_) => false,
            }
    }
}
