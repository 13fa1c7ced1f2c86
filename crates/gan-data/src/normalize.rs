//! Converts bytes to the numbers that a network uses, and back.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{DataError, Result};

/// The range that pixels are mapped to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// `[-1, 1]`, the range of a generator that ends in Tanh.
    #[default]
    MinusOneOne,
    /// `[0, 1]`. It exists only to show a mistake: a discriminator recognizes a Tanh generator by
    /// its black pixels alone.
    ZeroOne,
}

impl Range {
    /// Its smallest and its largest value.
    #[must_use]
    pub fn ends(self) -> [f32; 2] {
        [u8::MIN, u8::MAX].map(|byte| self.map(byte))
    }

    fn map(self, byte: u8) -> f32 {
        match self {
            Self::MinusOneOne => to_unit(byte),
            Self::ZeroOne => f32::from(byte) / 255.0,
        }
    }
}

/// Maps a byte to `[-1, 1]`: `x / 127.5 - 1`.
#[must_use]
pub fn to_unit(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// Maps `[-1, 1]` to the nearest byte. It is the exact inverse of [`to_unit`]. Values outside are
/// clamped, and NaN becomes 0.
#[must_use]
pub fn from_unit(value: f32) -> u8 {
    // `as` saturates, and converts NaN to 0.
    ((value + 1.0) * 127.5).round() as u8
}

/// Puts `pixels: [n, c, h, w]` on `device` as f32 of the same shape, in `range`.
///
/// # Errors
///
/// If the number of pixels does not match the shape, or the tensor cannot be created on the device.
pub fn to_tensor(
    pixels: &[u8],
    shape: (usize, usize, usize, usize),
    range: Range,
    device: &Device,
) -> Result<Tensor> {
    let table: [f32; 256] = std::array::from_fn(|byte| range.map(byte as u8));
    let values: Vec<f32> = pixels.iter().map(|&byte| table[usize::from(byte)]).collect();
    Ok(Tensor::from_vec(values, shape, device)?)
}

/// Converts `images: [N, C, H, W]` of any float type in `[-1, 1]` to bytes in the same order.
///
/// # Errors
///
/// If `images` does not have four dimensions, or cannot be copied to the CPU.
pub fn from_tensor(images: &Tensor) -> Result<Vec<u8>> {
    if images.rank() != 4 {
        return Err(DataError::Value {
            field: "images",
            expected: "a tensor [N, C, H, W]".to_owned(),
            found: format!("{:?}", images.dims()),
        });
    }
    let values = images.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    Ok(values.into_iter().map(from_unit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255 {
            assert_eq!(from_unit(to_unit(byte)), byte);
        }
        assert_eq!((to_unit(0), to_unit(255)), (-1.0, 1.0));
    }

    #[test]
    fn values_outside_are_clamped_and_nan_is_black() {
        let given = [-1.5, f32::NEG_INFINITY, 1.5, f32::INFINITY, f32::NAN, 0.0];
        assert_eq!(given.map(from_unit), [0, 0, 255, 255, 0, 128]);
    }

    #[test]
    fn tensors_keep_shape_and_order() {
        let pixels: Vec<u8> = (0..24).map(|n| n * 10).collect();
        let tensor = to_tensor(&pixels, (2, 3, 2, 2), Range::MinusOneOne, &Device::Cpu).unwrap();
        assert_eq!((tensor.dims(), tensor.dtype()), (&[2, 3, 2, 2][..], DType::F32));
        assert_eq!(from_tensor(&tensor).unwrap(), pixels);
        assert_eq!(from_tensor(&tensor.to_dtype(DType::F64).unwrap()).unwrap(), pixels);
        let swapped = tensor.transpose(2, 3).unwrap();
        assert_eq!(&from_tensor(&swapped).unwrap()[..4], [0, 20, 10, 30]);

        assert!(to_tensor(&pixels, (2, 3, 2, 3), Range::MinusOneOne, &Device::Cpu).is_err());
        let error = from_tensor(&tensor.flatten_all().unwrap()).unwrap_err().to_string();
        assert_eq!(error, "images: expected a tensor [N, C, H, W], found [24]");
    }

    #[test]
    fn the_wrong_range_is_the_one_asked_for() {
        let tensor = to_tensor(&[0, 51, 255], (1, 1, 1, 3), Range::ZeroOne, &Device::Cpu).unwrap();
        assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.2, 1.0]);
    }
}
