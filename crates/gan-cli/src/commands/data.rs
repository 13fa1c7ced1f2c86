//! `gan-cli data`.

use crate::args::{self, DataCommand};
use crate::config;
use crate::exit::End;
use crate::terminal;
use anyhow::{Context, Result};
use gan_data::{DataConfig, DataError, Dataset, ImageShape, Range, Source, Split};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Shape at which a folder is read to count its images. Nothing is trained at this size.
const FOLDER: ImageShape = ImageShape { channels: 3, side: 64 };
/// Maximum number of columns for a list of classes.
const WIDTH: usize = 100;
/// Width of the column in front of a split's description.
const INDENT: usize = "  classes  ".len();

pub(crate) fn run(args: &args::Data) -> Result<End> {
    match &args.command {
        DataCommand::Info { data, data_dir } => info(*data, data_dir.clone())?,
        DataCommand::Download { data, out } => download(*data, out)?,
    }
    Ok(End::Done)
}

fn info(name: Option<Source>, dir: Option<PathBuf>) -> Result<()> {
    let named_by = if dir.is_some() { "--data-dir" } else { config::ENVIRONMENT };
    let dir = dir.or_else(config::dir_from_environment);
    let source = match name {
        Some(name) => name,
        None if dir.is_some() => Source::MNIST,
        None => Source::MNIST_5K,
    };
    let dir = dir.filter(|_| source.embedded_part_of().is_none());
    if let Some(dir) = &dir {
        std::fs::metadata(dir).with_context(|| format!("{named_by}: {}", dir.display()))?;
    }
    let config =
        DataConfig { name: source, batch_size: 1, dir: dir.clone(), range: Range::default(), limit: None };
    let ImageShape { channels, side } = source.shape.unwrap_or(FOLDER);

    let mut text = String::new();
    for &split in source.splits() {
        match config.load(split, side, channels) {
            // Training needs no test split, so its absence is not an error.
            Err(DataError::MissingFile { dir, .. }) if split == Split::Test => {
                writeln!(text, "test: no files in {}", terminal::name(&dir))?;
            }
            data => describe(&mut text, split, &data?, source)?,
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

fn describe(text: &mut String, split: Split, data: &Dataset, source: Source) -> Result<()> {
    let size = data.unusual_size().unwrap_or(data.size());
    let channels = if data.channels() == 1 { "gray" } else { "RGB" };
    let images = terminal::counted(data.len(), "image");
    writeln!(text, "{} {}: {images}, {size}x{size} {channels}", data.name(), split.as_str())?;
    writeln!(text, "  from     {}", terminal::escaped(data.source(), &[]))?;
    if let Some(doubt) = data.doubt() {
        writeln!(text, "  WARNING  {doubt}")?;
    }
    if let Some(counts) = data.class_counts() {
        let counts = counts.iter().enumerate().map(|(class, n)| format!("{}: {n}", label(class, source)));
        writeln!(text, "  classes  {}", lines(counts))?;
    }
    Ok(())
}

/// A class's number, followed by its name if the name adds something.
fn label(class: usize, source: Source) -> String {
    match source.classes.get(class) {
        Some(name) if *name != class.to_string() => format!("{class} {name}"),
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
    let Some(checks) = source.check_files(dir)? else {
        // A folder's pictures were never published as this data set.
        let is_published = source.shape.is_some();
        return Ok(if is_published {
            format!("No SHA-256 of {title}'s files is known.\n")
        } else {
            String::new()
        });
    };
    let mut text = String::new();
    for check in &checks {
        let verdict = if check.canonical { "canonical" } else { "not canonical" };
        let hash = check.sha256.as_deref().unwrap_or("missing,");
        writeln!(text, "  {:<24} {hash} {verdict}", check.file)?;
    }
    let all = checks.iter().all(|check| check.canonical);
    writeln!(text, "This is {}the canonical {title}.", if all { "" } else { "not " })?;
    Ok(text)
}

fn download(source: Source, out: &Path) -> Result<()> {
    for &split in source.splits() {
        let data = source.download(split, out)?;
        let images = terminal::counted(data.len(), "image");
        tracing::info!("{source} {}: {images} in {}", split.as_str(), out.display());
    }
    Ok(())
}
