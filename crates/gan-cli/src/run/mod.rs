//! A run: what it does, and which sinks get its events.
//!
//! A [`Session`] trains from a state to the end of the run, or to a verdict. After a verdict it may
//! go back to an earlier state. After each step its [`Duties`] do the work that is due. Each thing
//! that happens is an [`Event`]. The session sends it to the [`Sinks`], which record or show it.
//! Each sink is one file of `sinks/`.

mod beginning;
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
pub(crate) use plan::{Plan, share_of_step};
pub(crate) use session::Session;
pub(crate) use sinks::{Sinks, is_event_file};

use clock::Clock;
use duties::Duties;
use event::{Begun, Ending, Event};
use session::{Resumable, State};
use snapshot::Snapshot;

// What they test does not depend on the arithmetic, and takes too long without the kernels.
#[cfg(test)]
#[cfg(feature = "fused")]
mod tests;
