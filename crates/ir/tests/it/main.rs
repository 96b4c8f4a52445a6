//! Behaviour of the crate from outside: tables are built by `assemble`, requests go to `find`.

#[cfg(test)]
mod assemble;
#[cfg(test)]
mod backends;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod dump;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod hostnames;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod l4;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod overlay;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod precedence;
#[cfg(test)]
mod random;
#[cfg(test)]
mod slice;
#[cfg(test)]
mod support;
