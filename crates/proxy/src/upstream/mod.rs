//! The way to the endpoints: which one, over which connection.

pub(crate) mod balance;
pub(crate) mod connect;
pub(crate) mod endpoints;
pub(crate) mod health;
pub(crate) mod pool;
pub(crate) mod reach;
pub(crate) mod session;
pub(crate) mod stream;
