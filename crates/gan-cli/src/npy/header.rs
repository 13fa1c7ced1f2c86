//! The header of an array: magic bytes, a version, a length, and a Python dictionary as text.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use super::number::Number;
use super::truncated;
use anyhow::{Context, Result, anyhow, bail};
use std::fmt;
use std::io::Read;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The largest length of the dictionary. numpy's own reader stops at 10,000 characters.
const MAX_LENGTH: usize = 64 << 10;
/// The largest number of dimensions in numpy.
const MAX_DIMENSIONS: usize = 64;

/// What a file says about its array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: Number,
    pub(crate) shape: Vec<u64>,
    /// Whether the first index changes fastest.
    pub(super) fortran: bool,
    /// Number of bytes in front of the values.
    pub(super) length: u64,
}

/// Names the numbers and the shape: `f32 [3, 8]`.
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.number, self.shape)
    }
}

impl Header {
    /// Reads a header from its first byte to its last.
    pub(crate) fn read(input: &mut dyn Read) -> Result<Self> {
        let mut start = [0; 8];
        input.read_exact(&mut start).map_err(truncated)?;
        let version = start[6];
        if !start.starts_with(MAGIC) || !(1..=3).contains(&version) {
            bail!("is not a .npy file of version 1 to 3");
        }
        let mut length = [0; 4];
        let width = if version == 1 { 2 } else { 4 };
        input.read_exact(&mut length[..width]).map_err(truncated)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_LENGTH {
            bail!("expected a header of at most {MAX_LENGTH} bytes, found {length}");
        }
        let mut text = vec![0; length];
        input.read_exact(&mut text).map_err(truncated)?;
        let text = String::from_utf8_lossy(&text);
        let Dictionary { descr, fortran, shape } = Dictionary::parse(&text).ok_or_else(|| {
            let found: String = text.trim_end().chars().take(100).collect();
            anyhow!(
                "expected a header {{'descr': ..., 'fortran_order': ..., 'shape': ...}} of plain numbers, \
                 found {found:?}"
            )
        })?;
        let number = Number::parse(descr).with_context(|| {
            format!("expected floats (f16, f32, f64), integers or booleans, found numpy's type {descr:?}")
        })?;
        Ok(Self { number, shape, fortran, length: (start.len() + width + length) as u64 })
    }
}

/// The bytes in front of f32 values in C order, in the form that numpy writes.
pub(crate) fn written(shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sides.join(" "));
    // The values begin at a multiple of 64 bytes. The last byte before them ends the line.
    let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64);
    let mut bytes =
        [MAGIC, &[1, 0], &((length - MAGIC.len() - 4) as u16).to_le_bytes(), text.as_bytes()].concat();
    bytes.resize(length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

struct Dictionary<'a> {
    descr: &'a str,
    fortran: bool,
    shape: Vec<u64>,
}

impl<'a> Dictionary<'a> {
    /// Parses the only form that an array of plain numbers has. The three keys may be in any order.
    /// `None` if the text is anything else.
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = Rest(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        rest.take("{")?;
        while rest.take("}").is_none() {
            let key = rest.string()?;
            rest.take(":")?;
            let is_first = match key {
                "descr" => descr.replace(rest.string()?).is_none(),
                "fortran_order" => fortran.replace(rest.boolean()?).is_none(),
                "shape" => shape.replace(rest.tuple()?).is_none(),
                _ => false,
            };
            is_first.then_some(())?;
            if rest.take(",").is_none() {
                rest.take("}")?;
                break;
            }
        }
        let is_whole = rest.0.trim().is_empty();
        is_whole.then_some(Self { descr: descr?, fortran: fortran?, shape: shape? })
    }
}

/// The text that is not parsed yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Takes `token` and the spaces in front of it.
    fn take(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = ["'", "\""].into_iter().find(|quote| self.take(quote).is_some())?;
        let (string, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.take("True") {
            Some(()) => Some(true),
            None => self.take("False").map(|()| false),
        }
    }

    /// A tuple of sizes: `()`, `(3,)`, `(3, 8)`.
    fn tuple(&mut self) -> Option<Vec<u64>> {
        let mut sides = vec![];
        self.take("(")?;
        while self.take(")").is_none() {
            self.0 = self.0.trim_start();
            let digits = self.0.find(|c: char| !c.is_ascii_digit())?;
            sides.push(self.0[..digits].parse().ok()?);
            self.0 = &self.0[digits..];
            // Python 2 wrote long integers so.
            let _ = self.take("L");
            if self.take(",").is_none() {
                self.take(")")?;
                // `(3)` is a number and no tuple in Python.
                return (sides.len() > 1).then_some(sides);
            }
            if sides.len() > MAX_DIMENSIONS {
                return None;
            }
        }
        Some(sides)
    }
}
