//! `gan-cli sample`.

use crate::args;
use crate::exit::{End, usage};
use crate::{device, run_dir};
use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gan_data::{Grid, GridBuilder, save_image};
use gan_models::{AtomicFile, Generator};
use gan_ops::rng::Stream;
use npyz::WriterBuilder;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Images drawn at once: enough to keep the cores busy, little enough to bound the memory.
const CHUNK: usize = 64;
const DEFAULT_COUNT: usize = 64;

pub(crate) fn run(args: &args::Sample) -> Result<End> {
    let device = device::open(&args.device.device)?;
    let file = locate(&args.from)?;
    if std::fs::canonicalize(&file)
        .ok()
        .is_some_and(|file| std::fs::canonicalize(&args.out).ok() == Some(file))
    {
        return Err(usage(format!("--out: {} is the generator itself", args.out.display())));
    }
    let (generator, _) = Generator::load(&file, &device)?;
    let latents = args.latents.as_deref().map(|path| read_latents(path, &generator, &device)).transpose()?;
    let count = match (args.count.map(|count| count as usize), &latents) {
        (None, None) => DEFAULT_COUNT,
        (None, Some(latents)) => latents.dim(0)?,
        (Some(count), None) => count,
        (Some(count), Some(latents)) if latents.dim(0)? == count => count,
        (Some(count), Some(latents)) => {
            return Err(usage(format!("--count {count}, but --latents holds {}", latents.dim(0)?)));
        }
    };
    let images =
        Images { generator: &generator, latents, stream: Stream::new(args.seed, "sample", 0), count };
    let out = &args.out;
    match kind(out)? {
        Kind::Grid => grid(images, args.columns.map(std::num::NonZero::get))?.save_png(out)?,
        Kind::Npy => npy(images, out)?,
        Kind::Safetensors => safetensors(images, out)?,
        Kind::Directory => directory(images, out)?,
    }
    tracing::info!("{count} images in {}", out.display());
    Ok(End::Done)
}

/// The generator's file: `from` itself, or that of the run `from`.
pub(super) fn locate(from: &Path) -> Result<PathBuf> {
    if !from.is_dir() {
        return Ok(from.to_owned());
    }
    let file = run_dir::generator(from);
    if !file.exists() {
        bail!(
            "{} holds no generator.safetensors: not a run, or one without a checkpoint yet",
            from.display()
        );
    }
    Ok(file)
}

enum Kind {
    Grid,
    Npy,
    Safetensors,
    Directory,
}

fn kind(out: &Path) -> Result<Kind> {
    if out.is_dir() || out.to_string_lossy().ends_with(std::path::is_separator) {
        return Ok(Kind::Directory);
    }
    let extension = out.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("png") => Ok(Kind::Grid),
        Some("npy") => Ok(Kind::Npy),
        Some("safetensors") => Ok(Kind::Safetensors),
        _ => Err(usage(format!(
            "--out: expected X.png, X.npy, X.safetensors or DIR/, found {}",
            out.display()
        ))),
    }
}

/// Images `[n, C, H, W]` in [-1, 1], a chunk at a time. Which image comes i-th depends on the seed and
/// i, not on how many are drawn, but for rounding: a product of other dimensions may add in another order.
struct Images<'a> {
    generator: &'a Generator,
    latents: Option<Tensor>,
    stream: Stream,
    count: usize,
}

impl Images<'_> {
    fn shape(&self) -> [usize; 4] {
        let [channels, height, width] = self.generator.config().image_shape();
        [self.count, channels, height, width]
    }

    fn chunks(mut self) -> impl Iterator<Item = Result<Tensor>> {
        (0..self.count).step_by(CHUNK).map(move |start| {
            let n = CHUNK.min(self.count - start);
            let z = match &self.latents {
                Some(latents) => latents.narrow(0, start, n)?,
                None => {
                    self.stream.normal((n, self.generator.config().latent_dim), self.generator.device())?
                }
            };
            Ok(self.generator.generate(&z)?)
        })
    }
}

