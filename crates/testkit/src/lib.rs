//! Fixtures and recorder backends for tests.
