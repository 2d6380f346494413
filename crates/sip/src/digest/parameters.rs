//! The `name=value, name="value"` lists of RFC 7235, shared by both sides.
