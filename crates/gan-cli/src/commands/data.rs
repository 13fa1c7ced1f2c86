//! `gan-cli data`.

use super::check_outside;
use super::output::{self, Place};
use crate::args::{self, DataCommand, DataInfo, PictureLook};
use crate::config;
use crate::draw;
use crate::exit::{End, usage};
use crate::loading;
use crate::signals::Stop;
use crate::terminal;
use anyhow::{Context, Result};
use candle_core::Device;
use gan_data::folder::{self, Options, Transform};
use gan_data::{DataConfig, DataError, Dataset, GridBuilder, Range, Source, Split};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Maximum number of columns for a list of classes.
const WIDTH: usize = 100;
/// Width of the column in front of a split's description.
const INDENT: usize = "  classes  ".len();
/// Number of images in the grid of `--out`.
const DRAWN: usize = 64;

pub(crate) fn run(args: &args::Data) -> Result<End> {
    match &args.command {
        DataCommand::Info(info) => self::info(info)?,
        DataCommand::Prepare { from, look, out } => prepare(from, look, out)?,
        DataCommand::Download { data, out } => download(*data, out)?,
    }
    Ok(End::Done)
}

fn info(args: &DataInfo) -> Result<()> {
    let (dir, named_by) = match &args.data_dir {
        Some(dir) => (Some(dir.clone()), "--data-dir"),
        None => (config::dir_from_environment(), config::ENVIRONMENT),
    };
    let source = match args.data {
        Some(name) => name,
        None if dir.is_some() => Source::MNIST,
        None => Source::MNIST_5K,
    };
    if source.embedded_part_of().is_some() && args.data_dir.is_some() {
        return Err(usage(format!("--data {source} is embedded and has no --data-dir")));
    }
    let dir = dir.filter(|_| source.embedded_part_of().is_none());
    if let Some(dir) = &dir {
        super::check_option(named_by, dir)?;
    }
    let stop = Stop::on_signals()?;
    let place = args.out.clone().map(Place::new);
    if let Some(place) = &place {
        let out = place.path();
        if output::extension(out).is_none_or(|extension| extension != "png") {
            return Err(usage(format!("--out {}: expected a .png file", out.display())));
        }
        place.protect(&[])?;
        dir.iter().try_for_each(|dir| check_outside(dir, out))?;
    }
    args.look.check(source)?;
    let config = picture_data(&args.look, source, dir.clone());
    let (side, channels) = image_shape(&args.look, source);

    let mut text = String::new();
    for &split in source.splits() {
        match loading::load(&config, split, side, channels) {
            // Training needs no test split, so its absence is not an error.
            Err(DataError::MissingFile { dir, .. }) if split == Split::Test => {
                writeln!(text, "test: no files in {}", terminal::name(&dir))?;
            }
            data => {
                let mut data = data?;
                // Such images are not resized, because they train a model of their own size.
                if let Some(found) = data.unusual_size().filter(|&found| found != side) {
                    if args.look.has_size() {
                        crate::config::check_size(side, &data).context("--size")?;
                    }
                    data = loading::load(&config, split, found, channels)?;
                }
                let survey =
                    dir.as_deref().filter(|_| source.is_folder()).and_then(|dir| folder::survey(dir).ok());
                describe(&mut text, split, &data, survey.as_ref())?;
                if let Some(place) = place.as_ref().filter(|_| split == Split::Train) {
                    draw_grid(&data, place, &stop)?;
                    let (drawn, out) = (data.len().min(DRAWN), terminal::name(place.path()));
                    writeln!(text, "  grid     {drawn} of them, evenly spaced, in {out}")?;
                }
            }
        }
    }
    if let Some(note) = source.note {
        writeln!(text, "{note}")?;
    }
    if let Some(dir) = &dir {
        text.push_str(&canonical(source, dir)?);
    }
    terminal::print(&text)
}

/// The data set with the options for pictures.
pub(super) fn picture_data(look: &PictureLook, source: Source, dir: Option<PathBuf>) -> DataConfig {
    let Transform { crop, background } = look.transform();
    DataConfig { crop, background, ..DataConfig::of(source, dir) }
}

/// Height and width, and number of channels of the images.
pub(super) fn image_shape(look: &PictureLook, source: Source) -> (usize, usize) {
    source.shape.map_or_else(|| (look.size(), look.channels()), |shape| (shape.side, shape.channels))
}

