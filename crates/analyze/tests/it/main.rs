//! Behaviour of the crate from outside: YAML in, explanations and findings out.
#![cfg(test)]

mod agreement;
mod certificates;
mod explain;
mod golden;
mod handshake;
mod outputs;
mod random;
mod rules;
mod shadow;
mod support;
mod suppress;
mod url;
