//! Checks whether data, model and training fit together. None of their crates can check this alone.

use super::{Config, OnFailure};
use crate::exit::usage;
use anyhow::{Context, Result};
use gan_data::{DataConfig, DataError, Dataset};
use gan_models::ModelConfig;

impl Config {
    /// Checks all that does not need the data: whether packs, groups and penalties fit the
    /// networks, and whether channels and classes fit the data set.
    pub(crate) fn check(&self) -> Result<()> {
        self.model.validate_batch(self.train.part_size(self.data.batch_size, 1)?)?;
        self.train.validate_for(&self.model)?;
        self.check_channels()?;
        match (self.model.classes, classes(&self.data)) {
            (None, _) | (Some(_), Classes::Unknown) => Ok(()),
            (Some(_), Classes::None) => Err(without_labels(self.data.name.name)),
            (Some(found), Classes::AtMost(most)) if found <= most => Ok(()),
            (Some(found), Classes::Known(expected) | Classes::AtMost(expected)) => {
                same_number(found, expected, self.data.name.name)
            }
        }
    }

    /// Values that are possible and can only be mistakes: each with its key and the reason.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let (train, discriminator) = (&self.train, &self.model.discriminator);
        let augment = train.augment.as_ref();
        let noise = train.instance_noise.as_ref().map(|noise| noise.deviation);
        let schedule = train.instance_noise.as_ref().and_then(|noise| noise.schedule.as_ref());
        let smoothing = Some(train.label_smoothing);
        // The last number is the least doubtful value.
        let values = [
            ("train.augment.cutout", augment.and_then(|a| a.cutout), 0.9, "D sees hardly any of an image"),
            (
                "train.augment.translation",
                augment.and_then(|a| a.translation),
                0.9,
                "many images are shifted out of sight",
            ),
            ("train.instance-noise.deviation", noise, 3., "pixels in [-1, 1] disappear in the noise"),
            (
                "train.instance-noise.schedule.to",
                schedule.map(|s| s.to),
                3.,
                "pixels in [-1, 1] disappear in the noise",
            ),
            ("train.weight-clip", train.weight_clip, 100., "no weight gets so large, so nothing is clipped"),
            ("train.label-smoothing", smoothing, 0.5, "D would call real images fake"),
            ("model.discriminator.dropout", discriminator.dropout, 0.95, "D sees hardly any of its features"),
            (
                "train.generator.lr",
                Some(train.generator.lr),
                1.,
                "an update would change each weight by about as much",
            ),
            (
                "train.discriminator.lr",
                Some(train.discriminator.lr),
                1.,
                "an update would change each weight by about as much",
            ),
        ];
        let doubt = |(key, value, least, why): (&str, Option<f64>, f64, &str)| {
            let value = value.filter(|value| *value >= least)?;
            Some(format!("{key} = {value}: {why}"))
        };
        values.into_iter().filter_map(doubt).chain(self.idle_health()).collect()
    }

    /// A setting that waits for a check of the run's health which never comes.
    fn idle_health(&self) -> Option<String> {
        let (health, steps) = (&self.reporting.health, self.train.steps?);
        let waits = health.on_failure != OnFailure::Warn && !health.every.is_never();
        (waits && !health.every.has_come_by(steps)).then(|| {
            format!("train.health.on-failure: the run ends after {steps} steps, before the first check of its health")
        })
    }

    /// Makes the check that loading the data makes later.
    fn check_channels(&self) -> Result<()> {
        let channels = self.data.name.shape.map_or(1, |shape| shape.channels);
        if channels == 1 || self.model.channels == 3 {
            return Ok(());
        }
        let expected = "3, as the data are RGB (model.channels = 3)".to_owned();
        Err(DataError::Value { field: "model.channels", expected, found: self.model.channels.to_string() }
            .into())
    }
}

/// Checks a model against its data, once these are loaded: their size, and labels if the model has
/// classes. Data of a single colour are only warned of.
pub(crate) fn check_images(model: &ModelConfig, data: &Dataset) -> Result<()> {
    if let Some(doubt) = data.doubt() {
        tracing::warn!("data: {doubt}");
    }
    check_size(model.image_size, data).context("model.image-size")?;
    let Some(classes) = model.classes else { return Ok(()) };
    let Some(labels) = data.labels() else {
        return Err(without_labels(data.name()).context(data.source().to_owned()));
    };
    // Images of a class that has no training images would still be drawn and evaluated.
    let all = data.class_counts().map_or(0, |counts| counts.len());
    let mut found = vec![false; all.max(classes)];
    for &label in labels {
        found[usize::from(label)] = true;
    }
    let expected = found.iter().rposition(|&found| found).map_or(0, |largest| largest + 1);
    if classes != all {
        same_number(classes, expected, data.name())?;
    }
    match found[..classes].iter().position(|&found| !found) {
        Some(missing) => {
            let name = data.class_names().get(missing).filter(|name| **name != missing.to_string());
            let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
            Err(usage(format!(
                "model.classes: the training images hold none of class {missing}{name}; data.hold-out and \
                 data.limit leave images out"
            )))
        }
        None => Ok(()),
    }
}

/// Images of the published size are resized to the model's. For others, such as padded ones,
/// nobody knows whether that is meant.
pub(crate) fn check_size(expected: usize, data: &Dataset) -> Result<()> {
    let Some(found) = data.unusual_size().filter(|&found| found != expected) else { return Ok(()) };
    Err(usage(format!(
        "expected images of {expected}x{expected} pixels, found {found}x{found} in {} ({})",
        data.name(),
        data.source()
    )))
}

