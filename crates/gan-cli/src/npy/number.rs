//! The numbers that an array can hold.

use half::f16;
use std::fmt;

/// How one number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    kind: Kind,
    size: usize,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Signed,
    Unsigned,
    Bool,
}

impl Number {
    /// Reads numpy's `descr`, such as `<f4`. `None` if it is no real number of at most 64 bits.
    pub(super) fn parse(descr: &str) -> Option<Self> {
        let mut characters = descr.chars();
        let (order, kind) = (characters.next()?, characters.next()?);
        let size = characters.as_str().parse().ok()?;
        let kind = match (kind, size) {
            ('f', 2 | 4 | 8) => Kind::Float,
            ('i', 1 | 2 | 4 | 8) => Kind::Signed,
            ('u', 1 | 2 | 4 | 8) => Kind::Unsigned,
            ('b', 1) => Kind::Bool,
            _ => return None,
        };
        // A single byte has no order, and numpy writes `|` for it.
        let big_endian = match order {
            '<' => false,
            '>' => true,
            '|' if size == 1 => false,
            _ => return None,
        };
        Some(Self { kind, size, big_endian })
    }

    pub(crate) fn kind(self) -> Kind {
        self.kind
    }

    /// Number of bytes.
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// The value of `size` bytes. Only integers beyond 2^53 are rounded.
    pub(super) fn value(self, bytes: &[u8]) -> f64 {
        let mut little = [0; 8];
        little[..self.size].copy_from_slice(bytes);
        if self.big_endian {
            little[..self.size].reverse();
        }
        let bits = u64::from_le_bytes(little);
        match (self.kind, self.size) {
            (Kind::Float, 2) => f16::from_bits(bits as u16).to_f64(),
            (Kind::Float, 4) => f32::from_bits(bits as u32).into(),
            (Kind::Float, _) => f64::from_bits(bits),
            (Kind::Signed, size) => {
                // The shifts fill the upper bytes with the sign.
                let unused = 64 - 8 * size;
                ((bits << unused).cast_signed() >> unused) as f64
            }
            (Kind::Unsigned, _) => bits as f64,
            (Kind::Bool, _) => f64::from(u8::from(bits != 0)),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            Kind::Float => 'f',
            Kind::Signed => 'i',
            Kind::Unsigned => 'u',
            Kind::Bool => return f.write_str("bool"),
        };
        write!(f, "{letter}{}", 8 * self.size)
    }
}
