//! Behaviour of the crate from outside: real sockets, real certificates, a server and clients.

#[cfg(test)]
mod identity;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod support;
#[cfg(test)]
mod survival;
