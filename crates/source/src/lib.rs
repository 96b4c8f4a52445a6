//! Files in, snapshot out.
