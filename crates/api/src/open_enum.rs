//! Enums that stay open: a value that this version does not know is kept, not refused.

/// Declares an enum over known texts plus `Other`, which keeps any other text as written.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal , )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )*
            /// A value that this version does not know, as written.
            Other(std::sync::Arc<str>),
        }

        impl $name {
            /// Every value that this version knows, as written in JSON.
            pub const KNOWN: &'static [&'static str] = &[$($text),*];

            /// The value as written in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $text, )*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $( $text => Self::$variant, )*
                    other => Self::Other(other.into()),
                }
            }
        }

        /// The text that stands for a missing value: empty.
        impl Default for $name {
            fn default() -> Self {
                Self::from("")
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                value: &serde_json::Value,
                decoder: &mut $crate::decode::Decoder,
            ) -> Option<Self> {
                let Some(text) = value.as_str() else {
                    decoder.wrong_type("string", value);
                    return None;
                };
                Some(Self::from(text))
            }

            fn shape() -> $crate::shape::Shape {
                $crate::shape::Shape::String
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use open_enum;
