//! One number that stands for a version of the prices.

use std::hash::Hasher;

/// FNV-1a: tells one version from the next, the same everywhere, and nothing more.
pub(super) struct Fingerprint(pub(super) u64);

/// What FNV-1a begins with.
pub(super) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, step);
    }
}
