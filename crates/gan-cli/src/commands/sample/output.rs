//! Where `gan-cli sample` writes, and what it refuses to overwrite.

use super::files;
use crate::draw::Drawing;
use crate::exit::usage;
use crate::memory::{Budget, Need};
use crate::run_dir;
use crate::signals::Stop;
use crate::terminal::counted;
use anyhow::{Context, Result};
use gan_files::sweep_dead;
use std::path::{Path, PathBuf};

/// The place of the images.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    kind: Kind,
    /// Whether numbered PNG files in a directory are deleted first, or a file that holds no images
    /// is overwritten.
    replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grid,
    Npy,
    Safetensors,
    Directory,
}

impl Output {
    /// The place that `--out` names. Without the option it is the first of `samples.png`,
    /// `samples-2.png`, ... that does not exist.
    pub(super) fn choose(out: Option<&Path>, replace: bool) -> Result<Self> {
        let path = out.map_or_else(next_free, Path::to_owned);
        run_dir::check_link(&path)?;
        let kind = kind(&path)?;
        if replace && kind == Kind::Grid {
            let found = path.display();
            return Err(usage(format!(
                "--replace: expected --out DIR/, X.npy or X.safetensors, found {found}"
            )));
        }
        Ok(Self { path, kind, replace })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_grid(&self) -> bool {
        self.kind == Kind::Grid
    }

    /// Refuses to overwrite an input, a file of a run, a file of weights or of another array, or a
    /// directory that already holds numbered images.
    pub(super) fn protect(&self, generator: &Path, latents: Option<&Path>) -> Result<()> {
        let refuse = |problem: String| Err(usage(format!("--out: {} {problem}", self.path.display())));
        let place = std::fs::canonicalize(&self.path).ok();
        let is_input = |input: &Path| place.is_some() && std::fs::canonicalize(input).ok() == place;
        if is_input(generator) {
            return refuse("is the generator itself".to_owned());
        }
        if latents.is_some_and(is_input) {
            return refuse("is the file of --latents".to_owned());
        }
        if let Some(run) = run_dir::owner(&self.path) {
            let run = run.display();
            return refuse(format!(
                "belongs to the run {run}: choose another place, or another directory in the run's"
            ));
        }
        if matches!(self.kind, Kind::Npy | Kind::Safetensors)
            && !self.replace
            && self.path.is_file()
            && !files::is_of_images(&self.path)?
        {
            return refuse("holds no images of this program: --replace overwrites it".to_owned());
        }
        if self.kind == Kind::Directory && !self.replace {
            let old = files::numbered(&self.path)?;
            if let Some(first) = old.first() {
                let (images, first) = (counted(old.len(), "numbered image"), first.display());
                let them = if old.len() == 1 { "it" } else { "them" };
                return refuse(format!("already holds {images} ({first}): --replace deletes {them}"));
            }
        }
        Ok(())
    }

    /// Writes the images. After an error or a signal, the old files are as they were.
    pub(super) fn write(
        &self,
        images: Drawing<'_>,
        columns: Option<usize>,
        budget: Budget,
        stop: &Stop,
    ) -> Result<()> {
        let Self { path, kind, .. } = self;
        let columns = columns.unwrap_or_else(|| crate::draw::columns(images.count()));
        let bytes = size(*kind, images.shape(), columns)?;
        let in_memory = if *kind == Kind::Grid { bytes } else { 0 };
        budget.check(&Need::of_drawing(images.model(), crate::draw::CHUNK, in_memory)).context("--count")?;
        match kind {
            Kind::Directory => return files::directory(images, path, stop),
            Kind::Grid | Kind::Npy | Kind::Safetensors => (),
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| path.display().to_string())?;
            sweep_dead(if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        }
        match kind {
            Kind::Grid => files::grid(images, columns, path, stop),
            Kind::Npy => files::npy(images, path, stop),
            Kind::Safetensors => files::safetensors(images, path, stop),
            Kind::Directory => Ok(()),
        }
    }
}

fn next_free() -> PathBuf {
    let numbered = (2u32..).map(|n| PathBuf::from(format!("samples-{n}.png")));
    // A link to nowhere is there, too.
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    std::iter::once(PathBuf::from("samples.png")).chain(numbered).find(is_free).unwrap_or_default()
}

fn kind(out: &Path) -> Result<Kind> {
    if out.is_dir() || out.to_string_lossy().ends_with(std::path::is_separator) {
        return Ok(Kind::Directory);
    }
    let extension = out.extension().map(|e| e.to_string_lossy().to_lowercase());
    let hint = match extension.as_deref() {
        Some("png") => return Ok(Kind::Grid),
        Some("npy") => return Ok(Kind::Npy),
        Some("safetensors") => return Ok(Kind::Safetensors),
        Some(_) => String::new(),
        None => format!(" (try {0}.png or {0}/)", out.display()),
    };
    Err(usage(format!("--out: expected X.png, X.npy, X.safetensors or DIR/, found {}{hint}", out.display())))
}

/// The largest picture of a grid, in bytes. All of it is in memory.
const MAX_GRID: u128 = 1 << 30;
/// The largest file of images, in bytes.
const MAX_FILE: u128 = 64 << 30;
/// The largest number of single images.
const MAX_PICTURES: u128 = 1_000_000;

/// The size of the output: bytes, or the number of single images. Refuses a number of images that
/// is surely a mistake, before any is drawn.
fn size(kind: Kind, shape: [usize; 4], columns: usize) -> Result<u128> {
    let [count, channels, height, width] = shape.map(|side| side as u128);
    let columns = (columns as u128).min(count);
    let (size, most, what) = match kind {
        Kind::Grid => {
            let cells = count.div_ceil(columns.max(1)) * columns;
            (cells * channels * (height + 2) * (width + 2), MAX_GRID, "bytes in a grid (X.npy holds more)")
        }
        Kind::Npy | Kind::Safetensors => (count * channels * height * width * 4, MAX_FILE, "bytes in a file"),
        Kind::Directory => (count, MAX_PICTURES, "images in a directory (X.npy holds more)"),
    };
    if size > most {
        return Err(usage(format!(
            "--count: expected at most {most} {what}, found {size} for {count} images"
        )));
    }
    Ok(size)
}
