//! Inputs that once broke a promise.
