//! Tensors with one row for each image, in the form that the metrics read. A tensor is checked
//! once and then read as a slice.

use crate::{MetricsError, Result};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use std::ops::{Deref, Range};

/// Largest magnitude of a number. With larger numbers, sums of squares do not fit in f32, in which
/// distances are screened.
const LARGEST: f32 = 1e15;

/// `[N, D]`: f32, contiguous, on the CPU, finite, D not 0.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    tensor: Tensor,
    count: usize,
    width: usize,
}

/// All values of [`Rows`], row by row.
pub(crate) struct Values<'a> {
    /// candle's guard. Its type belongs to another crate.
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    range: Range<usize>,
}

impl Rows {
    /// # Errors
    /// Another rank or type, fewer than `least` rows, a number that is not finite or beyond 1e15.
    pub(crate) fn new(what: &'static str, tensor: &Tensor, least: usize) -> Result<Self> {
        let wrong = |expected: &str| {
            let found = format!("{:?} {:?}", tensor.dtype(), tensor.dims());
            MetricsError::input(what, expected, found)
        };
        let &[count, width] = tensor.dims() else { return Err(wrong("[N, D]")) };
        if tensor.dtype() != DType::F32 || width == 0 {
            return Err(wrong("f32 [N, D], D at least 1"));
        }
        if count < least {
            return Err(MetricsError::input(what, format!("at least {least} rows"), count));
        }
        let tensor = tensor.detach().to_device(&Device::Cpu)?.contiguous()?;
        let rows = Self { tensor, count, width };
        let unfit = rows.values().iter().copied().find(|v| v.is_nan() || v.abs() > LARGEST);
        match unfit {
            Some(value) => Err(MetricsError::input(what, "finite numbers up to 1e15 in size", value)),
            None => Ok(rows),
        }
    }

    /// Number of rows.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Numbers in a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn values(&self) -> Values<'_> {
        let (storage, layout) = self.tensor.storage_and_layout();
        let start = layout.start_offset();
        Values { storage: Box::new(storage), range: start..start + self.count * self.width }
    }

    /// A copy with only the rows at `indices`.
    pub(crate) fn select(&self, indices: &[u32]) -> Result<Self> {
        let indices = Tensor::new(indices, &Device::Cpu)?;
        let tensor = self.tensor.index_select(&indices, 0)?;
        Ok(Self { count: tensor.dim(0)?, tensor, width: self.width })
    }

    /// A copy in f64.
    pub(crate) fn to_f64(&self) -> Result<Tensor> {
        Ok(self.tensor.to_dtype(DType::F64)?)
    }

    /// Refuses rows of another width.
    pub(crate) fn check_width(&self, what: &'static str, width: usize) -> Result<()> {
        if self.width == width {
            return Ok(());
        }
        Err(MetricsError::input(what, format!("rows of {width}"), self.width))
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &**self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.range.clone()],
            _ => unreachable!("Rows::new lets nothing else through"),
        }
    }
}

/// One of the rows of `width` values.
pub(crate) fn row(values: &[f32], width: usize, index: usize) -> &[f32] {
    &values[index * width..][..width]
}

/// The squared Euclidean distance of two rows, in f64. It is the same for (a, b) and (b, a), to
/// the last bit.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    // Several sums run in parallel: as many as one instruction can hold. In a single sum, each
    // addition would wait for the one before it.
    const SUMS: usize = 8;
    let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
    let mut sums = [0.; SUMS];
    for (a, b) in a.iter().zip(b) {
        for (sum, pair) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += square(pair);
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(square).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_views_in_their_order() -> Result<()> {
        let tensor = Tensor::arange(0f32, 12., &Device::Cpu)?.reshape((3, 4))?;
        let transposed = Rows::new("points", &tensor.t()?, 1)?;
        assert_eq!((transposed.count(), transposed.width()), (4, 3));
        assert_eq!(transposed.values()[..6], [0., 4., 8., 1., 5., 9.]);
        let narrowed = Rows::new("points", &tensor.narrow(0, 1, 2)?, 1)?;
        assert_eq!(row(&narrowed.values(), 4, 1), [8., 9., 10., 11.]);
        assert_eq!(narrowed.values().len(), 8);
        assert_eq!(narrowed.select(&[1, 1, 0])?.values()[4..], [8., 9., 10., 11., 4., 5., 6., 7.]);
        Ok(())
    }

    #[test]
    fn what_no_metric_can_take_is_named() -> Result<()> {
        let device = Device::Cpu;
        let message = |tensor: &Tensor| Rows::new("points", tensor, 2).map(|_| ()).unwrap_err().to_string();
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e15] {
            let message = message(&Tensor::new(&[[0f32, 1.], [value, 1.]], &device)?);
            assert!(message.starts_with("points: expected finite numbers"), "{message}");
        }
        assert!(message(&Tensor::new(&[[0f32, 1.]], &device)?).contains("at least 2 rows, found 1"));
        assert!(message(&Tensor::new(&[0f32, 1.], &device)?).contains("expected [N, D], found F32 [2]"));
        assert!(message(&Tensor::new(&[[0f64], [1.]], &device)?).contains("F64 [2, 1]"));
        assert!(message(&Tensor::zeros((2, 0), DType::F32, &device)?).contains("D at least 1"));
        Ok(())
    }

    #[test]
    fn distances_of_every_width() {
        for width in 1..20 {
            let a: Vec<f32> = (0..width).map(|i| i as f32).collect();
            let b = vec![-1f32; width];
            let expected: f64 = (0..width).map(|i| (i as f64 + 1.).powi(2)).sum();
            assert!((squared_distance(&a, &b) - expected).abs() < 1e-9, "{width}");
        }
        // In f32 the difference of the squares would be 0.
        assert!((squared_distance(&[4096.], &[4096.001]) - 0.000_976_562_5f64.powi(2)).abs() < 1e-12);
    }
}