/// What is known about a data set's classes before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Classes {
    Known(usize),
    AtMost(usize),
    /// The images have no labels.
    None,
    Unknown,
}

fn classes(data: &DataConfig) -> Classes {
    match (data.name.classes(), data.name.composed()) {
        // The last classes may be missing in a part of the images. A directory may contain other
        // images in the same format.
        (Some(classes), _) if data.limit.is_some() || data.dir.is_some() => Classes::AtMost(classes),
        (Some(classes), _) => Classes::Known(classes),
        (None, Some(_)) => Classes::None,
        (None, None) => Classes::Unknown,
    }
}

fn without_labels(data: &str) -> anyhow::Error {
    usage(format!("model.classes: expected none, as the images of {data} have no labels"))
}

fn same_number(found: usize, expected: usize, data: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(usage(format!("model.classes: expected {expected}, the classes of {data}, found {found}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn problem(name: &str, sets: &[&str]) -> String {
        let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
        let checked = Config::load(Path::new(name), &sets).unwrap().check();
        checked.map_or_else(|e| format!("{e:#}"), |()| String::new())
    }

    #[test]
    fn values_that_can_only_be_mistakes_are_doubted() {
        let doubts = |sets: &[&str]| {
            let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
            Config::load(Path::new("dcgan-28"), &sets).unwrap().doubts()
        };
        for (name, _) in crate::config::BUILT_IN {
            assert_eq!(Config::load(Path::new(name), &[]).unwrap().doubts(), [""; 0], "{name}");
        }
        let plausible = [
            "train.augment={ cutout = 0.75, translation = 0.5 }",
            "train.instance-noise={ deviation = 2.0, schedule = { to = 0, over-kimg = 9 } }",
            "train.weight-clip=10.0",
            "train.label-smoothing=0.3",
            "model.discriminator.dropout=0.8",
            "train.generator.lr=0.5",
        ];
        assert_eq!(doubts(&plausible), [""; 0]);
        for (set, expected) in [
            ("train.augment.cutout=1.0", "train.augment.cutout = 1: D sees hardly any of an image"),
            ("train.augment.translation=0.9", "train.augment.translation = 0.9: many images are"),
            ("train.instance-noise.deviation=3.0", "train.instance-noise.deviation = 3: pixels in [-1, 1]"),
            (
                "train.instance-noise={ deviation = 1.0, schedule = { to = 9.0, over-kimg = 9 } }",
                "train.instance-noise.schedule.to = 9: pixels in [-1, 1]",
            ),
            ("train.weight-clip=1e6", "train.weight-clip = 1000000: no weight gets so large"),
            ("train.label-smoothing=0.99", "train.label-smoothing = 0.99: D would call real images fake"),
            ("model.discriminator.dropout=0.999", "model.discriminator.dropout = 0.999: D sees hardly any"),
            ("train.generator.lr=1.0", "train.generator.lr = 1: an update would change"),
            ("train.discriminator.lr=2.0", "train.discriminator.lr = 2: an update would change"),
        ] {
            let found = doubts(&[set]);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{set}: {found:?}");
        }
    }

    #[test]
    fn an_action_that_waits_for_a_check_after_the_end_is_doubted() {
        let doubts = |steps: u64| {
            let health = "train.health={ every = 10, on-failure = \"stop\" }".to_owned();
            let sets = [format!("train.steps={steps}"), health];
            Config::load(Path::new("mnist-5k"), &sets).unwrap().doubts()
        };
        let expected =
            "train.health.on-failure: the run ends after 9 steps, before the first check of its health";
        assert_eq!((doubts(9), doubts(10)), (vec![expected.to_owned()], vec![]));
    }

    #[test]
    fn what_does_not_go_together_is_named_without_any_data() {
        for (name, sets, expected) in [
            (
                "mnist-5k",
                &["model.discriminator.norm=batch"][..],
                "train.r1: no such penalty on this discriminator: BatchNorm2d",
            ),
            (
                "mnist-5k",
                &["model.discriminator.minibatch-std=4"],
                "train.r1: no such penalty on this discriminator: MinibatchStd(4)",
            ),
            ("hinge-sn", &["train.weight-clip=0.1"], "train.weight-clip: expected none with model.disc"),
            (
                "dcgan-28",
                &["model.discriminator.pack=3"],
                "model.discriminator.pack: expected a divisor of the 64",
            ),
            (
                "dcgan-28",
                &["model.discriminator.minibatch-std=6"],
                "model.discriminator.minibatch-std: expected a div",
            ),
            (
                "mnist-conditional",
                &["model.classes=9"],
                "model.classes: expected 10, the classes of mnist, found 9",
            ),
            ("mnist-conditional", &["model.classes=9", "data.dir=x"], ""),
            (
                "mnist-conditional",
                &["model.classes=11", "data.dir=x"],
                "model.classes: expected 10, the classes of mnist, found 11",
            ),
            ("dcgan-28", &["data.name=cifar-10"], "model.channels: expected 3, as the data are RGB"),
            ("mnist-conditional", &["model.classes=9", "data.limit=100"], ""),
            ("stacked-mnist", &["model.channels=1"], "model.channels: expected 3, as the data are RGB"),
            (
                "stacked-mnist",
                &["model.discriminator.pack=1", "model.classes=10"],
                "model.classes: expected none, as the images of stacked-mnist have no labels",
            ),
        ] {
            let problem = problem(name, sets);
            assert!(
                problem.starts_with(expected) && problem.is_empty() == expected.is_empty(),
                "{sets:?}: {problem}"
            );
        }
        for (name, _) in crate::config::BUILT_IN {
            assert_eq!(problem(name, &[]), "", "{name}");
        }
    }
}
