//! Messages of HTTP, whoever sends them.

#[cfg_attr(not(test), expect(dead_code, reason = "responses do not pass through it yet"))]
pub(super) mod scrub;
