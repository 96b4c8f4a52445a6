//! Every object Portcullis reads or writes.
