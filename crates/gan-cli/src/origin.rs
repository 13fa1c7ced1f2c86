//! Whether a run trained the weights in a file of its directory, as far as the file says it.

use crate::config::{self, Config};
use crate::exit::usage;
use crate::records;
use crate::run::Plan;
use crate::run_dir;
use anyhow::Result;
use gan_data::Dataset;
use gan_models::Provenance;
use gan_train::{TrainError, checkpoint};
use std::collections::BTreeMap;
use std::path::Path;

/// Checks that the run with this configuration trained the weights in a file. The configuration is
/// that of the file `config`, which is in the directory of the run.
///
/// # Errors
/// A file of another run. The error names the first setting that differs.
pub(crate) fn check(file: &Path, trained: &Provenance, config: &Path, run: &Config) -> Result<()> {
    let refuse = |key: &str, expected: &str, as_in: &Path, found: &str| {
        let (file, as_in) = (file.display(), as_in.display());
        Err(usage(format!(
            "{file}: {key}: expected {expected} as in {as_in}, found {found}: the file does not belong to this run"
        )))
    };
    let origins = [
        ("data.name", run.data.name.to_string(), trained.data.clone()),
        ("train.loss", run.train.loss.to_string(), trained.loss.clone()),
        ("seed", run.seed.to_string(), trained.seed.to_string()),
    ];
    if let Some((key, expected, found)) = origins.iter().find(|(_, expected, found)| expected != found) {
        return refuse(key, expected, config, found);
    }
    if let Some(steps) = run.train.steps.filter(|steps| *steps < trained.step) {
        return refuse("train.steps", &format!("{steps} or fewer"), config, &trained.step.to_string());
    }
    // Files of earlier versions contain no settings.
    if trained.settings.is_empty() {
        return Ok(());
    }
    let directory = config.parent().unwrap_or(Path::new(""));
    let mut found = trained.settings.clone();
    // They follow from the pictures.
    found.retain(|key, _| key != Plan::CROP && key != Plan::GROUND);
    let data = found.remove(Plan::DATA);
    if let Some(differs) = config::first_difference(&run.settings()?, &found)
        && !is_from_before_rollback(directory, run, &found)?
    {
        return refuse(&differs.key, &differs.expected, config, &differs.found);
    }
    let (Some(data), Some(newest)) = (data, run_dir::newest_checkpoint(directory)) else { return Ok(()) };
    let setting = BTreeMap::from([(Plan::DATA.to_owned(), data.clone())]);
    match checkpoint::check(&newest, &setting) {
        Err(TrainError::Mismatch { checkpoint, .. }) => refuse(Plan::DATA, &checkpoint, &newest, &data),
        // A damaged checkpoint says nothing about the weights.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The number of images of the run with this checkpoint, in words, if it was trained on other data than these.
pub(crate) fn other_data(checkpoint: &Path, data: &Dataset) -> Option<String> {
    let setting = BTreeMap::from([(Plan::DATA.to_owned(), Plan::fingerprint_of(data))]);
    let Err(TrainError::Mismatch { checkpoint: then, .. }) = checkpoint::check(checkpoint, &setting) else {
        return None;
    };
    Some(then.split(',').next().unwrap_or_default().to_owned())
}

/// Whether the run went back, and the settings are those from before. Files of the steps before the
/// rollback stay, and their learning rates are twice those of the present configuration.
fn is_from_before_rollback(
    directory: &Path,
    run: &Config,
    settings: &BTreeMap<String, String>,
) -> Result<bool> {
    // A damaged journal must not prevent the use of the weights.
    if !matches!(records::rollback(&run_dir::metrics(directory)), Ok(Some(_))) {
        return Ok(false);
    }
    let mut before = run.clone();
    for player in [&mut before.train.generator, &mut before.train.discriminator] {
        *player = player.with_lr(player.lr * 2.);
    }
    Ok(before.settings()? == *settings)
}
