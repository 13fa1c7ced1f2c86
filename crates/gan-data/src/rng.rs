//! Seeded random numbers that never change.
//!
//! A resumed run must continue with the order that it began with. `rand` may change the values of
//! its ranges and shuffles between versions, so this file contains its own. The `ChaCha` stream
//! itself is fixed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The stream of (seed, purpose, index). It is independent of all other streams.
pub(crate) fn stream(seed: u64, purpose: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&purpose.to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A uniform number below `bound` (Lemire, arXiv 1805.10941, algorithm 5).
pub(crate) fn below(bound: u32, rng: &mut ChaCha8Rng) -> u32 {
    // The value is 2^32 mod bound. Products whose low half is smaller would favour some results.
    let biased = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(bound);
        if product as u32 >= biased {
            return (product >> 32) as u32;
        }
    }
}
