//! `gan-cli evaluate`.

mod subject;
mod table;

use super::check_exists;
use crate::args;
use crate::config::{self, Config, MIN_JUDGED};
use crate::exit::{End, usage};
use crate::judge::{self, Pixels, Real};
use crate::run::Plan;
use crate::run_dir;
use crate::terminal;
use anyhow::Result;
use candle_core::Device;
use gan_data::{DataConfig, Source, folder};
use gan_metrics::Evaluation;
use gan_models::{Generator, Provenance};
use gan_train::checkpoint;
use serde::Serialize;
use std::path::Path;
use subject::Subject;

/// Number of images to evaluate by default, if so many real images are held out.
const DEFAULT_COUNT: usize = 10_000;

/// The printed report.
#[derive(Debug, Serialize)]
struct Report {
    /// Name of the evaluated images.
    subject: String,
    /// The definition of the features: the data set on which the classifier was trained, or the
    /// version of the random network.
    features: String,
    /// The name after which the distance is called.
    #[serde(skip)]
    distance: String,
    /// The images that they were compared with.
    reference: Set,
    /// The real images that were evaluated in the same way.
    held_out: Set,
    /// Whether the generator may have been trained on the held-out images too.
    may_be_trained_on_held_out: bool,
    /// The images among which copies were searched for.
    trained: Set,
    /// Names of the classes that the features know. Empty if they have none.
    #[serde(skip)]
    class_names: Vec<String>,
    /// Channels of an image.
    channels: usize,
    /// Whether the features see the channels together. Otherwise each channel adds to the distances.
    #[serde(skip)]
    see_colours: bool,
    generated: Evaluation,
    floor: Evaluation,
}

/// A set of real images.
#[derive(Debug, Serialize)]
struct Set {
    name: String,
    count: usize,
}

pub(crate) fn run(args: &args::Evaluate) -> Result<End> {
    let files = args.features.iter().filter(|features| !judge::is_name(features));
    let mut paths = args.from.iter().chain(&args.samples).chain(&args.weights).chain(files);
    paths.try_for_each(|path| check_exists(path))?;
    let data = data(args)?;
    let mut subject = Subject::open(args, &data)?;
    let (channels, size) = subject.shape();
    let features = judge::features(args.features.as_deref(), args.weights.as_deref(), data.name)?;
    let real = Real::load(&data, size, channels, &features)?;
    if args.data.is_none() && args.samples.is_none() {
        warn_of_other_data(args, &real);
    }
    warn_of_black_grounds(args, &real);
    let count = count(args, &data, &subject, &real)?;
    let real = real.for_judging(count);
    let has_classes = subject.takes_classes_of(&real);
    let generated =
        judge::sample(&features, subject.images(count)?, Pixels::Kept, real.channels_hold(&features))?;
    let is_known = real.is_known_to(&features);
    let generated = match subject.labels(count).filter(|_| has_classes && is_known) {
        Some(labels) => generated.with_labels(labels)?,
        None => generated,
    };
    let reference = real.reference(&features, Pixels::Kept)?;
    let mut report = Report {
        subject: subject.name(),
        features: features.id().to_owned(),
        distance: features.name().to_owned(),
        reference: Set { name: real.names.reference.clone(), count: real.reference_count() },
        held_out: Set { name: real.names.held_out.clone(), count: real.held_out_count() },
        may_be_trained_on_held_out: real.may_be_trained_on,
        trained: Set { name: real.data().to_owned(), count: real.trained_count() },
        class_names: if is_known { real.class_names().to_vec() } else { vec![] },
        channels,
        see_colours: features.see_colours(),
        floor: reference.floor(generated.count())?,
        generated: reference.evaluate(&generated)?,
    };
    judge::warn_of_errors(&features, data.name, &report.floor);
    if report.generated.accuracy.is_none() {
        // The accuracy of real images is useful only beside that of a generator with classes.
        report.floor.accuracy = None;
    }
    let text = if args.json { report.json()? } else { table::of(&report)? };
    terminal::print(&text)?;
    Ok(End::Done)
}

/// Warns if the data of a run are other ones now. Without a checkpoint nobody knows it.
fn warn_of_other_data(args: &args::Evaluate, real: &Real) {
    let Some(file) = args.from.as_deref().and_then(run_dir::config_around) else { return };
    let newest = file.parent().and_then(run_dir::newest_checkpoint);
    if let (Ok(config), Some(newest)) = (Config::load(&file, &[]), newest) {
        real.warn_of_other_data(&config, &newest, args.data_dir.is_some());
    }
}

/// What the file of a generator says of its training. A file that cannot be read is reported when its
/// weights are needed.
fn described(file: &Path) -> Option<Provenance> {
    // The average in a checkpoint has the training of the generator beside it.
    let of_checkpoint = checkpoint::of_average(file).map(checkpoint::generator);
    Generator::load(of_checkpoint.as_deref().unwrap_or(file), &Device::Cpu).ok().map(|(_, trained)| trained)
}

