//! Goes back to a step before a failure and halves both learning rates.
//!
//! A line in the journal decides. Once it is written, the run has gone back. A crash may leave the
//! other changes unfinished. Then the run makes them when it continues, and a second line records
//! that they are complete.

use super::Plan;
use crate::config::Config;
use crate::exit::usage;
use crate::journal::Journal;
use crate::records::{self, Acted, ActedLine, Rollback, RollbackLine};
use crate::run_dir::RunDir;
use anyhow::Result;
use gan_files::{read, remove_file, write_atomically};
use gan_metrics::health::Verdict;
use gan_train::checkpoint;
use std::path::{Path, PathBuf};

/// The settings that a rollback changes: the rates, and the rates at the end of their schedules.
const RATES: [&str; 4] = [
    "train.generator.lr",
    "train.generator.lr-schedule.to",
    "train.discriminator.lr",
    "train.discriminator.lr-schedule.to",
];

/// Where a run can go back to.
pub(super) enum Way {
    /// It can go back to this checkpoint.
    To(PathBuf),
    /// It can go back to the first step, because no checkpoint was due yet.
    ToTheStart,
    /// It cannot go back, because the checkpoints before the failure are gone.
    None,
}

/// Where the run can go back to, if it showed no sign of the failure until the step
/// `healthy_until`.
pub(super) fn way(plan: &Plan, healthy_until: u64) -> Result<Way> {
    // Checkpoints of interruptions do not count. So a run that was interrupted goes back to the
    // same step as one that was not.
    let is_regular = |step| plan.writes_checkpoint(step);
    Ok(match checkpoint::newest_until(&plan.run.checkpoints(), healthy_until, &is_regular)? {
        Some(path) => Way::To(path),
        None if plan.config.reporting.checkpoint_every.has_come_by(healthy_until) => Way::None,
        None => Way::ToTheStart,
    })
}

/// Goes back to a checkpoint, or to the start without one. It returns the line for the journal.
pub(super) fn go_back(
    run: &RunDir,
    config: &mut Config,
    verdict: &Verdict,
    healthy: Option<&Path>,
) -> Result<RollbackLine> {
    let step = healthy.and_then(checkpoint::step_of).unwrap_or_default();
    let (generator, discriminator) = (&mut config.train.generator, &mut config.train.discriminator);
    for player in [&mut *generator, &mut *discriminator] {
        *player = player.with_lr(player.lr / 2.);
    }
    let (lr_g, lr_d) = (generator.lr, discriminator.lr);
    let rollback = Rollback { from: verdict.step, verdict: verdict.clone(), lr_g, lr_d };
    let line = RollbackLine { step, rollback };
    Journal::rewind(&run.metrics(), step, &line)?;
    finish(run)?;
    Ok(line)
}

/// Checks that a run that went back continues with its halved rates. A checkpoint checks this too,
/// but a run that went back to its first step has none.
pub(crate) fn check(run: &RunDir, config: &Config) -> Result<()> {
    let Some(RollbackLine { rollback, .. }) = records::rollback(&run.metrics())? else { return Ok(()) };
    let Rollback { lr_g, lr_d, .. } = rollback;
    let (generator, discriminator) = (config.train.generator.lr, config.train.discriminator.lr);
    for (player, expected, found) in [("discriminator", lr_d, discriminator), ("generator", lr_g, generator)]
    {
        if found.to_bits() != expected.to_bits() {
            return Err(usage(format!(
                "train.{player}.lr: expected {expected}, because the run went back and halved it, found {found}; \
                 without --config, a resume takes the run's own config.toml"
            )));
        }
    }
    Ok(())
}

/// Completes a rollback that the journal records, and then records there that it is complete.
pub(crate) fn finish(run: &RunDir) -> Result<()> {
    let path = run.metrics();
    let Some(RollbackLine { step, rollback }) = records::rollback(&path)? else { return Ok(()) };
    if records::has_acted(&path, Acted::WentBack, step)? {
        return Ok(());
    }
    let mut config = Config::load(&run.config(), &[])?;
    let train = &mut config.train;
    train.generator = train.generator.with_lr(rollback.lr_g);
    train.discriminator = train.discriminator.with_lr(rollback.lr_d);
    let mut rates = config.settings()?;
    rates.retain(|key, _| RATES.contains(&key.as_str()));
    checkpoint::go_back(&run.checkpoints(), step, &rates)?;
    run.forget_after(step)?;
    // The next checkpoint writes this file again.
    remove_file(&run.ema())?;
    match checkpoint::newest_until(&run.checkpoints(), step, &|_| true)? {
        Some(healthy) => write_atomically(&run.generator(), &read(&checkpoint::generator(&healthy))?)?,
        None => remove_file(&run.generator())?,
    }
    write_atomically(&run.config(), config.to_toml()?.as_bytes())?;
    Journal::open(&path, step)?.append(&ActedLine { step, acted: Acted::WentBack })
}
