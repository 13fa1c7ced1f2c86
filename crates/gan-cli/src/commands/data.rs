//! `gan-cli data`.

use crate::args::{self, DataCommand, DataName, HubName};
use crate::exit::End;
use anyhow::Result;
use gan_data::mnist::{self, Name};
use gan_data::{DataConfig, DataError, Dataset, Range, Source, Split};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Of a folder's images when only their number is asked for; nothing is trained at this size.
const FOLDER_SIZE: usize = 64;

pub(crate) fn run(args: &args::Data) -> Result<End> {
    match &args.command {
        DataCommand::Info { name, data_dir } => info(*name, data_dir.clone())?,
        DataCommand::Download { name, out } => download(*name, out)?,
    }
    Ok(End::Done)
}

fn info(name: Option<DataName>, dir: Option<PathBuf>) -> Result<()> {
    let dir = dir.or_else(|| std::env::var_os("GAN_DATA_DIR").filter(|d| !d.is_empty()).map(Into::into));
    let source = match name {
        Some(name) => name.into(),
        None if dir.is_some() => Source::Mnist,
        None => Source::Mnist5k,
    };
    let dir = if source == Source::Mnist5k { None } else { dir };
    let config =
        DataConfig { name: source, batch_size: 1, dir: dir.clone(), range: Range::default(), limit: None };
    let (size, channels) = match source {
        Source::Folder => (FOLDER_SIZE, 3),
        Source::StackedMnist => (28, 3),
        Source::Mnist5k | Source::Mnist | Source::FashionMnist => (28, 1),
    };

    let mut text = String::new();
    let splits: &[Split] = match source {
        Source::Mnist | Source::FashionMnist | Source::StackedMnist => &[Split::Train, Split::Test],
        Source::Mnist5k | Source::Folder => &[Split::Train],
    };
    for &split in splits {
        match config.load(split, size, channels) {
            // Training needs no test split.
            Err(DataError::MissingFile { dir, .. }) if split == Split::Test => {
                writeln!(text, "test: no files in {}", dir.display())?;
            }
            data => describe(&mut text, split, &data?)?,
        }
    }
    if source == Source::StackedMnist {
        writeln!(text, "An image is one of 1000 modes: a digit in each of red, green and blue.")?;
    }
    if let (Source::Mnist | Source::StackedMnist, Some(dir)) = (source, &dir) {
        text.push_str(&canonical(dir)?);
    }
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn describe(text: &mut String, split: Split, data: &Dataset) -> Result<()> {
    let (size, channels) = (data.size(), if data.channels() == 1 { "gray" } else { "RGB" });
    writeln!(text, "{} {}: {} images, {size}x{size} {channels}", data.name(), split.as_str(), data.len())?;
    writeln!(text, "  from     {}", data.source())?;
    if let Some(counts) = data.class_counts() {
        let counts: Vec<_> = counts.iter().enumerate().map(|(class, n)| format!("{class}: {n}")).collect();
        writeln!(text, "  classes  {}", counts.join("  "))?;
    }
    Ok(())
}

fn canonical(dir: &Path) -> Result<String> {
    let checks = mnist::canonical(dir)?;
    let mut text = String::new();
    for check in &checks {
        let verdict = if check.canonical { "canonical" } else { "not canonical" };
        let hash = check.sha256.as_deref().unwrap_or("missing,");
        writeln!(text, "  {:<24} {hash} {verdict}", check.file)?;
    }
    let all = checks.iter().all(|check| check.canonical);
    writeln!(
        text,
        "{}",
        if all { "This is the canonical MNIST." } else { "This is not the canonical MNIST." }
    )?;
    Ok(text)
}

#[cfg(feature = "hub")]
fn download(name: HubName, out: &Path) -> Result<()> {
    use anyhow::Context;
    use gan_data::idx::{self, IdxImages};
    let name = match name {
        HubName::Mnist => Name::Mnist,
        HubName::FashionMnist => Name::FashionMnist,
    };
    for (split, prefix) in [(Split::Train, "train"), (Split::Test, "t10k")] {
        let data = gan_data::hub::load(name, split)?;
        std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
        let pixels = (0..data.len()).flat_map(|index| data.image(index).into_owned()).collect();
        let images = IdxImages { count: data.len(), rows: 28, cols: 28, pixels };
        idx::write_images_gz(out.join(format!("{prefix}-images-idx3-ubyte.gz")), &images)?;
        let labels = data.labels().unwrap_or_default();
        idx::write_labels_gz(out.join(format!("{prefix}-labels-idx1-ubyte.gz")), labels)?;
        tracing::info!("{} {}: {} images in {}", name.as_str(), split.as_str(), data.len(), out.display());
    }
    Ok(())
}

#[cfg(not(feature = "hub"))]
fn download(name: HubName, _: &Path) -> Result<()> {
    let name = match name {
        HubName::Mnist => Name::Mnist,
        HubName::FashionMnist => Name::FashionMnist,
    };
    Err(gan_data::DataError::NoHub { name: name.as_str() }.into())
}
