//! Tests of the ops as a user calls them. Each op is equal to its version in plain candle
//! operations, forward and in every gradient, at odd sizes and for arguments that are transposed,
//! strided or offset views. Arguments that do not fit are errors. The same call gives the same
//! bytes.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

mod batch_norm;
mod elementwise;
mod layers;
mod misfits;
mod pooling;
mod products;
mod repeat;
mod tape;
mod twins;
