//! numpy's arrays. It reads `.npy` files, and `.npz` files with one array, that other programs
//! wrote.
//!
//! A file is not trusted. Its header is parsed here, strictly and without recursion, and the size
//! that it announces is compared with the file's before any memory is reserved.

mod archive;
mod foreign;
mod header;
mod number;

pub(crate) use header::{Header, written};
pub(crate) use number::Kind;

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;

/// The largest number of values in a file. As f32 they take 4 GiB.
const MAX_VALUES: u64 = 1 << 30;

/// Number of bytes that are read at once. It is a multiple of the size of every number.
const PIECE: usize = 1 << 16;

/// Numbers as f32 in C order (the last index changes fastest), whatever the order in the file.
#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) header: Header,
    pub(crate) values: Vec<f32>,
}

/// Reads a file of finite numbers. `accept` sees the header first and refuses it with an error.
pub(crate) fn read(path: &Path, accept: impl FnOnce(&Header) -> Result<()>) -> Result<Array> {
    // A pipe or device is refused before it is opened, because opening a pipe waits for its writer.
    if !std::fs::metadata(path)?.is_file() {
        bail!("is not a regular file: expected a .npy file");
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut start = vec![];
    file.by_ref().take(foreign::ENOUGH).read_to_end(&mut start)?;
    file.rewind()?;
    match foreign::content(&start) {
        foreign::Content::Npy => array(&mut file, length, accept),
        foreign::Content::Zip => archive::read(file, |input, length| array(input, length, accept)),
        foreign::Content::Other(what) => bail!("{what}"),
    }
}

/// Reads one array of `length` bytes, header included.
fn array(input: &mut dyn Read, length: u64, accept: impl FnOnce(&Header) -> Result<()>) -> Result<Array> {
    let header = Header::read(input)?;
    accept(&header)?;
    let count = header.shape.iter().try_fold(1u64, |count, &side| count.checked_mul(side));
    let bytes = count.and_then(|count| count.checked_mul(header.number.size() as u64));
    match bytes.and_then(|bytes| bytes.checked_add(header.length)) {
        Some(expected) if length == expected => (),
        Some(expected) if length > expected => {
            bail!("expected {expected} bytes for {header}, found {length}: more follows the array")
        }
        expected => {
            let expected = expected.map_or("more than 2^64".to_owned(), |expected| expected.to_string());
            bail!("truncated: expected {expected} bytes for {header}, found {length}")
        }
    }
    let count = count.unwrap_or(u64::MAX);
    if count > MAX_VALUES {
        bail!("expected at most {MAX_VALUES} values (4 GiB as f32), found {count}: {header}");
    }
    let values = values(input, count as usize, &header)?;
    let values = if header.fortran { in_c_order(&values, &header.shape) } else { values };
    Ok(Array { header, values })
}

fn values(input: &mut dyn Read, count: usize, header: &Header) -> Result<Vec<f32>> {
    let (number, mut values) = (header.number, vec![]);
    values
        .try_reserve_exact(count)
        .with_context(|| format!("no memory for the {} MiB of {header} as f32", (count * 4) >> 20))?;
    let mut piece = vec![0; PIECE];
    while values.len() < count {
        let piece = &mut piece[..PIECE.min((count - values.len()) * number.size())];
        input.read_exact(piece).map_err(truncated)?;
        for bytes in piece.chunks_exact(number.size()) {
            let value = number.value(bytes);
            let single = value as f32;
            match (value.is_finite(), single.is_finite()) {
                (false, _) => bail!("holds NaN or infinity"),
                (true, false) => bail!("holds {value:e}, which is too large for f32"),
                (true, true) => values.push(single),
            }
        }
    }
    // In an archive, the end of an entry is also where its checksum is compared.
    if input.read(&mut [0])? > 0 {
        bail!("more follows the array");
    }
    Ok(values)
}

fn truncated(error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::UnexpectedEof { anyhow::anyhow!("truncated") } else { error.into() }
}

/// Moves values from Fortran's order, in which the first index changes fastest, to C's.
fn in_c_order(values: &[f32], shape: &[u64]) -> Vec<f32> {
    let sides: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
    // The distance in `values` between neighbours along each axis.
    let strides: Vec<usize> =
        sides.iter().scan(1, |next, side| Some(std::mem::replace(next, *next * side))).collect();
    let mut index = vec![0; sides.len()];
    let mut from = 0;
    let mut moved = Vec::with_capacity(values.len());
    for _ in values {
        moved.push(values[from]);
        for axis in (0..sides.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < sides[axis] {
                break;
            }
            from -= strides[axis] * sides[axis];
            index[axis] = 0;
        }
    }
    moved
}

#[cfg(test)]
mod tests;
