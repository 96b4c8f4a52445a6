//! Files in, snapshot out.
//!
//! Reads YAML and JSON as kubectl does, keeps the place of every field for diagnostics, validates
//! each object as an API server would, keeps the last good state of an object that is broken now,
//! and hands the whole to the translation as one snapshot.
//!
//! It must never talk to a cluster, know the data plane, or decide what a route means.
//!
//! Start reading at [`yaml::read`], then `Store::load`.

pub mod limits;
pub mod yaml;
