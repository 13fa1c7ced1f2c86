//! Reads `.npy` files that other programs wrote.

use anyhow::{Result, bail};
use npyz::{DType, NpyFile, Order};
use std::path::Path;

/// Reads finite f32 values. The shape must satisfy `fits`. `expected` describes such shapes in
/// words.
pub(crate) fn read_f32(
    path: &Path,
    expected: &str,
    fits: impl Fn(&[u64]) -> bool,
) -> Result<(Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path)?;
    let npy = open(&bytes)?;
    let is_f32 = npy.dtype() == DType::new_scalar("<f4".parse()?);
    let (shape, values) = if is_f32 && fits(npy.shape()) && npy.order() == Order::C {
        (npy.shape().iter().map(|&side| side as usize).collect(), npy.into_vec::<f32>()?)
    } else {
        bail!(
            "expected {expected} in C order, found {} {:?} in {:?} order",
            npy.dtype().descr(),
            npy.shape(),
            npy.order()
        )
    };
    if !values.iter().all(|v| v.is_finite()) {
        bail!("holds NaN or infinity");
    }
    Ok((shape, values))
}

/// The images of a file.
pub(crate) struct Array {
    /// Shape `[N, C, S, S]`.
    pub(crate) shape: [usize; 4],
    pub(crate) values: Vec<f32>,
    /// Whether the values were whole numbers from 0 to 255 (u8).
    pub(crate) bytes: bool,
}

/// Reads finite f32, f64 or u8 values of shape `[N, C, S, S]` or `[N, S, S]`, where C is 1 or 3.
pub(crate) fn read_images(path: &Path) -> Result<Array> {
    let bytes = std::fs::read(path)?;
    let npy = open(&bytes)?;
    let sides: Vec<usize> = npy.shape().iter().map(|&side| side as usize).collect();
    let shape = match sides[..] {
        [n, height, width] if height == width => Some([n, 1, height, width]),
        [n, channels @ (1 | 3), height, width] if height == width => Some([n, channels, height, width]),
        _ => None,
    };
    let dtype = npy.dtype();
    let is = |name: &str| anyhow::Ok(dtype == DType::new_scalar(name.parse()?));
    let known = is("<f4")? || is("<f8")? || is("|u1")?;
    let Some(shape) = shape.filter(|shape| known && shape[0] > 0 && shape[2] > 0 && npy.order() == Order::C)
    else {
        bail!(
            "expected f32, f64 or u8 [N, C, S, S] or [N, S, S] in C order with C 1 or 3, found {} \
             {sides:?} in {:?} order",
            dtype.descr(),
            npy.order()
        )
    };
    let is_bytes = is("|u1")?;
    let values: Vec<f32> = if is("<f4")? {
        npy.into_vec()?
    } else if is_bytes {
        npy.into_vec::<u8>()?.into_iter().map(f32::from).collect()
    } else {
        npy.into_vec::<f64>()?.into_iter().map(|v| v as f32).collect()
    };
    if !values.iter().all(|v| v.is_finite()) {
        bail!("holds NaN or infinity");
    }
    Ok(Array { shape, values, bytes: is_bytes })
}

/// Opens a file after a check that it is as long as its header says.
fn open(bytes: &[u8]) -> Result<NpyFile<&[u8]>> {
    let all = |sides: &mut dyn Iterator<Item = u64>| sides.fold(1, u64::saturating_mul);
    let check = |elements: u64| {
        if elements > bytes.len() as u64 {
            bail!("truncated, or its header announces more than it holds");
        }
        Ok(())
    };
    // Reads the shape as numpy writes it, before npyz reads it, because npyz multiplies the sides
    // without a check for overflow.
    let header = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).into_owned();
    if let Some((shape, _)) = header.split_once("'shape':").and_then(|(_, rest)| rest.split_once(')')) {
        let sides = shape.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
        check(all(&mut sides.map(|side| side.parse().unwrap_or(u64::MAX))))?;
    }
    let npy = NpyFile::new(bytes)?;
    check(all(&mut npy.shape().iter().copied()))?;
    Ok(npy)
}
