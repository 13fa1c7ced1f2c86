//! The integration tests. They are one binary, so that the libraries are linked only once.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

// The modules with `fused` test files, or take too long without the kernels. What they test does not
// depend on the arithmetic, so once is enough.
#[cfg(feature = "fused")]
mod animate;
#[cfg(feature = "fused")]
mod arrays;
#[cfg(feature = "fused")]
mod averages;
mod bad_input;
mod bench;
#[cfg(all(unix, feature = "board", feature = "fused"))]
mod board;
#[cfg(all(target_os = "linux", feature = "fused"))]
mod bombs;
#[cfg(all(unix, feature = "board", feature = "fused"))]
mod browser;
mod classes;
mod classifier;
mod cli;
mod configs;
#[cfg(feature = "fused")]
mod data;
mod evaluate;
#[cfg(feature = "fused")]
mod export;
#[cfg(feature = "fused")]
mod faults;
mod features;
mod golden;
#[cfg(feature = "fused")]
mod health;
#[cfg(all(target_os = "linux", feature = "mpi"))]
mod hosts;
#[cfg(feature = "fused")]
mod init;
mod kill;
#[cfg(feature = "fused")]
mod layering;
mod layers;
#[cfg(all(unix, feature = "fused"))]
mod links;
#[cfg(all(target_os = "linux", feature = "mpi"))]
mod mpi;
mod networks;
#[cfg(feature = "fused")]
mod outputs;
#[cfg(feature = "fused")]
mod own_files;
#[cfg(feature = "fused")]
mod packages;
#[cfg(all(unix, feature = "board", feature = "fused"))]
mod pages;
mod parity;
#[cfg(feature = "fused")]
mod pictures;
mod program;
#[cfg(feature = "fused")]
mod project;
#[cfg(feature = "fused")]
mod report;
#[cfg(all(unix, feature = "fused"))]
mod signals;
mod stacked;
#[cfg(feature = "fused")]
mod state_dicts;
#[cfg(feature = "fused")]
mod strangers;
#[cfg(feature = "fused")]
mod terminal;
#[cfg(all(unix, feature = "fused"))]
mod together;
#[cfg(feature = "fused")]
mod tutorial;
