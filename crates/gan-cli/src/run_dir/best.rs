//! The best generator of a run, and its record.

use super::{BEST, ema, generator};
use crate::config::Config;
use anyhow::Result;
use gan_files::{is_sealed, sha256};
use gan_train::checkpoint;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The record of a run's best generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) step: u64,
    pub(crate) frechet_distance: f64,
    /// How the generator was evaluated. Distances with another number of images or with other
    /// features cannot be compared.
    pub(crate) count: usize,
    pub(crate) features: Option<String>,
    /// SHA-256 of the generator's file.
    pub(crate) sha256: String,
}

/// The best generator of the run at `path`, if the run was evaluated and its files are whole.
pub(crate) fn best(path: &Path) -> Option<Best> {
    let directory = path.join(BEST);
    let (record, weights) = (best_record(&directory), generator(&directory));
    if !record.exists() {
        if weights.exists() {
            warn_once(&format!("passing over {}: {} is missing", weights.display(), record.display()));
        }
        return None;
    }
    let read = || {
        let best = read_best(&record)?;
        // A crash between the two writes leaves an old record beside new weights.
        anyhow::ensure!(sha256(&[&gan_files::read(&weights)?]) == best.sha256, "it is of another generator");
        Ok(best)
    };
    let passed = |error: anyhow::Error| {
        let error = error.context(record.display().to_string());
        warn_once(&format!("passing over {}", crate::exit::message(&error)));
    };
    read().map_err(passed).ok()
}

/// Warns, unless this was said before: a command looks at the best generator more than once.
fn warn_once(text: &str) {
    static SAID: Mutex<Vec<String>> = Mutex::new(vec![]);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.iter().any(|before| before == text) {
        tracing::warn!("{text}");
        said.push(text.to_owned());
    }
}

pub(super) fn read_best(record: &Path) -> Result<Best> {
    let json = gan_files::read(record)?;
    anyhow::ensure!(is_sealed(&json), "its checksum does not fit");
    Ok(serde_json::from_slice(&json)?)
}

/// The file of [`Best`] in its directory.
pub(crate) fn best_record(directory: &Path) -> PathBuf {
    directory.join("evaluation.json")
}

/// The generator to draw from: the run's best if there is one, else its average if there is one,
/// else its last. The log says which one.
pub(crate) fn generator_to_draw_from(path: &Path) -> PathBuf {
    if let Some(Best { step, frechet_distance, count, .. }) = best(path) {
        tracing::info!(
            "the run's best generator: step {step}, distance {frechet_distance:.2} over {count} images"
        );
    }
    chosen_generator(path)
}

/// The same without a word in the log.
pub(crate) fn chosen_generator(path: &Path) -> PathBuf {
    match best(path) {
        Some(_) => generator(&path.join(BEST)),
        None if has_average(path) => ema(path),
        None => generator(path),
    }
}

/// Whether a run has an average of G's weights to draw from: the file, and the key `train.ema`.
fn has_average(path: &Path) -> bool {
    let exists = ema(path).exists();
    // A checkpoint has no configuration. Elsewhere only the file is known without one.
    let unknown = exists || checkpoint::has_average(path);
    let is_kept =
        Config::load(&super::config(path), &[]).map_or(unknown, |config| config.train.ema.is_some());
    if exists && !is_kept {
        tracing::warn!("passing over {}: the run has no [train.ema]", ema(path).display());
    } else if is_kept && !exists && generator(path).exists() {
        tracing::warn!("{} is missing: drawing from the weights of the last step", ema(path).display());
    }
    exists && is_kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_files::{seal, write_atomically};

    #[test]
    fn a_best_generator_is_used_only_with_its_own_record() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path();
        std::fs::create_dir(run.join(BEST)).unwrap();
        let (record, weights) = (best_record(&run.join(BEST)), generator(&run.join(BEST)));
        assert_eq!((best(run), generator_to_draw_from(run)), (None, generator(run)));
        std::fs::write(&weights, "weights").unwrap();
        let sha256 = sha256(&[b"weights"]);
        let written = Best { step: 3, frechet_distance: 1.5, count: 64, features: None, sha256 };
        let json = serde_json::to_vec(&written).unwrap();
        write_atomically(&record, &seal(&json)).unwrap();
        assert_eq!((best(run), generator_to_draw_from(run)), (Some(written), weights.clone()));
        // Another number in the record, and then other weights.
        let damaged = String::from_utf8(seal(&json)).unwrap().replace("1.5", "0.5");
        std::fs::write(&record, damaged).unwrap();
        assert_eq!(best(run), None);
        write_atomically(&record, &seal(&json)).unwrap();
        std::fs::write(&weights, "others").unwrap();
        assert_eq!((best(run), generator_to_draw_from(run)), (None, generator(run)));
    }
}
