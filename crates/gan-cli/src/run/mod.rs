//! A run under way: what it does, and who hears of it.
//!
//! A [`Session`] trains from a state to the end, or to a verdict and back. After each step its
//! [`Duties`] do what is due. All that happens is an [`Event`], told to the [`Sinks`]: one file
//! each under `sinks/`, which write it down or show it.

mod checkpoints;
mod clock;
mod duties;
mod evaluation;
mod event;
mod health;
mod interrupt;
mod losses;
mod plan;
pub(crate) mod rollback;
mod samples;
mod session;
mod sinks;
mod snapshot;

pub(crate) use interrupt::Interrupt;
pub(crate) use plan::Plan;
pub(crate) use session::Session;
pub(crate) use sinks::Sinks;

use clock::Clock;
use duties::Duties;
use event::{Begun, Ending, Event};
use session::State;
use snapshot::Snapshot;

#[cfg(test)]
mod tests;
