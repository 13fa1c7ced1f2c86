//! Health of a run. It finds verdicts, with evidence, from a few measurements at each health
//! check.

mod monitor;
mod probe;
mod remedies;
mod rules;
mod verdict;
mod vitals;
mod window;

pub use monitor::Monitor;
pub use probe::Probe;
pub use remedies::Remedy;
pub use verdict::{Failure, Verdict};
pub use vitals::{Baseline, ImageVitals, Losses, Player, Vitals};
pub use window::Window;
