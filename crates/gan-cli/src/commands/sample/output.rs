//! Where `gan-cli sample` writes, and what it refuses to overwrite.

use super::files;
use crate::commands::output::{self, Place};
use crate::draw::Drawing;
use crate::exit::usage;
use crate::memory::{Budget, Need};
use crate::run_dir;
use crate::signals::Stop;
use anyhow::{Context, Result};
use std::path::Path;

/// How a grid looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// As square as possible without this.
    pub(super) columns: Option<usize>,
    /// The side of each pixel.
    pub(super) scale: usize,
}

/// The place of the images.
#[derive(Debug)]
pub(super) struct Output {
    place: Place,
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
        let path = out.map_or_else(|| output::next_free("samples", "png"), Path::to_owned);
        run_dir::check_link(&path)?;
        let kind = kind(&path)?;
        if replace && kind == Kind::Grid {
            let found = path.display();
            return Err(usage(format!(
                "--replace: expected --out DIR/, X.npy or X.safetensors, found {found}"
            )));
        }
        Ok(Self { place: Place::new(path), kind, replace })
    }

    pub(super) fn path(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn is_grid(&self) -> bool {
        self.kind == Kind::Grid
    }

    /// Refuses to overwrite an input, a file of a run, a file of weights or of another array, or a
    /// directory that already holds numbered images.
    pub(super) fn protect(&self, generator: &Path, latents: Option<&Path>) -> Result<()> {
        let inputs = [(generator, "the generator itself")].into_iter();
        let inputs: Vec<_> = inputs.chain(latents.map(|file| (file, "the file of --latents"))).collect();
        self.place.protect(&inputs)?;
        match self.kind {
            _ if self.replace => Ok(()),
            Kind::Npy | Kind::Safetensors if self.path().is_file() && !files::is_of_images(self.path())? => {
                Err(self.place.refused("holds no images of this program: --replace overwrites it"))
            }
            Kind::Directory => self.place.protect_numbered(),
            Kind::Grid | Kind::Npy | Kind::Safetensors => Ok(()),
        }
    }

    /// Writes the images. After an error or a signal, the old files are as they were.
    pub(super) fn write(
        &self,
        images: Drawing<'_>,
        Look { columns, scale }: Look,
        budget: Budget,
        stop: &Stop,
    ) -> Result<()> {
        let (path, kind) = (self.path(), &self.kind);
        let columns = columns.unwrap_or_else(|| crate::draw::columns(images.count()));
        let bytes = size(*kind, images.shape(), columns, scale)?;
        let in_memory = if *kind == Kind::Grid { bytes } else { 0 };
        budget.check(&Need::of_drawing(images.model(), crate::draw::CHUNK, in_memory)).context("--count")?;
        match kind {
            Kind::Directory => return files::directory(images, &self.place, stop),
            Kind::Grid | Kind::Npy | Kind::Safetensors => (),
        }
        output::prepare_parent(path)?;
        match kind {
            Kind::Grid => output::write(&self.place, &files::grid(images, columns, scale, stop)?, stop),
            Kind::Npy => files::npy(images, &self.place, stop),
            Kind::Safetensors => files::safetensors(images, &self.place, stop),
            Kind::Directory => Ok(()),
        }
    }
}

fn kind(out: &Path) -> Result<Kind> {
    if output::is_directory(out) {
        return Ok(Kind::Directory);
    }
    let hint = match output::extension(out).as_deref() {
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
fn size(kind: Kind, shape: [usize; 4], columns: usize, scale: usize) -> Result<u128> {
    let [count, channels, height, width] = shape.map(|side| side as u128);
    let columns = (columns as u128).min(count);
    let (size, most, what) = match kind {
        Kind::Grid => {
            let cells = count.div_ceil(columns.max(1)) * columns;
            let enlarged = (scale * scale) as u128;
            (
                cells * channels * (height + 2) * (width + 2) * enlarged,
                MAX_GRID,
                "bytes in a grid (X.npy holds more)",
            )
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
