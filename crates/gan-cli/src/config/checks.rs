//! Checks whether data, model and training fit together. None of their crates can check this alone.

use super::Config;
use crate::exit::usage;
use anyhow::Result;
use gan_data::{DataConfig, DataError, Dataset};
use gan_models::ModelConfig;

impl Config {
    /// Checks all that does not need the data: whether packs, groups and penalties fit the
    /// networks, and whether channels and classes fit the data set.
    pub(crate) fn check(&self) -> Result<()> {
        self.model.validate_batch(self.data.batch_size)?;
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
    check_size(model.image_size, data)?;
    let Some(classes) = model.classes else { return Ok(()) };
    let Some(labels) = data.labels() else {
        return Err(without_labels(data.name()).context(data.source().to_owned()));
    };
    // Images of a class that has no training images would still be drawn and evaluated.
    let mut found = vec![false; data.class_counts().map_or(0, |counts| counts.len()).max(classes)];
    for &label in labels {
        found[usize::from(label)] = true;
    }
    let expected = found.iter().rposition(|&found| found).map_or(0, |largest| largest + 1);
    same_number(classes, expected, data.name())?;
    match found[..classes].iter().position(|&found| !found) {
        Some(missing) => {
            let name = data.class_names().get(missing).filter(|name| **name != missing.to_string());
            let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
            Err(usage(format!("model.classes: the training images hold none of class {missing}{name}")))
        }
        None => Ok(()),
    }
}

/// Images of the published size are resized to the model's. For others, such as padded ones,
/// nobody knows whether that is meant.
fn check_size(expected: usize, data: &Dataset) -> Result<()> {
    let Some(found) = data.unusual_size().filter(|&found| found != expected) else { return Ok(()) };
    Err(usage(format!(
        "model.image-size: expected {found}, the size of these images of {} ({}), found {expected}",
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
