//! The file of `--latents`.

use crate::exit::usage;
use crate::npy;
use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gan_models::Generator;
use std::path::Path;

/// Reads rows for the generator. They contain their classes if the generator has classes and
/// `--class` does not give them.
pub(super) fn read(path: &Path, has_class: bool, generator: &Generator, device: &Device) -> Result<Tensor> {
    let at = || format!("--latents {}", path.display());
    let (latents, dim) = (generator.config().latents(), generator.config().latent_dim);
    let (width, expected) = match (latents.classes(), has_class) {
        (None, _) => (dim, format!("floats [N, {dim}]")),
        (Some(_), true) => (dim, format!("floats [N, {dim}] with --class")),
        (Some(classes), false) => {
            let width = latents.width();
            let and = format!("the last {classes} a 1 for the class and zeros, or [N, {dim}] with --class");
            (width, format!("floats [N, {width}], {and}"))
        }
    };
    let array = npy::read(path, |header| {
        let fits = matches!(header.shape[..], [n, side] if n > 0 && side == width as u64);
        if !fits || header.number.kind() != npy::Kind::Float {
            bail!("expected {expected}, found {header}");
        }
        Ok(())
    });
    let values = array.with_context(at)?.values;
    if width > dim {
        for (index, row) in values.chunks(width).enumerate() {
            check_class(&row[dim..], dim).with_context(|| format!("{}: row {index} (from 0)", at()))?;
        }
    }
    let rows = values.len() / width;
    Ok(Tensor::from_vec(values, (rows, width), device)?)
}

/// Checks that the last values of a row are a 1 for the class and zeros, or shares of several classes. Rows
/// in another order would be drawn as noise. `dim` is the length of the latent before them.
fn check_class(class: &[f32], dim: usize) -> Result<()> {
    let sum: f32 = class.iter().sum();
    if class.iter().all(|share| (0. ..=1.).contains(share)) && (sum - 1.).abs() < 1e-3 {
        return Ok(());
    }
    let ones = class.iter().filter(|value| **value > 0.).count();
    let other = class.iter().find(|value| ![0., 1.].contains(*value));
    let found = match (other, ones) {
        (Some(other), _) => other.to_string(),
        (None, 0) => "zeros only".to_owned(),
        (None, ones) => format!("{ones} ones"),
    };
    Err(usage(format!(
        "expected a single 1 and zeros in the last {} values, found {found} (the latent comes first, then \
         the class, or shares of classes that add up to 1; [N, {dim}] with --class is simpler)",
        class.len()
    )))
}
