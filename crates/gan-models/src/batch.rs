//! The inputs and outputs of networks in training.

use candle_core::{DType, Result, Tensor};
use gan_ops::fused::{self, Maps};

/// The input or output of a network: a tensor, or the same values in the form that the CPU's
/// fused layers read.
#[derive(Debug, Clone)]
pub struct Batch(pub(crate) Form);

#[derive(Debug, Clone)]
pub(crate) enum Form {
    Tensor(Tensor),
    Maps(Maps),
}

impl Batch {
    /// Makes a batch of `x: [B, ...]`. A shape of `[B]` means one value for each sample.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn new(x: &Tensor) -> Result<Self> {
        let x = &if x.rank() == 1 { x.unsqueeze(1)? } else { x.clone() };
        let served = fused::serves(x.device(), x.dtype()) && matches!(x.rank(), 2 | 4) && x.elem_count() > 0;
        Ok(Self(if served { Form::Maps(Maps::from_tensor(x)?) } else { Form::Tensor(x.detach()) }))
    }

    /// The values as a tensor without a graph: `[B, C, H, W]`, or the shape that the batch was
    /// made with.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn to_tensor(&self) -> Result<Tensor> {
        match &self.0 {
            Form::Tensor(x) => Ok(x.detach()),
            Form::Maps(maps) => maps.to_tensor(),
        }
    }

    /// Number of samples.
    ///
    /// # Errors
    /// A scalar.
    pub fn samples(&self) -> Result<usize> {
        match &self.0 {
            Form::Tensor(x) => x.dim(0),
            Form::Maps(maps) => Ok(maps.batch()),
        }
    }

    /// The sum of squares of each sample.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn squares(&self) -> Result<Vec<f64>> {
        match &self.0 {
            Form::Maps(maps) => Ok(maps.squares()),
            Form::Tensor(x) => x.flatten_from(1)?.to_dtype(DType::F64)?.sqr()?.sum(1)?.to_vec1(),
        }
    }

    /// Multiplies each sample by its factor. If `other` is given, adds its samples times their
    /// factors.
    ///
    /// # Errors
    /// A number of factors that is not the number of samples; `other` with another shape.
    pub fn combine(&self, factors: &[f32], other: Option<(&Self, &[f32])>) -> Result<Self> {
        if let (Form::Maps(own), None) = (&self.0, other) {
            return Ok(Self(Form::Maps(own.combine(factors, None)?)));
        }
        if let (Form::Maps(own), Some((Self(Form::Maps(other)), others))) = (&self.0, other) {
            return Ok(Self(Form::Maps(own.combine(factors, Some((other, others)))?)));
        }
        let scaled = |batch: &Self, factors: &[f32]| {
            let x = batch.to_tensor()?;
            let shape: Vec<usize> = (0..x.rank()).map(|i| if i == 0 { factors.len() } else { 1 }).collect();
            x.broadcast_mul(&Tensor::new(factors, x.device())?.reshape(shape)?)
        };
        let own = scaled(self, factors)?;
        let sum = match other {
            Some((other, factors)) => (own + scaled(other, factors)?)?,
            None => own,
        };
        Ok(Self(Form::Tensor(sum)))
    }

    /// Joins `count` samples into one sample with the channels of all of them: `[B, C, H, W]`
    /// becomes `[B / count, count * C, H, W]`, as PyTorch's `view` does it.
    ///
    /// # Errors
    /// A number of samples that is no multiple of `count`; no images.
    pub(crate) fn packed(&self, count: usize) -> Result<Self> {
        let images = self.to_tensor()?;
        let (b, c, h, w) = images.dims4()?;
        if !b.is_multiple_of(count) {
            candle_core::bail!(
                "expected a multiple of {count} images, as many as the discriminator sees at once, found {b}"
            )
        }
        Self::new(&images.reshape((b / count, c * count, h, w))?)
    }

    /// The inverse of [`Self::packed`]. It also takes flat images.
    ///
    /// # Errors
    /// A number of channels that is no multiple of `count`.
    pub(crate) fn unpacked(&self, count: usize) -> Result<Self> {
        let packed = self.to_tensor()?;
        let (samples, channels) = (packed.dim(0)?, packed.dim(1)?);
        Self::new(&packed.reshape([&[samples * count, channels / count], &packed.dims()[2..]].concat())?)
    }

    /// The values of a batch with one value per sample.
    pub(crate) fn per_sample(&self) -> Result<Vec<f32>> {
        self.to_tensor()?.flatten_all()?.to_vec1()
    }

    pub(crate) fn tensor(&self, shape: &[usize]) -> Result<Tensor> {
        self.to_tensor()?.reshape([&[self.samples()?], shape].concat())
    }

    pub(crate) fn maps(&self, shape: &[usize]) -> Result<Maps> {
        let maps = match &self.0 {
            Form::Tensor(x) => Maps::from_tensor(&x.flatten_from(1)?)?,
            Form::Maps(maps) => maps.clone(),
        };
        maps.reshape(image(shape))
    }
}

/// One sample's shape as an image. Features become the channels of one pixel.
pub(crate) fn image(shape: &[usize]) -> [usize; 3] {
    std::array::from_fn(|i| shape.get(i).copied().unwrap_or(1))
}
