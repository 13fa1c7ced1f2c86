//! The shapes of a product with weights. One type covers linear layers, convolutions and
//! transposed convolutions.

use candle_core::{Result, Tensor};

/// The shapes that a convolution connects. `stride` is at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) big: Image,
    pub(crate) small: Image,
    /// Height and width.
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    /// Rows above and below, columns left and right.
    pub(crate) padding: [usize; 2],
}

/// Shape of one sample's feature maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Image {
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }
}

impl Geometry {
    /// Number of channels in the result of `product`.
    pub(crate) fn outputs(&self, product: Product) -> usize {
        if product.is_transposed() { self.big.channels } else { self.small.channels }
    }
}

/// Limit on the elements of one sample's maps and of a layer's weights. It is far beyond what fits
/// in memory. Its distance to `usize::MAX` is a factor larger than any batch.
const LARGEST: usize = u32::MAX as usize;

/// The product that a layer computes from its input. The weights have PyTorch's shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// `weight: [out, in]`.
    Linear,
    /// `weight: [out, in, kh, kw]`.
    Conv2d {
        /// Stride, at least 1.
        stride: usize,
        /// Rows of zeros above and below the image, and columns of zeros on its left and right.
        padding: [usize; 2],
    },
    /// `weight: [in, out, kh, kw]`.
    ConvTranspose2d {
        /// Stride, at least 1.
        stride: usize,
        /// Rows and columns that are cut off around the result.
        padding: usize,
    },
}

impl Product {
    pub(crate) fn is_transposed(self) -> bool {
        matches!(self, Self::ConvTranspose2d { .. })
    }

    /// The connections for an input of this shape.
    pub(crate) fn geometry(self, weight: &Tensor, input: Image) -> Result<Geometry> {
        let misfit = || {
            let Image { channels, height, width } = input;
            candle_core::Error::Msg(format!(
                "{self:?} with weights {:?} does not fit an input of [_, {channels}, {height}, {width}]",
                weight.dims()
            ))
        };
        let (first, second, kernel, stride, padding) = match (self, weight.dims()) {
            (Self::Linear, &[out, inputs]) => (out, inputs, [1, 1], 1, [0; 2]),
            (Self::Conv2d { stride, padding }, &[first, second, kh, kw]) => {
                (first, second, [kh, kw], stride, padding)
            }
            (Self::ConvTranspose2d { stride, padding }, &[first, second, kh, kw]) => {
                (first, second, [kh, kw], stride, [padding; 2])
            }
            _ => return Err(misfit()),
        };
        let empty = weight.elem_count() == 0 || input.height == 0 || input.width == 0;
        if stride == 0 || empty || self == Self::Linear && (input.height, input.width) != (1, 1) {
            return Err(misfit());
        }
        let down = |size: usize, k: usize, around: usize| {
            Some(size.checked_add(around)?.checked_sub(k)? / stride + 1)
        };
        let up = |size: usize, k: usize, around: usize| {
            let whole = (size - 1).checked_mul(stride)?.checked_add(k)?;
            whole.checked_sub(around).filter(|&size| size > 0)
        };
        let transposed = self.is_transposed();
        let size = |size, axis: usize| {
            let (k, around) = (kernel[axis], padding[axis].checked_mul(2)?);
            if transposed { up(size, k, around) } else { down(size, k, around) }
        };
        let (inputs, channels) = if transposed { (first, second) } else { (second, first) };
        if inputs != input.channels {
            return Err(misfit());
        }
        let height = size(input.height, 0).ok_or_else(misfit)?;
        let width = size(input.width, 1).ok_or_else(misfit)?;
        let output = Image { channels, height, width };
        let (big, small) = if transposed { (output, input) } else { (input, output) };
        let sizes = [
            [big.channels, big.height, big.width, 1],
            [small.channels, small.height, small.width, 1],
            [big.channels, small.channels, kernel[0], kernel[1]],
        ];
        // Later code does not check products of these sizes again. This limit lets it count the
        // elements of a batch without overflow.
        let too_large = |sizes: &[usize; 4]| {
            sizes
                .iter()
                .try_fold(1usize, |product, &size| product.checked_mul(size))
                .is_none_or(|n| n > LARGEST)
        };
        if sizes.iter().any(too_large) {
            return Err(misfit());
        }
        Ok(Geometry { big, small, kernel, stride, padding })
    }
}

/// Returns an error if the shapes do not fit together. The kernels and `reference` use the same
/// check.
pub(crate) fn check(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, product: Product) -> Result<()> {
    let image = match (product, x.dims()) {
        (_, [0, ..]) => candle_core::bail!("expected a batch that is not empty, found {:?}", x.dims()),
        (Product::Linear, &[_, channels]) => Image { channels, height: 1, width: 1 },
        (Product::Conv2d { .. } | Product::ConvTranspose2d { .. }, &[_, channels, height, width]) => {
            Image { channels, height, width }
        }
        _ => candle_core::bail!("{product:?} of {:?}", x.dims()),
    };
    let outputs = product.geometry(weight, image)?.outputs(product);
    match bias {
        Some(bias) if bias.dims() != [outputs] => {
            candle_core::bail!("bias: expected [{outputs}], found {:?}", bias.dims())
        }
        _ => Ok(()),
    }
}
