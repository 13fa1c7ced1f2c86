//! Back to before a failure, with both learning rates halved.
//!
//! The line in the journal decides: once it is written the run has gone back, and whatever a crash left undone of the rest is
//! done when the run goes on.

use crate::config::Config;
use crate::journal::Journal;
use crate::records::{self, Rollback, RollbackLine};
use crate::run_dir::RunDir;
use anyhow::{Context, Result};
use gan_metrics::health::Verdict;
use gan_models::write_atomically;
use gan_train::checkpoint;
use std::path::PathBuf;

/// Takes the run back to its last checkpoint up to the step `healthy_until`, which is returned, or to its beginning.
pub(super) fn go_back(
    run: &RunDir,
    config: &mut Config,
    verdict: &Verdict,
    healthy_until: u64,
) -> Result<Option<PathBuf>> {
    let healthy = checkpoint::newest_until(&run.checkpoints(), healthy_until)?;
    let step = healthy.as_deref().and_then(checkpoint::step_of).unwrap_or_default();
    let (generator, discriminator) = (&mut config.train.generator, &mut config.train.discriminator);
    generator.lr /= 2.;
    discriminator.lr /= 2.;
    let (lr_g, lr_d) = (generator.lr, discriminator.lr);
    tracing::warn!(
        "going back to step {step} with lr {lr_g} for the generator, {lr_d} for the discriminator"
    );
    let rollback = Rollback { from: verdict.step, verdict: verdict.clone(), lr_g, lr_d };
    Journal::rewind(&run.metrics(), step, &RollbackLine { step, rollback })?;
    finish(run)?;
    Ok(healthy)
}

/// Does what is left to do where the journal says that the run has gone back. The configuration is changed last: while it has
/// other rates than the journal, something is left.
pub(super) fn finish(run: &RunDir) -> Result<()> {
    let Some(RollbackLine { step, rollback }) = records::rollback(&run.metrics())? else { return Ok(()) };
    let mut config = Config::load(&run.config(), &[])?;
    let train = &mut config.train;
    if (train.generator.lr, train.discriminator.lr) == (rollback.lr_g, rollback.lr_d) {
        return Ok(());
    }
    (train.generator.lr, train.discriminator.lr) = (rollback.lr_g, rollback.lr_d);
    let mut rates = config.settings()?;
    rates.retain(|key, _| ["train.generator.lr", "train.discriminator.lr"].contains(&key.as_str()));
    checkpoint::go_back(&run.checkpoints(), step, &rates)?;
    run.forget_after(step)?;
    let at = || run.generator().display().to_string();
    match checkpoint::newest_until(&run.checkpoints(), step)? {
        Some(healthy) => {
            let weights = std::fs::read(checkpoint::generator(&healthy)).with_context(at)?;
            write_atomically(&run.generator(), &weights)?;
        }
        None if run.generator().exists() => std::fs::remove_file(run.generator()).with_context(at)?,
        None => (),
    }
    Ok(write_atomically(&run.config(), config.to_toml()?.as_bytes())?)
}