fn describe(text: &mut String, split: Split, data: &Dataset, survey: Option<&folder::Survey>) -> Result<()> {
    let size = data.unusual_size().unwrap_or(data.size());
    let channels = if data.channels() == 1 { "gray" } else { "RGB" };
    let images = terminal::counted(data.len(), "image");
    writeln!(text, "{} {}: {images}, {size}x{size} {channels}", data.name(), split.as_str())?;
    writeln!(text, "  from     {}", terminal::escaped(data.source(), &[]))?;
    if let Some(survey) = survey {
        writeln!(text, "  sizes    {}", survey.sizes())?;
        writeln!(text, "  stored   {}", survey.modes())?;
    }
    if let Some(animated) = survey.map(folder::Survey::animated).filter(|animated| *animated > 0) {
        writeln!(
            text,
            "  WARNING  {animated} of the pictures are animated: only their first frames are used"
        )?;
    }
    if let Some(doubt) = data.doubt() {
        writeln!(text, "  WARNING  {doubt}")?;
    }
    if let Some(counts) = data.class_counts() {
        let counts = counts.iter().enumerate();
        let counts = counts.map(|(class, n)| format!("{}: {n}", label(class, data.class_names())));
        writeln!(text, "  classes  {}", lines(counts))?;
    }
    Ok(())
}

/// Draws evenly spaced images as they are trained on.
fn draw_grid(data: &Dataset, place: &Place, stop: &Stop) -> Result<()> {
    let (count, side) = (data.len().min(DRAWN), data.size());
    let mut grid = GridBuilder::new(count, draw::columns(count), data.channels(), side, side)?;
    for images in data.tensors(count, DRAWN, data.channels(), Range::MinusOneOne, &Device::Cpu) {
        grid.push(&images?)?;
    }
    output::prepare_parent(place.path())?;
    output::write(place, &grid.finish().to_png()?, stop)
}

/// A class's number, followed by its name if the name adds something.
fn label(class: usize, names: &[String]) -> String {
    match names.get(class) {
        Some(name) if *name != class.to_string() => format!("{class} {}", terminal::escaped(name, &[])),
        Some(_) | None => class.to_string(),
    }
}

/// Puts words side by side, in as many lines as they need.
fn lines(words: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = vec![];
    for word in words {
        match lines.last_mut().filter(|line| INDENT + line.len() + 2 + word.len() <= WIDTH) {
            Some(line) => *line = format!("{line}  {word}"),
            None => lines.push(word),
        }
    }
    lines.join(&format!("\n{:INDENT$}", ""))
}

/// Whether the files are the published ones, if their hashes are known.
fn canonical(source: Source, dir: &Path) -> Result<String> {
    let title = source.made_of().title;
    // A folder's pictures were never published as this data set.
    let checks = if source.is_folder() { None } else { source.check_files(dir)? };
    let Some(checks) = checks else {
        let is_published = source.shape.is_some();
        return Ok(if is_published {
            format!("No SHA-256 of {title}'s files is known.\n")
        } else {
            String::new()
        });
    };
    let mut text = String::new();
    for check in &checks {
        let verdict = match (&check.path, &check.sha256) {
            (None, _) => "missing, not canonical".to_owned(),
            (_, None) => "not compressed, and only the hash of the compressed file is known".to_owned(),
            (_, Some(hash)) => {
                format!("{hash} {}", if check.canonical { "canonical" } else { "not canonical" })
            }
        };
        writeln!(text, "  {:<24} {verdict}", check.file)?;
    }
    if checks.iter().any(|check| check.path.is_some() && check.sha256.is_none()) {
        return Ok(text);
    }
    let all = checks.iter().all(|check| check.canonical);
    writeln!(text, "This is {}the canonical {title}.", if all { "" } else { "not " })?;
    Ok(text)
}

fn prepare(from: &Path, look: &PictureLook, out: &Path) -> Result<()> {
    let at = || format!("--out {}", out.display());
    if out.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("zip")) {
        return Err(usage(format!("{}: expected a .zip file", at())));
    }
    if out.symlink_metadata().is_ok() {
        return Err(usage(format!("{}: exists already", at())));
    }
    Place::new(out.to_owned()).protect(&[])?;
    super::check_exists(from)?;
    let stop = Stop::on_signals()?;
    let prepared = loading::watched(|progress| {
        let (size, channels, transform) = (look.size(), look.channels(), look.transform());
        let options = Options { size, channels, transform, progress };
        folder::prepare(from, &options, out, || stop.check())
    })?;
    let classes = prepared.classes.map(|classes| format!(" of {classes} classes")).unwrap_or_default();
    let passed_over = prepared.passed_over.map(|others| format!("; {others}")).unwrap_or_default();
    tracing::info!("{} pictures{classes} in {}{passed_over}", prepared.count, out.display());
    Ok(())
}

fn download(source: Source, out: &Path) -> Result<()> {
    for &split in source.splits() {
        let data = source.download(split, out)?;
        let images = terminal::counted(data.len(), "image");
        tracing::info!("{source} {}: {images} in {}", split.as_str(), out.display());
    }
    Ok(())
}
