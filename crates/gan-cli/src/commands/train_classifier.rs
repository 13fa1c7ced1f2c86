//! `gan-cli train-classifier`.

mod augment;
mod fit;

use crate::args;
use crate::commands::data::{image_shape, picture_data};
use crate::commands::output::{self, Place};
use crate::commands::{program, quoted};
use crate::exit::{End, usage};
use crate::loading;
use crate::signals::Stop;
use crate::terminal;
use anyhow::{Context, Result};
use candle_core::Device;
use gan_data::folder::{Background, Crop, Transform};
use gan_data::{DataConfig, DataError, Dataset, Split};
use gan_metrics::Classifier;
use gan_metrics::classifier::{Record, SIDE, SIDES};
use std::path::Path;

/// Share of the images that are kept to test with, if the data have no test split.
const HELD_OUT: f64 = 0.1;

pub(crate) fn run(args: &args::TrainClassifier) -> Result<End> {
    let place = Place::new(args.out.clone());
    check_free(&args.out)?;
    place.protect(&[])?;
    let stop = Stop::on_signals()?;
    let (train, test, hold_out) = data(args)?;
    let classes = train.class_counts().map_or(0, |counts| counts.len());
    let epochs = args.epochs.map_or_else(|| fit::epochs(train.len()), u64::from);
    let Transform { crop, background } = train.transform().unwrap_or_default();
    let mut record = Record {
        data: train.name().to_owned(),
        classes,
        images: train.len() as u64,
        epochs,
        seed: args.seed,
        test_accuracy: 0.,
        size: train.size(),
        channels: train.channels(),
        hold_out,
        chance: Some(largest_share(&test)),
        crop: (crop != Crop::default()).then(|| crop.to_string()),
        background: background.filter(|it| *it != Background::default()).map(|it| it.to_string()),
        class_names: if args.data.is_folder() { train.class_names().to_vec() } else { vec![] },
    };
    let classifier = Classifier::new(record.clone(), &Device::Cpu)?;
    tracing::info!(
        "{} of {classes} classes, {}x{} {}, and {} to test with; {} parameters",
        terminal::counted(train.len(), "training image"),
        train.size(),
        train.size(),
        if train.channels() == 1 { "gray" } else { "RGB" },
        test.len(),
        classifier.params().count()
    );
    fit::fit(&classifier, train, &test, &record, args.flip, &stop)?;
    record.test_accuracy = fit::accuracy(&classifier, &test)?;
    warn_of_chance(record.test_accuracy, &test);
    let reached = record.test_accuracy * 100.;
    output::write(&place, &classifier.with_record(record).to_bytes()?, &stop)?;
    tracing::info!("test accuracy {reached:.2}%; wrote {}", args.out.display());
    tracing::info!("{} evaluate RUN --features {}", program(), quoted(&args.out));
    Ok(End::Done)
}

/// Warns if the classifier has learned nothing.
fn warn_of_chance(accuracy: f64, test: &Dataset) {
    let share = largest_share(test);
    if accuracy <= share {
        tracing::warn!(
            "it is right no more often ({:.2}%) than somebody who always names the largest class ({:.2}%), so its \
             features mean nothing: train it longer (--epochs), or with more images",
            accuracy * 100.,
            share * 100.
        );
    }
}

/// Share of the images that belong to the largest class.
fn largest_share(test: &Dataset) -> f64 {
    let largest = test.class_counts().and_then(|counts| counts.into_iter().max()).unwrap_or(0);
    largest as f64 / test.len() as f64
}

/// Refuses a place where something is, or where nothing can be written, before the work begins.
fn check_free(out: &Path) -> Result<()> {
    if out.symlink_metadata().is_ok() {
        return Err(usage(format!("--out {}: exists already", out.display())));
    }
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(usage(format!("--out {}: there is no directory {}", out.display(), parent.display())));
    }
    Ok(())
}

/// The images to train with, those to test with, and the share that was kept for them.
fn data(args: &args::TrainClassifier) -> Result<(Dataset, Dataset, Option<f64>)> {
    super::check_option("--data-dir", &args.data_dir)?;
    super::check_outside(&args.data_dir, &args.out)?;
    args.look.check(args.data)?;
    let mut config = picture_data(&args.look, args.data, Some(args.data_dir.clone()));
    let (size, channels) = image_shape(&args.look, args.data);
    if !SIDES.contains(&size) {
        let expected = SIDES.map(|side| side.to_string()).join(", ");
        return Err(usage(format!("--size: expected one of {expected}, found {size}")));
    }
    config.hold_out = args.hold_out.or(args.data.test.is_none().then_some(HELD_OUT));
    let load = |config: &DataConfig, split| loading::load(config, split, size, channels);
    let train = match load(&config, Split::Train) {
        // MNIST's files in the place of pictures have their own test split.
        Err(DataError::Value { field: "data.hold-out", expected, .. })
            if args.hold_out.is_none() && expected.starts_with("none") =>
        {
            config.hold_out = None;
            load(&config, Split::Train)?
        }
        train => train?,
    };
    let test = load(&config, Split::Test)?;
    crate::config::check_size(size, &train).context("--size")?;
    let place = args.data_dir.display();
    match train.class_counts().map(|counts| counts.len()) {
        None => Err(usage(format!(
            "{place}: a classifier needs labels: a directory for each class, or a file dataset.json \
             (`{} data info --data folder --data-dir {}` says what is there)",
            program(),
            quoted(&args.data_dir)
        ))),
        Some(..2) => Err(usage(format!("{place}: a classifier needs at least 2 classes, found 1"))),
        Some(_) if train.len() < 2 => Err(usage(format!("{place}: expected at least 2 training images"))),
        Some(_) => Ok((train, test, config.hold_out)),
    }
}

/// Whether the images have a frame of background, so that a transform moves in black. Other images
/// continue their border.
const fn has_black_frame(record: &Record) -> bool {
    record.size == SIDE && record.channels == 1
}
