//! `gan-cli sample`.

use crate::args;
use crate::exit::{End, usage};
use crate::{device, run_dir};
use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gan_data::{Grid, GridBuilder, save_image};
use gan_models::{Generator, Mode};
use gan_ops::rng::Stream;
use npyz::WriterBuilder;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Images drawn at once: enough to keep the cores busy, little enough to bound the memory.
const CHUNK: usize = 64;
const DEFAULT_COUNT: usize = 64;

pub(crate) fn run(args: &args::Sample) -> Result<End> {
    let device = device::open(&args.device.device)?;
    let (generator, _) = Generator::load(&locate(&args.from)?, &device)?;
    let latents = args.latents.as_deref().map(|path| read_latents(path, &generator, &device)).transpose()?;
    let count = match (args.count, &latents) {
        (None, None) => DEFAULT_COUNT,
        (None, Some(latents)) => latents.dim(0)?,
        (Some(count), None) => count.get(),
        (Some(count), Some(latents)) if latents.dim(0)? == count.get() => count.get(),
        (Some(count), Some(latents)) => {
            return Err(usage(format!("--count {count}, but --latents holds {}", latents.dim(0)?)));
        }
    };
    let images =
        Images { generator: &generator, latents, stream: Stream::new(args.seed, "sample", 0), count };
    let out = &args.out;
    match kind(out)? {
        Kind::Grid => grid(images, args.columns.map(std::num::NonZero::get))?.save_png(out)?,
        Kind::Npy => npy(images, out).with_context(|| out.display().to_string())?,
        Kind::Safetensors => safetensors(images, out).with_context(|| out.display().to_string())?,
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
            Ok(self.generator.forward(&z, Mode::Eval)?.detach())
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
    let file = BufWriter::new(File::create(out)?);
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
    for chunk in images.chunks() {
        writer.extend(chunk?.flatten_all()?.to_vec1::<f32>()?)?;
    }
    Ok(writer.finish()?)
}

/// Written by hand, since the library's writer wants all of a tensor at once: a length, a JSON header
/// padded with spaces to a multiple of 8, the bytes.
fn safetensors(images: Images<'_>, out: &Path) -> Result<()> {
    let shape = images.shape();
    let bytes = shape.iter().product::<usize>() * size_of::<f32>();
    let header =
        serde_json::json!({ "images": { "dtype": "F32", "shape": shape, "data_offsets": [0, bytes] } });
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::new(File::create(out)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for chunk in images.chunks() {
        for value in chunk?.flatten_all()?.to_vec1::<f32>()? {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
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

fn read_latents(path: &Path, generator: &Generator, device: &Device) -> Result<Tensor> {
    let at = || format!("--latents {}", path.display());
    let bytes = std::fs::read(path).with_context(at)?;
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
