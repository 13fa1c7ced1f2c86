//! How much memory a command needs, and the budget that it must fit.
//!
//! A program whose allocation fails is ended at once, and candle cannot return an error there. So
//! the need is estimated from the configuration, and compared with the budget, before anything is
//! allocated.

use crate::config::Config;
use crate::exit::usage;
use crate::judge;
use anyhow::Result;
use gan_metrics::RandomNetwork;
use gan_metrics::classifier::CHUNK;
use gan_models::{Layer, ModelConfig};
use std::fmt;

/// The budget without `--memory`, in GiB. It does not depend on the machine, so a configuration
/// that passes on one machine passes on every other. No configuration of the project needs a
/// quarter of it.
pub(crate) const DEFAULT: f64 = 4.;

const MIB: f64 = (1u64 << 20) as f64;
const GIB: f64 = 1024. * MIB;
const FLOAT: f64 = size_of::<f32>() as f64;

/// The most memory that a command may need, in GiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Budget(pub(crate) f64);

impl Default for Budget {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

/// The value of `--memory`.
pub(crate) fn parse(text: &str) -> Result<Budget, String> {
    match text.parse::<f64>() {
        Ok(gib) if gib > 0. && gib.is_finite() => Ok(Budget(gib)),
        Ok(_) | Err(_) => Err("expected a positive number of GiB, such as 8 or 0.5".to_owned()),
    }
}

impl Budget {
    /// Refuses a need that is larger than the budget.
    pub(crate) fn check(self, need: &Need) -> Result<()> {
        let (Self(budget), total) = (self, need.total() / GIB);
        if total <= budget {
            return Ok(());
        }
        let enough = total.ceil();
        Err(usage(format!(
            "expected a need of at most {budget} GiB of memory, estimated {need}; --memory {enough} allows it"
        )))
    }
}

/// An estimate of the memory that a command needs, in bytes, part by part.
#[derive(Debug, Clone)]
pub(crate) struct Need(Vec<(&'static str, f64)>);

// docs/reliability.md compares the estimate with measurements: it was 1.03 to 1.6 times the memory
// that training took.

/// The program itself with its embedded digits and classifiers.
const PROGRAM: f64 = 64e6;
/// Copies of a weight in training: the weight, its gradient, two moments of Adam, the copy in the
/// kernels' order, and the bytes of a checkpoint.
const TRAINED: f64 = 7.;
/// Further copies of a generator's weight with `train.ema`: the average, and the generator that is
/// drawn from.
const AVERAGES: f64 = 2.;
/// Copies of a weight in `sample`: as it was read, the weight, and the copy in the kernels' order.
const DRAWN: f64 = 3.;
/// Copies of a grid: its pixels, the compressed picture, and the same not compressed, which the
/// encoder tries where compression gains nothing.
const PICTURE: f64 = 3.;
/// Floats for each channel of an evaluated image: a classifier's features and probabilities, twice.
const CLASSIFIED: f64 = 2. * (64. + 10.);
/// Floats for an evaluated image: the random network's features, twice.
const RANDOM: f64 = 2. * RandomNetwork::FEATURES as f64;
/// Copies of an image: from the data, in the batch, in the kernels' order, and as D sees it.
const COPIES: f64 = 4.;
/// Copies of a generator's activation: its value and its gradient, but a product and its activation
/// are one layer.
const OF_G: f64 = 1.;
/// Copies of a discriminator's activation: those of the generator's, for real and for fake images.
const OF_D: f64 = 2.;
/// The same with a penalty on the gradient, which has a forward pass through the backward pass.
const OF_PENALISED_D: f64 = 3.;
/// Copies of an activation while images are drawn.
const OF_DRAWING: f64 = 0.5;
/// Copies of a drawn image: as a tensor, and as it is converted to bytes.
const OF_DRAWN: f64 = 2.;

impl Need {
    /// What training needs besides its data, whose size is limited where they are read. The parts
    /// are added even if they are not needed at the same time, because the kernels keep their
    /// buffers.
    pub(crate) fn of_training(config: &Config) -> Self {
        let Config { model, train, reporting, .. } = config;
        let (g, d) = (Size::of_generator(model), Size::of_discriminator(model));
        let batch = config.data.batch_size as f64;
        let part = batch / train.accumulate as f64;
        let averages = if train.ema.is_some() { AVERAGES } else { 0. };
        let is_penalised = train.r1.is_some() || train.r2.is_some() || train.gradient_penalty.is_some();
        let of_d = if is_penalised { OF_PENALISED_D } else { OF_D };
        let health = if reporting.health.every.is_never() { 0 } else { reporting.health.samples.max(CHUNK) };
        let evaluated = reporting.evaluate.as_ref().map_or(0., |evaluate| evaluate.count as f64);
        let choice = reporting.evaluate.as_ref().and_then(|evaluate| evaluate.features.as_deref());
        let is_random = judge::is_random(choice, config.data.name);
        let features = if is_random { RANDOM } else { CLASSIFIED * model.channels as f64 };
        let grid = PICTURE * reporting.sample_count as f64 * g.output;
        Self(vec![
            ("the generator's weights", FLOAT * (TRAINED + averages) * g.weights),
            ("the discriminator's weights", FLOAT * TRAINED * d.weights),
            ("batches", FLOAT * COPIES * train.d_steps as f64 * batch * g.output),
            ("the generator's activations", FLOAT * OF_G * part * g.elements),
            ("the discriminator's activations", FLOAT * of_d * part * d.elements),
            ("train.sample-count", g.drawing(reporting.sample_count) + grid),
            ("train.health.samples", g.drawing(health)),
            ("train.evaluate.count", FLOAT * features * evaluated),
        ])
    }

    /// What `sample` needs: it draws `chunk` images at once, and holds a picture of `bytes` bytes.
    pub(crate) fn of_drawing(model: &ModelConfig, chunk: usize, bytes: u128) -> Self {
        let g = Size::of_generator(model);
        Self(vec![
            ("the generator's weights", FLOAT * DRAWN * g.weights),
            ("the generator's activations", g.drawing(chunk)),
            ("the picture", PICTURE * bytes as f64),
        ])
    }

    fn total(&self) -> f64 {
        PROGRAM + self.0.iter().map(|(_, bytes)| bytes).sum::<f64>()
    }
}

/// The number of elements of a network.
struct Size {
    weights: f64,
    /// Elements of all layers' outputs for one sample.
    elements: f64,
    /// Elements of the network's output for one sample.
    output: f64,
}

impl Size {
    fn of_generator(model: &ModelConfig) -> Self {
        Self::of(&model.generator_layers(), model.generator_input(), 1)
    }

    /// One sample is one image.
    fn of_discriminator(model: &ModelConfig) -> Self {
        Self::of(&model.discriminator_layers(), model.discriminator_input(), model.discriminator.pack)
    }

    fn of(layers: &[Layer], input: Vec<usize>, images: usize) -> Self {
        let (mut weights, mut elements, mut shape) = (0., 0., input);
        for layer in layers {
            weights += layer.parameters() as f64;
            elements += layer.elements(&shape) as f64;
            shape = layer.output_shape(&shape).unwrap_or_default();
        }
        let output = shape.iter().product::<usize>() as f64;
        Self { weights, elements: elements / images as f64, output }
    }

    /// Bytes for `count` images that a generator draws at once.
    fn drawing(&self, count: usize) -> f64 {
        FLOAT * count as f64 * (OF_DRAWING * self.elements + OF_DRAWN * self.output)
    }
}

/// Writes the total, and the parts that are at least a tenth of it, the largest first.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        f.write_str(&amount(total))?;
        let mut parts: Vec<_> = self.0.iter().filter(|(_, bytes)| *bytes >= total / 10.).collect();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let parts: Vec<_> = parts.iter().map(|(what, bytes)| format!("{what} {}", amount(*bytes))).collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}

fn amount(bytes: f64) -> String {
    if bytes < GIB { format!("{:.0} MiB", bytes / MIB) } else { format!("{:.1} GiB", bytes / GIB) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BUILT_IN;
    use std::path::Path;

    fn need(name: &str, sets: &[&str]) -> Need {
        let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
        Need::of_training(&Config::load(Path::new(name), &sets).unwrap())
    }

    #[test]
    fn every_configuration_of_the_project_needs_less_than_a_quarter_of_the_budget() {
        for (name, _) in BUILT_IN {
            let need = need(name, &[]);
            assert!(need.total() < DEFAULT * GIB / 4., "{name}: {need}");
        }
    }

    #[test]
    fn what_is_too_large_is_named() {
        let wide = "model.generator.widths=[16384, 16384, 16384, 16384]";
        for (sets, expected) in [
            (&[wide][..], "the generator's weights "),
            (&["model.discriminator.widths=[16384, 16384]"], "the discriminator's weights "),
            (&["train.sample-count=4096", "model.image-size=256", "model.channels=3"], "train.sample-count "),
            (&["train.health.samples=1000000"], "train.health.samples "),
            (&["data.batch-size=9000000000000000000"], "the generator's activations "),
        ] {
            let problem = Budget::default().check(&need("mlp-001", sets)).unwrap_err().to_string();
            let start = "expected a need of at most 4 GiB of memory, estimated ";
            assert!(problem.starts_with(start) && problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn a_larger_budget_lets_it_pass() {
        let need = need("mlp-001", &[]);
        let problem = parse("0.01").unwrap().check(&need).unwrap_err().to_string();
        assert!(problem.ends_with("; --memory 1 allows it"), "{problem}");
        parse("1").unwrap().check(&need).unwrap();
        for text in ["0", "-1", "x", "inf", "NaN", ""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
