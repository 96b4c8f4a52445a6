//! Portcullis in a Kubernetes cluster: it watches objects, translates them with the same pure
//! function as everything else, makes what Gateways need there, and reports.
//!
//! It must never carry traffic, decide what an object means (`translate` does), or write an object
//! or a part of one that is not ours.
//!
//! Start reading at [`provision`] (pods and Services for each Gateway).

pub mod provision;
