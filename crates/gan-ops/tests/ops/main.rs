//! The ops as a user calls them: each equal to its twin in plain candle operations, forward and in every gradient, at odd
//! sizes and for arguments that are transposed, strided or offset views; what does not fit is an error; the same call
//! gives the same bytes.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

mod batch_norm;
mod elementwise;
mod layers;
mod misfits;
mod products;
mod repeat;
mod tape;
mod twins;
