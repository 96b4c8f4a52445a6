//! `object!`: a struct, how it is read leniently, how it is written, and its shape, from one list.

/// Declares a record. Each line is `rust_name: Type = "jsonName",`; `always` after the name writes
/// the field even when it is empty (lists that Kubernetes requires). A leading `..name: Type,`
/// is an embedded record whose properties stand beside the others.
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( ..$inner:ident : $inner_type:ty , )?
            $( $(#[$field_meta:meta])* $field:ident : $type:ty = $json:literal $($always:ident)? , )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $(
                /// The embedded part.
                pub $inner: $inner_type,
            )?
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $crate::decode::Record for $name {
            fn decode_fields(
                map: &serde_json::Map<String, serde_json::Value>,
                decoder: &mut $crate::decode::Decoder,
            ) -> Self {
                Self {
                    $( $inner: <$inner_type as $crate::decode::Record>::decode_fields(map, decoder), )?
                    $( $field: decoder.field(map, $json), )*
                }
            }

            fn serialize_fields<M: serde::ser::SerializeMap>(
                &self,
                map: &mut M,
            ) -> Result<(), M::Error> {
                $( $crate::decode::Record::serialize_fields(&self.$inner, map)?; )?
                $( $crate::object_macro::object!(@write map, &self.$field, $json $(, $always)?); )*
                Ok(())
            }

            fn shape_fields(fields: &mut Vec<(&'static str, $crate::shape::Shape)>) {
                $( <$inner_type as $crate::decode::Record>::shape_fields(fields); )?
                $( fields.push(($json, <$type as $crate::decode::Decode>::shape())); )*
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                value: &serde_json::Value,
                decoder: &mut $crate::decode::Decoder,
            ) -> Option<Self> {
                $crate::decode::record(value, decoder)
            }

            fn shape() -> $crate::shape::Shape {
                let mut fields = Vec::new();
                <Self as $crate::decode::Record>::shape_fields(&mut fields);
                $crate::shape::Shape::Object(fields)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serde::Serializer::serialize_map(serializer, None)?;
                $crate::decode::Record::serialize_fields(self, &mut map)?;
                serde::ser::SerializeMap::end(map)
            }
        }
    };
    (@write $map:ident, $value:expr, $json:literal) => {
        if !$crate::decode::Decode::is_absent($value) {
            $map.serialize_entry($json, $value)?;
        }
    };
    (@write $map:ident, $value:expr, $json:literal, always) => {
        $map.serialize_entry($json, $value)?;
    };
}

pub(crate) use object;
