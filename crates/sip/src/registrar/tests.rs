//! Filled in with the behaviour.
