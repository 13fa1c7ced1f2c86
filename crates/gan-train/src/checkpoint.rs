//! Everything that a run needs to continue. It is written so that no reader ever sees a partial
//! checkpoint.
//!
//! A checkpoint is a directory `step-00001000` with `generator.safetensors`,
//! `discriminator.safetensors`, `optimizer.safetensors`, `ema.safetensors` if there is an average,
//! and `state.json`, which lists the SHA-256 of the others and has a checksum of its own. It is
//! written under another name, flushed to the disk, and then renamed. It holds no random state,
//! because noise and batches are pure functions of the seed and the step.

mod directory;

use crate::config::TrainConfig;
use crate::ema::{Ema, estimate_statistics};
use crate::error::{Result, TrainError};
use crate::trainer::Trainer;
use candle_core::{Device, Tensor};
use gan_files::{UnfinishedDirectory, create_directory, is_sealed, remove_directory, seal, write_atomically};
use gan_models::{
    Discriminator, Generator, ModelConfig, ModelError, Provenance, read_tensors, write_tensors,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

const GENERATOR: &str = "generator.safetensors";
const DISCRIMINATOR: &str = "discriminator.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
/// This file exists only if the configuration has an average.
const EMA: &str = "ema.safetensors";
const STATE: &str = "state.json";
/// What the file of the average says of itself. The running statistics in it are not those of its weights.
const AVERAGE: &str = r#"{"kind":"checkpoint's average without statistics: give the checkpoint's directory with all its files"}"#;
/// The names of the files in a checkpoint.
const FILES: [&str; 5] = [GENERATOR, DISCRIMINATOR, OPTIMIZER, EMA, STATE];
/// The second format has a checksum in `state.json`.
const FORMAT: u32 = 2;

pub use directory::{
    Retention, foreign, go_back, newest, newest_of_others, newest_until, place, prune, step_of,
};

/// The content of a checkpoint beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// Number of steps done.
    pub step: u64,
    /// Seconds of training, including those before earlier resumes.
    pub seconds: f64,
    /// Settings that must not change when a run continues, by dotted key.
    pub settings: BTreeMap<String, String>,
    /// Data that the observers of a run need when it continues. They choose its form.
    #[serde(default)]
    pub notes: serde_json::Value,
    files: BTreeMap<String, String>,
}

/// Writes a checkpoint of the trainer's present step under `directory`. Returns its path.
///
/// # Errors
/// A weight that is not finite, so that no checkpoint ever holds one; a path that cannot be
/// written.
pub fn save(
    directory: &Path,
    trainer: &Trainer,
    provenance: &Provenance,
    settings: &BTreeMap<String, String>,
    seconds: f64,
    notes: serde_json::Value,
) -> Result<PathBuf> {
    trainer.check_finite()?;
    let place = place(directory, trainer.steps_done());
    create_directory(directory)?;
    let unfinished = UnfinishedDirectory::beside(&place)?;
    write(unfinished.path(), trainer, provenance, settings, seconds, notes)
        .map_err(|error| at_its_place(error, unfinished.path(), &place))?;
    // A damaged checkpoint from before a resume may have this name.
    if directory::is_ours(&place)? {
        remove_directory(&place)?;
    }
    unfinished.commit(&place)?;
    Ok(place)
}

/// Names the place of a file in an error, because nobody knows its unfinished directory.
fn at_its_place(mut error: TrainError, unfinished: &Path, place: &Path) -> TrainError {
    if let TrainError::Io { path, .. } | TrainError::Model(ModelError::Io { path, .. }) = &mut error
        && let Ok(name) = path.strip_prefix(unfinished)
    {
        // The directory itself has no name in it.
        *path = if name.as_os_str().is_empty() { place.to_owned() } else { place.join(name) };
    }
    error
}

/// Compares `settings` with those of a checkpoint. Other settings of the checkpoint are not
/// compared.
///
/// # Errors
/// A damaged checkpoint; the first setting that differs.
pub fn check(path: &Path, settings: &BTreeMap<String, String>) -> Result<()> {
    let mut then = read_state(path)?.settings;
    then.retain(|key, _| settings.contains_key(key));
    compare(path, &then, settings)
}

