//! The integration tests. They are one binary, so that the libraries are linked only once.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

mod arrays;
mod bad_input;
mod bench;
mod classes;
mod cli;
mod configs;
mod data;
mod evaluate;
mod golden;
#[cfg(feature = "fused")]
mod health;
mod kill;
mod layering;
mod layers;
mod networks;
mod outputs;
mod packages;
mod parity;
mod program;
mod stacked;
mod state_dicts;
mod terminal;
mod tutorial;
