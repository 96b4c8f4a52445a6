//! Behaviour of the crate from outside: tables are built by `assemble`, requests go to `find`.

mod assemble;
mod backends;
mod cors;
mod dump;
mod explain;
mod filters;
mod hostnames;
mod naive;
mod oracle;
mod overlay;
mod paths;
mod precedence;
mod random;
mod support;