/// The step of a checkpoint, and the seconds of training until then. The weights are not read.
///
/// # Errors
/// A file that cannot be read, or is damaged.
pub fn progress(path: &Path) -> Result<(u64, f64)> {
    let state = sealed_state(path)?;
    Ok((state.step, state.seconds))
}

/// Reads `state.json`, and checks it alone.
fn sealed_state(path: &Path) -> Result<State> {
    let path = path.join(STATE);
    let json = gan_files::read(&path)?;
    let state = serde_json::from_slice(&json).map_err(|e| TrainError::checkpoint(&path, e))?;
    if is_sealed(&json) {
        Ok(state)
    } else {
        Err(TrainError::checkpoint(&path, "damaged: its checksum does not fit"))
    }
}

/// The generator's file in a checkpoint.
#[must_use]
pub fn generator(path: &Path) -> PathBuf {
    path.join(GENERATOR)
}

/// The discriminator's file in a checkpoint.
#[must_use]
pub fn discriminator(path: &Path) -> PathBuf {
    path.join(DISCRIMINATOR)
}

/// The file of the average, which a checkpoint may have.
pub(crate) fn average(path: &Path) -> PathBuf {
    path.join(EMA)
}

/// The checkpoint whose average is this file.
#[must_use]
pub fn of_average(file: &Path) -> Option<&Path> {
    let directory = file.parent()?;
    let is_average = file.file_name()? == EMA && directory.join(STATE).is_file();
    is_average.then_some(directory)
}

/// Whether a checkpoint was written with an average. Its file may be missing.
#[must_use]
pub fn has_average(path: &Path) -> bool {
    sealed_state(path).is_ok_and(|state| state.files.contains_key(EMA))
}

/// The average in a checkpoint as a generator to draw from, as [`Trainer::sampler`] gives it, and where its
/// weights come from.
///
/// # Errors
/// Files that cannot be read, or are damaged.
pub fn sampler(path: &Path, device: &Device) -> Result<(Generator, Provenance)> {
    check_file(path, &sealed_state(path)?, EMA)?;
    let (generator, trained) = Generator::load(&path.join(GENERATOR), device)?;
    let average = Generator::load_state_dict(&average(path), generator.config(), device)?;
    estimate_statistics(&average, trained.seed, &trained.class_counts)?;
    Ok((average, trained))
}

/// Whether `path` is a checkpoint.
///
/// # Errors
/// A damaged checkpoint.
pub(crate) fn is_whole(path: &Path) -> Result<bool> {
    if path.join(STATE).exists() { read_state(path).map(|_| true) } else { Ok(false) }
}

/// Restores the trainer, bit for bit, and returns it with the checkpoint's [`State`].
///
/// # Errors
/// A damaged checkpoint; a checkpoint with other settings than `settings`; tensors that do not
/// fit.
pub fn load(
    path: &Path,
    model: &ModelConfig,
    train: &TrainConfig,
    seed: u64,
    settings: &BTreeMap<String, String>,
    device: &Device,
) -> Result<(Trainer, State)> {
    let state = read_state(path)?;
    compare(path, &state.settings, settings)?;
    let problem = |file: &str, e: &dyn std::fmt::Display| TrainError::checkpoint(&path.join(file), e);
    let tensors = |file: &str| -> Result<_> { Ok(read_tensors(&path.join(file))?.0) };
    let generator =
        Generator::from_tensors(model, tensors(GENERATOR)?, device).map_err(|e| problem(GENERATOR, &e))?;
    let discriminator = Discriminator::from_tensors(model, tensors(DISCRIMINATOR)?, device)
        .map_err(|e| problem(DISCRIMINATOR, &e))?;
    let mut trainer = Trainer::from_parts(generator, discriminator, train, seed)?;
    let moments = tensors(OPTIMIZER)?;
    let of = |player: &str| -> HashMap<String, Tensor> {
        let strip = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix(player)?.to_owned(), tensor.clone()))
        };
        moments.iter().filter_map(strip).collect()
    };
    if let Some(config) = train.average() {
        let average = Generator::from_tensors(model, tensors(EMA)?, device).map_err(|e| problem(EMA, &e))?;
        trainer.ema = Some(Ema::from_parts(config, average));
    }
    let (g, d) = (&mut trainer.g.optimizer, &mut trainer.d.optimizer);
    g.restore(state.step * train.g_steps, &of("generator.")).map_err(|e| problem(OPTIMIZER, &e))?;
    d.restore(state.step * train.d_steps, &of("discriminator.")).map_err(|e| problem(OPTIMIZER, &e))?;
    trainer.step = state.step;
    Ok((trainer, state))
}

