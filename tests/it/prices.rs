//! `prices` from outside.
