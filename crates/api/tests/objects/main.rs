//! The object types, from outside.
#![cfg(test)]

mod conversion;
mod every_field;
mod kinds;
mod leniency;
mod values;