/// Warns if transparent parts of the real pictures are black because nobody said anything else.
fn warn_of_black_grounds(args: &args::Evaluate, real: &Real) {
    let is_run = args.from.as_deref().is_some_and(|from| run_dir::config_around(from).is_some());
    // The pictures of a run are as it was trained on them.
    let (count, is_known) = (real.blackened(), is_run && args.data_dir.is_none());
    if count > 0 && args.cut.background.is_none() && !is_known {
        let have = if count == 1 { "1 has" } else { &format!("{count} have") };
        tracing::warn!(
            "of the real pictures, {have} transparent parts, which are compared as black: --background says another \
             colour"
        );
    }
}

/// Number of images to evaluate. It is at most the number of available images, and at most the
/// number of held-out real images, because equal numbers are compared.
fn count(args: &args::Evaluate, data: &DataConfig, subject: &Subject, real: &Real) -> Result<usize> {
    let default = data.name.composed().map_or(DEFAULT_COUNT, |composed| composed.judged);
    let wanted = args.count.map_or(default, |count| count as usize);
    let (held_out, images) = (real.held_out_count(), subject.count().unwrap_or(usize::MAX));
    let count = wanted.min(held_out).min(images);
    if count < MIN_JUDGED {
        let are_held_out = count < wanted.min(images);
        let what = if are_held_out { "held-out images to compare with" } else { "images to judge" };
        let found = format!("expected at least {MIN_JUDGED} {what}, found {count}");
        let of_all = match data.limit {
            // The images beyond the limit are not counted.
            Some(_) => String::new(),
            None => format!(" of {}", real.trained_count() + held_out),
        };
        let advice = match data.hold_out {
            Some(share) if are_held_out => format!(
                " (data.hold-out = {share}{of_all}): a run with a larger share can be judged, or a copy of the \
                 generator's file with --data and --data-dir"
            ),
            _ => String::new(),
        };
        return Err(usage(format!("{found}{advice}")));
    }
    if count < images && subject.count().is_some() {
        tracing::info!("judging {count} of the {images} images, spread over all of them");
    }
    if args.count.is_some() && count < wanted {
        let what = if count == images { "images to judge" } else { "held-out images to compare with" };
        tracing::warn!("--count {wanted}, but there are {count} {what}: judging {count}");
    }
    Ok(count)
}

impl Report {
    fn json(&self) -> Result<String> {
        let mut json = serde_json::to_value(self)?;
        for side in ["generated", "floor"] {
            judge::name_distance(&mut json[side], &self.distance);
        }
        Ok(format!("{json}\n"))
    }
}

/// The data of the run, if `from` is a run or a file in one. `--data` selects other data, and
/// `--data-dir` another directory. Without any of these, it is the embedded digits.
fn data(args: &args::Evaluate) -> Result<DataConfig> {
    let own = args.from.as_deref().and_then(run_dir::config_around);
    let own = own.map(|file| Ok::<_, anyhow::Error>(Config::load(&file, &[])?.data)).transpose()?;
    let named = args.data;
    let described = args.from.as_deref().filter(|_| own.is_none()).and_then(described);
    if let Some(name) = named.filter(|name| name.embedded_part_of().is_some() && args.data_dir.is_some()) {
        return Err(usage(format!("--data {name} is embedded and has no --data-dir")));
    }
    let mut data = match (own, named) {
        (Some(own), None) => own,
        (Some(own), Some(name)) if own.name == name => own,
        (_, named) => {
            let is_elsewhere = args.data_dir.is_some() || config::dir_from_environment().is_some();
            let of_file = described.as_ref().and_then(|trained| trained.data.parse::<Source>().ok());
            let is_digits = of_file.is_none_or(|name| name == Source::MNIST);
            // Without their directory, the embedded digits stand for all of them.
            let default =
                if is_elsewhere || !is_digits { of_file.unwrap_or(Source::MNIST) } else { Source::MNIST_5K };
            DataConfig::of(named.unwrap_or(default), None)
        }
    };
    args.cut.check(data.name)?;
    if data.name.is_folder() {
        let (crop, background) = args.cut.or_of(described.as_ref());
        let prepared = described.as_ref().and_then(|trained| trained.settings.get(Plan::CROP));
        let dir = args.data_dir.as_deref().filter(|dir| !folder::is_archive(dir) && crop.is_none());
        if let (Some(prepared), Some(dir)) = (prepared, dir) {
            tracing::warn!(
                "the generator was trained on pictures that `data prepare --crop {}` had cut: if those in {} are not, \
                 --crop cuts them in the same way",
                terminal::escaped(prepared, &[]),
                dir.display()
            );
        }
        data.crop = crop.unwrap_or(data.crop);
        data.background = background.or(data.background);
    }
    let own = data.name;
    config::set_data_dir(&mut data, args.data_dir.as_deref())?;
    if data.name != own {
        data.hold_out = None;
    }
    if data.name != own && data.limit.take().is_some() {
        // The run's limit says which of the embedded digits it was trained on. That information is
        // lost with other data.
        tracing::warn!("the run was trained on some of {own}'s images: copies are not searched among these");
    }
    Ok(data)
}
