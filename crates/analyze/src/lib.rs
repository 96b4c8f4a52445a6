//! Questions about a configuration, answered without serving it: which rule a request takes and
//! why, and what in the objects is not as it should be.
//!
//! Everything here is a pure function of a translation. It must never do I/O or read a clock (a
//! moment is an argument), and never decide itself what a request takes: that is [`ir::find()`].
//!
//! Start reading at [`explain()`] and [`lint()`].

pub mod explain;
pub mod limits;
pub mod lint;

pub use explain::{Explained, Request, RequestError, explain};
pub use lint::{
    Baseline, Finding, Fix, Level, LintConfig, LintOptions, Location, Suppression, findings_json,
    lint, sarif,
};
