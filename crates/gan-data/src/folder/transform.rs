//! What becomes of a picture before it is resized: which part is kept, and what is behind its
//! transparent parts.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::{DataError, Result};

/// How the pictures of a folder become square and opaque.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transform {
    /// The part of each picture that is kept.
    pub crop: Crop,
    /// The colour behind transparent parts. Black if it is absent. An archive whose pictures already have
    /// a background refuses another one.
    pub background: Option<Background>,
}

impl Transform {
    /// The colour behind transparent parts.
    pub(crate) fn behind(self) -> Background {
        self.background.unwrap_or_default()
    }
}

/// The square part of a picture that is kept. It is cut out of the upright picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub enum Crop {
    /// The largest square in the centre.
    #[default]
    Centre,
    /// The square of so many pixels in the centre. For the 178x218 pictures of `CelebA`, 148 is
    /// usual.
    Side(u32),
    /// The square of `side` pixels whose upper left pixel is at `left` and `top`, from 0.
    Square {
        /// Columns of pixels to the left of it.
        left: u32,
        /// Rows of pixels above it.
        top: u32,
        /// Its width and height.
        side: u32,
    },
}

/// The forms that a configuration has for a [`Crop`].
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"centre\", a number of pixels, or { left, top, side }")]
enum Form {
    Name(CentreName),
    Side(u32),
    Square(SquareForm),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CentreName {
    #[serde(alias = "center")]
    Centre,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SquareForm {
    left: u32,
    top: u32,
    side: u32,
}

impl From<Form> for Crop {
    fn from(form: Form) -> Self {
        match form {
            Form::Name(CentreName::Centre) => Self::Centre,
            Form::Side(side) => Self::Side(side),
            Form::Square(SquareForm { left, top, side }) => Self::Square { left, top, side },
        }
    }
}

impl From<Crop> for Form {
    fn from(crop: Crop) -> Self {
        match crop {
            Crop::Centre => Self::Name(CentreName::Centre),
            Crop::Side(side) => Self::Side(side),
            Crop::Square { left, top, side } => Self::Square(SquareForm { left, top, side }),
        }
    }
}

impl Crop {
    /// Checks what can be checked without a picture.
    ///
    /// # Errors
    ///
    /// If the square has no pixels.
    pub(crate) fn validate(self) -> Result<()> {
        match self {
            Self::Side(0) | Self::Square { side: 0, .. } => Err(DataError::Value {
                field: "data.crop",
                expected: "a side of at least 1".to_owned(),
                found: "0".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Left, top and side of the kept square of a picture. `None` if it is not within the picture.
    pub(super) fn within(self, width: u32, height: u32) -> Option<(u32, u32, u32)> {
        let centred = |side: u32| Some((width.checked_sub(side)? / 2, height.checked_sub(side)? / 2, side));
        match self {
            Self::Centre => centred(width.min(height)),
            Self::Side(side) => centred(side),
            Self::Square { left, top, side } => {
                let fits = left.checked_add(side)? <= width && top.checked_add(side)? <= height;
                fits.then_some((left, top, side))
            }
        }
    }
}

/// The colour behind the transparent parts of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Red, green and blue.
    Color([u8; 3]),
    /// The mean colour of all opaque pixels of all pictures. A pixel that is partly transparent
    /// counts in part.
    Mean,
}

/// Colours with a name.
const NAMES: [(&str, Background); 3] =
    [("black", Background::BLACK), ("white", Background::Color([255; 3])), ("mean", Background::Mean)];

impl Background {
    /// The default, as in programs that drop the transparency of pictures.
    pub const BLACK: Self = Self::Color([0; 3]);
}

/// As options of programs have it: `centre`, `SIDE` or `LEFT,TOP,SIDE`.
impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Centre => f.write_str("centre"),
            Self::Side(side) => write!(f, "{side}"),
            Self::Square { left, top, side } => write!(f, "{left},{top},{side}"),
        }
    }
}

/// The inverse of its [`Display`](fmt::Display).
impl FromStr for Crop {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Option<Vec<u32>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        let crop = match (text, numbers.as_deref()) {
            ("centre" | "center", _) => Some(Self::Centre),
            (_, Some(&[side])) => Some(Self::Side(side)),
            (_, Some(&[left, top, side])) => Some(Self::Square { left, top, side }),
            _ => None,
        };
        let crop = crop.ok_or_else(|| DataError::Value {
            field: "data.crop",
            expected: "centre, a number of pixels, or LEFT,TOP,SIDE".to_owned(),
            found: text.to_owned(),
        })?;
        crop.validate()?;
        Ok(crop)
    }
}

impl Default for Background {
    fn default() -> Self {
        Self::BLACK
    }
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMES.iter().find(|(_, background)| background == self), self) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Self::Color([red, green, blue])) => write!(f, "#{red:02x}{green:02x}{blue:02x}"),
            (None, Self::Mean) => f.write_str("mean"),
        }
    }
}

impl FromStr for Background {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((_, background)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*background);
        }
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let is_hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = digits.filter(is_hex).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let value = value.ok_or_else(|| DataError::Value {
            field: "data.background",
            expected: "black, white, mean, or a colour such as #ff8000".to_owned(),
            found: text.to_owned(),
        })?;
        let [_, red, green, blue] = value.to_be_bytes();
        Ok(Self::Color([red, green, blue]))
    }
}

impl Serialize for Background {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            de::Error::custom(format!(
                "expected \"black\", \"white\", \"mean\" or a colour such as \"#ff8000\", found {text:?}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backgrounds_are_named_or_written_in_hexadecimal() {
        for (text, background) in [
            ("black", Background::Color([0; 3])),
            ("white", Background::Color([255; 3])),
            ("mean", Background::Mean),
            ("#0a80ff", Background::Color([10, 128, 255])),
        ] {
            assert_eq!(text.parse::<Background>().unwrap(), background);
            assert_eq!(background.to_string(), text);
        }
        for text in ["", "red", "#fff", "#00000g", "#+00000", "ffffff"] {
            let error = text.parse::<Background>().unwrap_err().to_string();
            assert!(error.starts_with("data.background: expected black, white, mean"), "{error}");
        }
    }

    #[test]
    fn squares_lie_within_the_picture() {
        assert_eq!(Crop::Centre.within(178, 218), Some((0, 20, 178)));
        assert_eq!(Crop::Side(148).within(178, 218), Some((15, 35, 148)));
        assert_eq!(Crop::Side(179).within(178, 218), None);
        let square = |left, top, side| Crop::Square { left, top, side }.within(178, 218);
        assert_eq!(square(30, 70, 148), Some((30, 70, 148)));
        assert_eq!(square(31, 70, 148), None);
        assert_eq!(square(u32::MAX, 0, 2), None);
    }

    #[test]
    fn crops_have_three_forms() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Table {
            crop: Crop,
        }
        let read = |text: &str| toml::from_str::<Table>(text);
        let square = Crop::Square { left: 1, top: 2, side: 3 };
        for (text, crop) in [
            ("crop = \"centre\"", Crop::Centre),
            ("crop = \"center\"", Crop::Centre),
            ("crop = 148", Crop::Side(148)),
            ("crop = { left = 1, top = 2, side = 3 }", square),
        ] {
            assert_eq!(read(text).unwrap(), Table { crop });
            assert_eq!(read(&toml::to_string(&Table { crop }).unwrap()).unwrap(), Table { crop });
        }
        for text in ["crop = \"left\"", "crop = -1", "crop = { left = 1, top = 2 }"] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains("expected \"centre\", a number of pixels, or { left, top, side }"),
                "{error}"
            );
        }
    }
}