fn grid(images: Images<'_>, columns: Option<usize>) -> Result<Grid> {
    let [count, channels, height, width] = images.shape();
    let columns = columns.unwrap_or_else(|| (count as f64).sqrt().ceil() as usize);
    let mut grid = GridBuilder::new(count, columns, channels, height, width)?;
    for chunk in images.chunks() {
        grid.push(&chunk?)?;
    }
    Ok(grid.finish())
}

fn npy(images: Images<'_>, out: &Path) -> Result<()> {
    let shape = images.shape().map(|n| n as u64);
    let at = || out.display().to_string();
    let mut file = AtomicFile::create(out)?;
    let buffer = BufWriter::new(&mut file);
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(&shape).writer(buffer).begin_nd().with_context(at)?;
    for chunk in images.chunks() {
        writer.extend(chunk?.flatten_all()?.to_vec1::<f32>()?).with_context(at)?;
    }
    writer.finish().with_context(at)?;
    Ok(file.commit()?)
}

/// Written by hand, since the library's writer wants all of a tensor at once: a length, a JSON header
/// padded with spaces to a multiple of 8, the bytes.
fn safetensors(images: Images<'_>, out: &Path) -> Result<()> {
    let shape = images.shape();
    // Fits: --count has 32 bits, an image at most 18.
    let bytes = shape.iter().map(|&n| n as u64).product::<u64>() * size_of::<f32>() as u64;
    let header =
        serde_json::json!({ "images": { "dtype": "F32", "shape": shape, "data_offsets": [0, bytes] } });
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let at = || out.display().to_string();
    let mut file = AtomicFile::create(out)?;
    file.write_all(&(header.len() as u64).to_le_bytes()).with_context(at)?;
    file.write_all(&header).with_context(at)?;
    for chunk in images.chunks() {
        let values = chunk?.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        file.write_all(&bytes).with_context(at)?;
    }
    Ok(file.commit()?)
}

fn directory(images: Images<'_>, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let digits = (images.count - 1).to_string().len();
    let mut index = 0;
    for chunk in images.chunks() {
        let chunk = chunk?;
        for i in 0..chunk.dim(0)? {
            save_image(out.join(format!("{index:0digits$}.png")), &chunk.get(i)?)?;
            index += 1;
        }
    }
    Ok(())
}

/// Elements that a .npy header announces, at most `u64::MAX`. npyz multiplies without a check.
fn announced(bytes: &[u8]) -> Option<u64> {
    let header = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).into_owned();
    let (_, shape) = header.split_once("'shape':")?;
    let (shape, _) = shape.split_once(')')?;
    let sides = shape.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    Some(sides.fold(1, |product: u64, side| product.saturating_mul(side.parse().unwrap_or(u64::MAX))))
}

fn read_latents(path: &Path, generator: &Generator, device: &Device) -> Result<Tensor> {
    let at = || format!("--latents {}", path.display());
    let bytes = std::fs::read(path).with_context(at)?;
    if announced(&bytes).is_some_and(|elements| elements > bytes.len() as u64) {
        bail!("{}: truncated, or its header announces more than it holds", at());
    }
    let npy = npyz::NpyFile::new(&bytes[..]).with_context(at)?;
    let (shape, order) = (npy.shape().to_vec(), npy.order());
    let latent_dim = generator.config().latent_dim;
    let fits = matches!(shape[..], [n, dim] if n > 0 && dim == latent_dim as u64);
    let is_f32 = npy.dtype() == npyz::DType::new_scalar("<f4".parse()?);
    if !fits || !is_f32 || order != npyz::Order::C {
        bail!(
            "{}: expected f32 [N, {latent_dim}] in C order, found {} {shape:?} in {order:?} order",
            at(),
            npy.dtype().descr()
        );
    }
    let values = npy.into_vec::<f32>().with_context(at)?;
    if !values.iter().all(|v| v.is_finite()) {
        bail!("{}: holds NaN or infinity", at());
    }
    Ok(Tensor::from_vec(values, (shape[0] as usize, latent_dim), device)?)
}
