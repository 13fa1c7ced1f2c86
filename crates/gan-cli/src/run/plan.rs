//! The part of a run that does not change from step to step.

use super::Interrupt;
use crate::config::Config;
use crate::draw::class_counts;
use crate::judge::Judges;
use crate::ranks::Leader;
use crate::run_dir::RunDir;
use crate::terminal::counted;
use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_data::folder::{Background, Crop, Transform};
use gan_data::{Batches, Dataset};
use gan_models::{ModelConfig, Provenance};
use gan_train::group::Group;
use gan_train::{Examples, Horizon, TrainError, Trainer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All that training needs apart from the networks.
pub(crate) struct Plan {
    pub(crate) run: RunDir,
    pub(crate) config: Config,
    /// Identifies the data.
    pub(crate) fingerprint: String,
    pub(crate) batches: Batches,
    pub(crate) horizon: Horizon,
    pub(crate) device: Device,
    /// Evaluates the generator during the run, if the configuration asks for it.
    pub(crate) judges: Option<Arc<Judges>>,
    pub(crate) interrupt: Interrupt,
    /// The other ranks, which train the same networks.
    pub(crate) leader: Leader,
}

/// The real images for the step that follows `step` steps: this rank's share of each batch.
pub(crate) fn share_of_step(
    batches: &Batches,
    config: &Config,
    device: &Device,
    step: u64,
    group: &dyn Group,
) -> gan_train::Result<Examples> {
    let Config { model, train, data, .. } = config;
    let part = |rank: usize| rank * data.batch_size / group.size();
    let rows = part(group.rank())..part(group.rank() + 1);
    let images = train.batches(step).map(|i| batches.rows(i, rows.clone(), device));
    let images: Vec<_> = images.collect::<Result<_, _>>().map_err(TrainError::data)?;
    let labels = if model.classes.is_some() {
        let labels = |i| Some(batches.labels(i)?.get(rows.clone())?.to_vec());
        train.batches(step).map(labels).collect::<Option<Vec<_>>>()
    } else {
        None
    };
    Ok(Examples { images: Tensor::cat(&images, 0)?, labels: labels.map(|labels| labels.concat()) })
}

impl Plan {
    /// The setting of a checkpoint that identifies the data.
    pub(crate) const DATA: &str = "data.fingerprint";

    /// The settings of a generator's file that say how its training pictures were cut, and which colour is behind
    /// their transparent parts, if the configuration does not say it: the pictures were prepared so, or the
    /// background is "mean".
    pub(crate) const CROP: &str = "pictures.crop";
    pub(crate) const GROUND: &str = "pictures.background";

    /// Identifies the data of a run in its checkpoints.
    pub(crate) fn fingerprint_of(data: &Dataset) -> String {
        format!("{}, {}", counted(data.len(), "image"), data.fingerprint())
    }

    /// The names of the model's classes. The data may have more classes, if the last ones have no
    /// images. Empty if the model has no classes, or these have no names.
    pub(crate) fn class_names<'a>(model: &ModelConfig, data: &'a Dataset) -> &'a [String] {
        let names = data.class_names();
        &names[..model.classes.unwrap_or(0).min(names.len())]
    }

    /// Whether the run itself writes a checkpoint after this step. Others come from an interruption.
    pub(super) fn writes_checkpoint(&self, step: u64) -> bool {
        let every = self.config.reporting.checkpoint_every;
        every.is_never() || every.falls_on(step) || step == self.horizon.steps
    }

    /// The settings that a checkpoint of this run must have too.
    pub(super) fn settings(&self) -> Result<BTreeMap<String, String>> {
        let mut settings = self.config.settings()?;
        settings.insert(Self::DATA.to_owned(), self.fingerprint.clone());
        Ok(settings)
    }

    fn settings_of_generator(&self) -> Result<BTreeMap<String, String>> {
        let (mut settings, data) = (self.settings()?, self.batches.dataset());
        let Some(Transform { crop, background }) = data.transform() else { return Ok(settings) };
        let ground = match background {
            Some(Background::Mean) => data.ground().map(Background::Color),
            known => known.filter(|_| !settings.contains_key("data.background")),
        };
        if let Some(ground) = ground {
            settings.insert(Self::GROUND.to_owned(), ground.to_string());
        }
        if crop != Crop::default() && !settings.contains_key("data.crop") {
            settings.insert(Self::CROP.to_owned(), crop.to_string());
        }
        Ok(settings)
    }

    /// The real images for the step that follows `step` steps.
    pub(super) fn real(&self, step: u64) -> gan_train::Result<Examples> {
        share_of_step(&self.batches, &self.config, &self.device, step, &**self.leader.group())
    }

    /// The origin of the generator's weights, for its file.
    pub(super) fn provenance(&self, trainer: &Trainer) -> Result<Provenance> {
        let step = trainer.steps_done();
        Ok(Provenance {
            data: self.batches.dataset().name().to_owned(),
            step,
            images: step * self.config.images_per_step() as u64,
            seed: trainer.seed(),
            loss: trainer.loss().to_string(),
            class_counts: class_counts(&self.config.model, self.batches.dataset()),
            class_names: Self::class_names(&self.config.model, self.batches.dataset()).to_vec(),
            settings: self.settings_of_generator()?,
        })
    }
}
