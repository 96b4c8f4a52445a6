//! The pure translation from objects to IR, diagnostics and statuses.
