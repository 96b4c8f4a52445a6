//! Explain and lint, on the same translation and matcher.
