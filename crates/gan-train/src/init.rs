//! The weights before the first step: those of earlier training.

use crate::checkpoint;
use crate::error::{Result, TrainError};
use candle_core::{Device, Tensor};
use gan_models::{Discriminator, Generator, ModelConfig, ModelError, Provenance, read_weights};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where the weights before the first step come from. Without it they are random.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InitConfig {
    /// A generator's file, a checkpoint, or a directory with `checkpoints/`, whose newest one is used. A
    /// checkpoint has the weights of both networks and of the average. With a file, D begins with random
    /// weights. The file may be a state dict of PyTorch.
    pub from: PathBuf,
    /// Whether tensors of other names or shapes are left out, so that the network's own keep their random
    /// values. Then the average begins with the generator's weights. Otherwise they are an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// The networks before the first step.
#[derive(Debug)]
pub struct Initial {
    /// The generator.
    pub generator: Generator,
    /// The discriminator.
    pub discriminator: Discriminator,
    /// The average of earlier training, if there is one.
    pub average: Option<Generator>,
    /// Whether the discriminator was trained before.
    pub has_both: bool,
    /// What was left out, one sentence for each tensor.
    pub left_out: Vec<String>,
    /// The model and the training that the generator's file describes, if it does.
    pub described: Option<(ModelConfig, Provenance)>,
}

/// The weights of a network by name.
type Tensors = HashMap<String, Tensor>;

impl InitConfig {
    /// Reads the weights. What they lack is a pure function of `model` and `seed`.
    ///
    /// # Errors
    /// A path that is neither a file of weights, nor a checkpoint, nor the directory of some; weights that
    /// do not fit the model, or none that fit it.
    pub fn load(&self, model: &ModelConfig, seed: u64, device: &Device) -> Result<Initial> {
        let from = &self.from;
        let checkpoint = if checkpoint::is_whole(from)? {
            Some(from.clone())
        } else if from.is_dir() {
            let newest = checkpoint::newest_of_others(&from.join("checkpoints"))?;
            Some(newest.ok_or_else(|| {
                problem(from, "expected a generator's file, a checkpoint, or a run with one")
            })?)
        } else {
            None
        };
        let mut left_out = vec![];
        let mut fit = |file: &Path, network: &str, own: Vec<(String, Tensor)>| -> Result<Tensors> {
            let tensors = read_weights(file)?;
            if !self.partial {
                return Ok(tensors);
            }
            let (fitting, others) = overlaid(own, tensors);
            if fitting.is_empty() {
                return Err(problem(file, &format!("no tensor fits the {network}")));
            }
            left_out.extend(others.into_iter().map(|other| format!("{network}: {other}")));
            Ok(fitting)
        };
        let fresh = Generator::new(model, seed, device)?;
        let generator_file = checkpoint.as_deref().map_or_else(|| from.clone(), checkpoint::generator);
        let described = match Generator::load(&generator_file, device) {
            Ok((generator, trained)) => Some((generator.config().clone(), trained)),
            Err(ModelError::Undescribed { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let tensors = fit(&generator_file, "generator", fresh.params().state_dict())?;
        let generator =
            Generator::from_tensors(model, tensors, device).map_err(|e| unfit(&generator_file, &e))?;
        // Random values have no place in an average.
        let average = checkpoint.as_deref().filter(|_| !self.partial).map(checkpoint::average);
        let average = match average.filter(|file| file.exists()) {
            Some(file) => Some(
                Generator::from_tensors(model, read_weights(&file)?, device).map_err(|e| unfit(&file, &e))?,
            ),
            None => None,
        };
        let fresh = Discriminator::new(model, seed, device)?;
        let discriminator = match checkpoint.as_deref().map(checkpoint::discriminator) {
            Some(file) => {
                let tensors = fit(&file, "discriminator", fresh.params().state_dict())?;
                Discriminator::from_tensors(model, tensors, device).map_err(|e| unfit(&file, &e))?
            }
            None => fresh,
        };
        Ok(Initial { generator, discriminator, average, has_both: checkpoint.is_some(), left_out, described })
    }
}

/// The network's own tensors with the values of those in `tensors` that have their names and shapes, and
/// what is wrong with the others. Empty if none fits.
fn overlaid(own: Vec<(String, Tensor)>, mut tensors: Tensors) -> (Tensors, Vec<String>) {
    let (mut all, mut others, mut fits) = (HashMap::new(), vec![], false);
    for (name, fresh) in own {
        let tensor = match tensors.remove(&name) {
            Some(tensor) if tensor.dims() == fresh.dims() => {
                fits = true;
                tensor
            }
            Some(tensor) => {
                others.push(format!(
                    "{name} has the shape {:?}, and the file {:?}",
                    fresh.dims(),
                    tensor.dims()
                ));
                fresh
            }
            None => {
                others.push(format!("{name} is not in the file"));
                fresh
            }
        };
        all.insert(name, tensor);
    }
    tensors.retain(|name, _| !name.ends_with("num_batches_tracked"));
    let mut extra: Vec<_> = tensors.into_keys().collect();
    extra.sort();
    others.extend(extra.into_iter().map(|name| format!("{name} is only in the file")));
    if fits { (all, others) } else { (HashMap::new(), others) }
}

fn problem(path: &Path, problem: &str) -> TrainError {
    TrainError::config("train.init.from", format!("{}: {problem}", path.display()))
}

fn unfit(path: &Path, error: &impl std::fmt::Display) -> TrainError {
    problem(path, &format!("{error} (train.init.partial = true takes the tensors that fit)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmaConfig, OptimizerConfig, TrainConfig, Trainer};
    use gan_models::preset;

    fn trained(model: &ModelConfig, directory: &Path, with_average: bool) -> (PathBuf, Trainer) {
        let mut train = TrainConfig::new(2, OptimizerConfig::new(1e-3, (0.5, 0.999)));
        train.ema = with_average.then(|| EmaConfig::new(1.));
        let mut trainer = Trainer::new(model, &train, 1, &Device::Cpu).unwrap();
        let [channels, height, width] = model.image_shape();
        let real =
            Tensor::zeros((4, channels, height, width), candle_core::DType::F32, &Device::Cpu).unwrap();
        trainer.step(real).unwrap();
        let path = checkpoint::save(
            directory,
            &trainer,
            &gan_models::Provenance::default(),
            &std::collections::BTreeMap::new(),
            1.,
            serde_json::Value::Null,
        );
        (path.unwrap(), trainer)
    }

    #[test]
    fn the_average_of_earlier_training_is_not_forgotten() {
        let model = preset::mlp_003(4);
        let directory = tempfile::tempdir().unwrap();
        let (_, before) = trained(&model, &directory.path().join("checkpoints"), true);
        let average = values(before.ema.as_ref().unwrap().average().params());
        let mut train = TrainConfig::new(2, OptimizerConfig::new(1e-3, (0.5, 0.999)));
        train.ema = Some(EmaConfig { ramp_up: Some(0.05), ..EmaConfig::new(100.) });
        // How far the average is after a step, and how far the weights are.
        let far = |partial| {
            let init = InitConfig { from: directory.path().to_owned(), partial };
            let train = TrainConfig { init: Some(init), ..train.clone() };
            let mut trainer = Trainer::new(&model, &train, 1, &Device::Cpu).unwrap();
            let real = Tensor::zeros((4, 1, 28, 28), candle_core::DType::F32, &Device::Cpu).unwrap();
            trainer.step(real).unwrap();
            let distance = |params: &gan_models::Params| {
                let pairs = values(params).concat().into_iter().zip(average.concat());
                pairs.map(|(a, b)| (a - b).abs()).fold(0., f32::max)
            };
            [distance(trainer.ema.as_ref().unwrap().average().params()), distance(trainer.generator.params())]
        };
        let [of_average, of_weights] = far(false);
        assert!(of_average < of_weights / 1000., "{of_average} {of_weights}");
        let [of_average, of_weights] = far(true);
        assert!((of_average - of_weights).abs() < 1e-9 && of_weights > 0.);
    }

    fn values(params: &gan_models::Params) -> Vec<Vec<f32>> {
        let tensors = params.state_dict().into_iter();
        tensors.map(|(_, tensor)| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
    }

    #[test]
    fn a_run_a_checkpoint_and_a_file_give_their_weights() {
        let model = preset::mlp_003(4);
        let directory = tempfile::tempdir().unwrap();
        let (path, trainer) = trained(&model, &directory.path().join("checkpoints"), true);
        let load = |from: &Path| {
            let init = InitConfig { from: from.to_owned(), partial: false };
            init.load(&model, 9, &Device::Cpu)
        };
        for from in [directory.path(), &path] {
            let initial = load(from).unwrap();
            assert!(initial.has_both && initial.left_out.is_empty());
            assert_eq!(values(initial.generator.params()), values(trainer.generator.params()));
            assert_eq!(values(initial.discriminator.params()), values(trainer.discriminator.params()));
            let average = initial.average.unwrap();
            assert_ne!(values(average.params()), values(trainer.generator.params()));
        }
        let initial = load(&checkpoint::generator(&path)).unwrap();
        assert!(!initial.has_both && initial.average.is_none());
        assert_eq!(values(initial.generator.params()), values(trainer.generator.params()));
        let fresh = Discriminator::new(&model, 9, &Device::Cpu).unwrap();
        assert_eq!(values(initial.discriminator.params()), values(fresh.params()));
        let error = load(&path.join("state.json")).unwrap_err().to_string();
        assert!(error.contains("state.json"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = load(empty.path()).unwrap_err().to_string();
        assert!(error.ends_with("expected a generator's file, a checkpoint, or a run with one"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_an_error_or_left_out_and_listed() {
        let (small, wide) = (preset::mlp_003(4), preset::mlp_003(6));
        let directory = tempfile::tempdir().unwrap();
        let (path, trainer) = trained(&small, directory.path(), false);
        let load = |partial| InitConfig { from: path.clone(), partial }.load(&wide, 9, &Device::Cpu);
        let error = load(false).unwrap_err().to_string();
        assert!(error.contains("tensor model.0.weight: expected shape [128, 6], found [128, 4]"), "{error}");
        assert!(error.contains("train.init.partial = true takes the tensors that fit"), "{error}");
        let initial = load(true).unwrap();
        let expected = "generator: model.0.weight has the shape [128, 6], and the file [128, 4]";
        assert_eq!(initial.left_out, [expected]);
        let (before, after) = (values(trainer.generator.params()), values(initial.generator.params()));
        let fresh = values(Generator::new(&wide, 9, &Device::Cpu).unwrap().params());
        assert_eq!((&after[0], &after[1..]), (&fresh[0], &before[1..]));
        assert_eq!(values(initial.discriminator.params()), values(trainer.discriminator.params()));
        let other = preset::dcgan_28();
        let init = InitConfig { from: checkpoint::generator(&path), partial: true };
        let error = init.load(&other, 9, &Device::Cpu).unwrap_err().to_string();
        assert!(error.ends_with("no tensor fits the generator"), "{error}");
    }
}
