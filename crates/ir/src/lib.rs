//! What a data plane executes, and the matcher.