fn write(
    directory: &Path,
    trainer: &Trainer,
    provenance: &Provenance,
    settings: &BTreeMap<String, String>,
    seconds: f64,
    notes: serde_json::Value,
) -> Result<()> {
    trainer.generator.save(&directory.join(GENERATOR), provenance)?;
    write_tensors(&directory.join(DISCRIMINATOR), trainer.discriminator.params().state_dict(), None)?;
    let prefixed = |player: &str, moments: Vec<(String, Tensor)>| -> Vec<_> {
        moments.into_iter().map(|(name, tensor)| (format!("{player}.{name}"), tensor)).collect()
    };
    let mut moments = prefixed("generator", trainer.g.optimizer.moments());
    moments.extend(prefixed("discriminator", trainer.d.optimizer.moments()));
    write_tensors(&directory.join(OPTIMIZER), moments, None)?;

    if let Some(ema) = &trainer.ema {
        write_tensors(&directory.join(EMA), ema.average().params().state_dict(), Some(AVERAGE.to_owned()))?;
    }
    let files = [GENERATOR, DISCRIMINATOR, OPTIMIZER]
        .into_iter()
        .chain(trainer.ema.as_ref().map(|_| EMA))
        .map(|name| Ok((name.to_owned(), sha256(&directory.join(name))?)))
        .collect::<Result<_>>()?;
    let settings = settings.clone();
    write_state(directory, &State { format: FORMAT, step: trainer.step, seconds, settings, notes, files })
}

fn write_state(directory: &Path, state: &State) -> Result<()> {
    let path = directory.join(STATE);
    let json = serde_json::to_vec_pretty(state).map_err(|e| TrainError::checkpoint(&path, e))?;
    Ok(write_atomically(&path, &seal(&json))?)
}

/// Reads `state.json`, and checks it and every file in its list.
fn read_state(directory: &Path) -> Result<State> {
    /// The field that every format has.
    #[derive(Deserialize)]
    struct Formatted {
        format: u32,
    }
    let path = directory.join(STATE);
    let json = gan_files::read(&path)?;
    let is_whole = is_sealed(&json);
    if let Ok(Formatted { format }) = serde_json::from_slice(&json)
        && format != FORMAT
        // The first format has no checksum. Any other damaged file says nothing about its format.
        && (is_whole || format == 1)
    {
        return Err(TrainError::Format { path, expected: FORMAT, found: format });
    }
    if !is_whole {
        return Err(TrainError::checkpoint(&path, "damaged: its checksum does not fit"));
    }
    let state: State = serde_json::from_slice(&json).map_err(|e| TrainError::checkpoint(&path, e))?;
    if step_of(directory) != Some(state.step) {
        let problem = format!("a checkpoint of step {}, in a directory of another name", state.step);
        return Err(TrainError::checkpoint(&path, problem));
    }
    let all =
        [GENERATOR, DISCRIMINATOR, OPTIMIZER].into_iter().chain(state.files.get_key_value(EMA).map(|_| EMA));
    for name in all {
        check_file(directory, &state, name)?;
    }
    Ok(state)
}

/// Checks one of the files in a checkpoint's list.
fn check_file(directory: &Path, state: &State, name: &str) -> Result<()> {
    let file = directory.join(name);
    let (expected, found) = (state.files.get(name), sha256(&file)?);
    if expected == Some(&found) {
        return Ok(());
    }
    let expected = expected.map_or("none", String::as_str);
    Err(TrainError::checkpoint(&file, format!("damaged: expected SHA-256 {expected}, found {found}")))
}

fn compare(path: &Path, then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Result<()> {
    let keys: BTreeSet<_> = then.keys().chain(now.keys()).collect();
    let value = |settings: &BTreeMap<String, String>, key| {
        settings.get(key).map_or("unset", String::as_str).to_owned()
    };
    for key in keys {
        if then.get(key) != now.get(key) {
            return Err(TrainError::Mismatch {
                path: path.to_owned(),
                field: key.clone(),
                checkpoint: value(then, key),
                config: value(now, key),
            });
        }
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String> {
    Ok(gan_files::sha256(&[&gan_files::read(path)?]))
}
