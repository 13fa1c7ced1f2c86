//! `gan-cli sample`.

use crate::args;
use crate::draw::{self, Drawing, Labels};
use crate::exit::{End, usage};
use crate::{device, npy, run_dir};
use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gan_data::{Grid, GridBuilder, save_image};
use gan_files::AtomicFile;
use gan_models::Generator;
use npyz::WriterBuilder;
use std::io::Write;
use std::path::{Path, PathBuf};

const DEFAULT_COUNT: usize = 64;
/// Number of images in each row with `--class all`.
const DEFAULT_OF_EACH: usize = 10;

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
    let chosen = args.class.map(|class| class.choose(args.count, &generator)).transpose()?;
    let count = match (args.count.map(|count| count as usize), &latents, &chosen) {
        (_, _, Some(chosen)) => chosen.count,
        (None, None, _) => DEFAULT_COUNT,
        (None, Some(latents), _) => latents.dim(0)?,
        (Some(count), None, _) => count,
        (Some(count), Some(latents), _) if latents.dim(0)? == count => count,
        (Some(count), Some(latents), _) => {
            return Err(usage(format!("--count {count}, but --latents holds {}", latents.dim(0)?)));
        }
    };
    let mut images = match latents {
        Some(latents) => Drawing::of_latents(&generator, latents)?,
        None => Drawing::seeded(&generator, args.seed, count),
    };
    let mut columns = args.columns.map(std::num::NonZero::get);
    if let Some(chosen) = chosen {
        images = images.of_classes(chosen.labels);
        columns = columns.or(chosen.columns);
    }
    images = images.truncated(args.truncation)?;
    let out = &args.out;
    match kind(out)? {
        Kind::Grid => grid(images, columns)?.save_png(out)?,
        Kind::Npy => write_npy(images, out)?,
        Kind::Safetensors => safetensors(images, out)?,
        Kind::Directory => directory(images, out)?,
    }
    tracing::info!("{count} images in {}", out.display());
    Ok(End::Done)
}

/// The images that `--class` selects: how many, of which classes, and the columns of their grid if
/// the classes determine them.
struct Chosen {
    labels: Labels,
    count: usize,
    columns: Option<usize>,
}

impl args::Class {
    /// Selects `count` images of one class, or of each class. In the second case the grid has one
    /// row per class.
    fn choose(self, count: Option<u32>, generator: &Generator) -> Result<Chosen> {
        let Some(classes) = generator.config().latents().classes() else {
            return Err(usage("--class: this generator was trained without classes (model.classes)"));
        };
        let count = count.map(|count| count as usize);
        Ok(match self {
            Self::One(class) if usize::from(class) < classes => {
                Chosen { labels: Labels::One(class), count: count.unwrap_or(DEFAULT_COUNT), columns: None }
            }
            Self::One(class) => {
                return Err(usage(format!("--class {class}: the generator knows 0 to {}", classes - 1)));
            }
            Self::All => {
                let each = count.unwrap_or(DEFAULT_OF_EACH);
                Chosen { labels: Labels::Rows(each), count: classes * each, columns: Some(each) }
            }
        })
    }
}

/// The file of the generator: `from` itself, or the generator of the run `from`.
pub(super) fn locate(from: &Path) -> Result<PathBuf> {
    if !from.is_dir() {
        return Ok(from.to_owned());
    }
    let file = run_dir::generator_to_draw_from(from);
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

fn grid(images: Drawing<'_>, columns: Option<usize>) -> Result<Grid> {
    let [count, channels, height, width] = images.shape();
    let columns = columns.unwrap_or_else(|| draw::columns(count));
    let mut grid = GridBuilder::new(count, columns, channels, height, width)?;
    for chunk in images.chunks() {
        grid.push(&chunk?)?;
    }
    Ok(grid.finish())
}

fn write_npy(images: Drawing<'_>, out: &Path) -> Result<()> {
    let shape = images.shape().map(|n| n as u64);
    let at = || out.display().to_string();
    let mut file = AtomicFile::create(out)?;
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut writer = options.writer(&mut file).begin_nd().with_context(at)?;
    for chunk in images.chunks() {
        writer.extend(chunk?.flatten_all()?.to_vec1::<f32>()?).with_context(at)?;
    }
    writer.finish().with_context(at)?;
    Ok(file.commit()?)
}

/// Writes the file without the library, whose writer needs the whole tensor at once. The format is
/// a length, a JSON header padded with spaces to a multiple of 8, and the bytes.
fn safetensors(images: Drawing<'_>, out: &Path) -> Result<()> {
    let shape = images.shape();
    // This cannot overflow: --count has 32 bits, the number of classes 8, and an image at most 18.
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

fn directory(images: Drawing<'_>, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let digits = (images.count() - 1).to_string().len();
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
    let latents = generator.config().latents();
    let width = latents.width();
    let expected = match latents.classes() {
        Some(classes) => format!("f32 [N, {width}], the last {classes} a 1 for the class and zeros,"),
        None => format!("f32 [N, {width}]"),
    };
    let fits = |shape: &[u64]| matches!(shape, [n, dim] if *n > 0 && *dim == width as u64);
    let (shape, values) = npy::read_f32(path, &expected, fits).with_context(at)?;
    Ok(Tensor::from_vec(values, shape, device)?)
}
