//! What rank 0 tells the other ranks to do.

use super::shares::Weights;
use crate::run::Plan;
use anyhow::{Context, Result, bail};
use gan_train::Trainer;
use gan_train::group::Group;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Begin with the networks of a checkpoint, or with new ones.
    Begin(Box<Beginning>),
    /// Train with the others from now on: all could begin.
    Join,
    /// Make the next step.
    Step,
    /// Draw your part of the images of some latents. The latents follow, and the images are the answer.
    Generate(Weights),
    /// Look at your part of so many images of an evaluation. What you see is the answer, or nothing if you
    /// cannot.
    Look(usize),
    /// The training is over.
    End,
}

/// What a rank needs to train the same networks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Beginning {
    pub(super) version: String,
    /// The configuration as TOML.
    pub(super) config: String,
    /// Identifies the data.
    pub(super) fingerprint: String,
    /// The checkpoint to begin with. Its files follow.
    pub(super) checkpoint: Option<Checkpoint>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) name: String,
    pub(super) files: Vec<String>,
}

/// A checksum of the weights with which a rank begins, or why it cannot.
pub(super) type Answer = Result<String, String>;

/// Rank 0. The others end when it is dropped.
#[derive(Debug)]
pub(crate) struct Leader {
    group: Arc<dyn Group>,
}

impl Leader {
    pub(crate) fn new(group: Arc<dyn Group>) -> Self {
        Self { group }
    }

    pub(crate) fn group(&self) -> &Arc<dyn Group> {
        &self.group
    }

    /// Lets the other ranks begin with the same networks as `trainer`: new ones, or those of `checkpoint`.
    ///
    /// # Errors
    /// The first rank that cannot, with its reason.
    pub(crate) fn begin(&self, plan: &Plan, trainer: &Trainer, checkpoint: Option<&Path>) -> Result<()> {
        if self.group.size() == 1 {
            return Ok(());
        }
        let files = checkpoint.map(files).transpose()?.unwrap_or_default();
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let described = checkpoint.map(|path| Checkpoint {
            name: name(path),
            files: files.iter().map(|(name, _)| name.clone()).collect(),
        });
        self.send(&Order::Begin(Box::new(Beginning {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: plan.config.to_toml()?,
            fingerprint: plan.fingerprint.clone(),
            checkpoint: described,
        })))?;
        for (_, mut content) in files {
            self.group.broadcast(&mut content)?;
        }
        let own = weights(trainer)?;
        // A rank may need minutes to read its data.
        let answers = self.group.gather(&[], None)?;
        for (rank, answer) in answers.iter().enumerate().skip(1) {
            match serde_json::from_slice::<Answer>(answer)? {
                Ok(weights) if weights == own => (),
                Ok(_) => bail!("rank {rank}: it begins with other weights"),
                Err(problem) => bail!("rank {rank}: {problem}"),
            }
        }
        Ok(self.send(&Order::Join)?)
    }

    /// Lets the other ranks make the next step.
    pub(crate) fn step(&self) -> gan_train::Result<()> {
        if self.group.size() > 1 { self.send(&Order::Step) } else { Ok(()) }
    }

    pub(super) fn send(&self, order: &Order) -> gan_train::Result<()> {
        let mut bytes = serde_json::to_vec(order).map_err(gan_train::TrainError::observer)?;
        self.group.broadcast(&mut bytes)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.group.size() > 1 {
            // A rank that does not hear it is ended by mpirun.
            let _ = self.send(&Order::End);
        }
    }
}

/// The names and the contents of the files of a checkpoint.
fn files(checkpoint: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let at = || checkpoint.display().to_string();
    let mut files = vec![];
    for file in std::fs::read_dir(checkpoint).with_context(at)? {
        let file = file.with_context(at)?;
        files.push((file.file_name().to_string_lossy().into_owned(), gan_files::read(&file.path())?));
    }
    files.sort();
    Ok(files)
}

/// A checksum of the weights and statistics of both networks.
pub(super) fn weights(trainer: &Trainer) -> Result<String> {
    let mut bytes = vec![];
    for params in [trainer.generator().params(), trainer.discriminator().params()] {
        for (_, var) in params.iter() {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
        }
    }
    Ok(gan_files::sha256(&[&bytes]))
}
