//! Linear layers, convolutions and transposed convolutions in one type: a product with weights.

use super::Maps;
use crate::kernels::{self, Buffer, Finish, Geometry, Image, Isa, WeightGradient, winograd};
use crate::slices;
use candle_core::{Result, Tensor};
use std::sync::OnceLock;

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
        /// Rows and columns of zeros around the image.
        padding: usize,
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
            (Self::Linear, &[out, inputs]) => (out, inputs, [1, 1], 1, 0),
            (
                Self::Conv2d { stride, padding } | Self::ConvTranspose2d { stride, padding },
                &[first, second, kh, kw],
            ) => (first, second, [kh, kw], stride, padding),
            _ => return Err(misfit()),
        };
        let empty = weight.elem_count() == 0 || input.height == 0 || input.width == 0;
        if stride == 0 || empty || self == Self::Linear && (input.height, input.width) != (1, 1) {
            return Err(misfit());
        }
        let around = padding.checked_mul(2).ok_or_else(misfit)?;
        let down = |size: usize, k: usize| Some(size.checked_add(around)?.checked_sub(k)? / stride + 1);
        let up = |size: usize, k: usize| {
            let whole = (size - 1).checked_mul(stride)?.checked_add(k)?;
            whole.checked_sub(around).filter(|&size| size > 0)
        };
        let transposed = self.is_transposed();
        let size = |size, k| if transposed { up(size, k) } else { down(size, k) };
        let (inputs, channels) = if transposed { (first, second) } else { (second, first) };
        if inputs != input.channels {
            return Err(misfit());
        }
        let height = size(input.height, kernel[0]).ok_or_else(misfit)?;
        let width = size(input.width, kernel[1]).ok_or_else(misfit)?;
        let output = Image { channels, height, width };
        let (big, small) = if transposed { (output, input) } else { (input, output) };
        let sizes = [
            [big.channels, big.height, big.width, 1],
            [small.channels, small.height, small.width, 1],
            [big.channels, small.channels, kernel[0], kernel[1]],
        ];
        // Later products of these sizes are not checked again: this limit lets a batch of them be
        // counted without overflow.
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

/// A product with the present weights. They are put in the kernels' order when they are first
/// needed.
#[derive(Debug)]
pub(crate) struct Weights {
    product: Product,
    weight: Tensor,
    /// Without and with a transform. The size of the image decides which one is used.
    down: [OnceLock<Buffer>; 2],
    up: [OnceLock<Buffer>; 2],
}

impl Weights {
    pub(crate) fn new(product: Product, weight: &Tensor) -> Self {
        let weight = weight.clone();
        Self { product, weight, down: Default::default(), up: Default::default() }
    }

    /// The product with `x`, and then `end`.
    pub(crate) fn forward(&self, x: &Maps, end: Finish<'_>) -> Result<Maps> {
        let g = self.product.geometry(&self.weight, x.image)?;
        self.apply(&g, self.product.is_transposed(), x, end)
    }

    /// The gradient of an input of shape `input` from the gradient of the result, and then `end`.
    pub(crate) fn input_gradient(&self, input: Image, gradient: &Maps, end: Finish<'_>) -> Result<Maps> {
        let g = self.product.geometry(&self.weight, input)?;
        self.apply(&g, !self.product.is_transposed(), gradient, end)
    }

    fn apply(&self, g: &Geometry, up: bool, x: &Maps, end: Finish<'_>) -> Result<Maps> {
        let (isa, out) = (Isa::best(), if up { g.big } else { g.small });
        let mut values = Buffer::new(out.len(x.batch));
        slices::read(&self.weight.contiguous()?, |weight| {
            let in_order = g.is_linear() || !up && g.big.channels == 1;
            let store = &(if up { &self.up } else { &self.down })[usize::from(winograd::serves(g))];
            let w =
                if in_order { weight } else { store.get_or_init(|| in_kernels_order(isa, g, up, weight)) };
            match (up, winograd::serves(g)) {
                (true, true) => winograd::up(isa, g, x.batch, w, &x.values, &mut values, end),
                (true, false) => kernels::up(isa, g, x.batch, w, &x.values, &mut values, end),
                (false, true) => winograd::down(isa, g, x.batch, w, &x.values, &mut values, end),
                (false, false) => kernels::down(isa, g, x.batch, w, &x.values, &mut values, end),
            }
        })?;
        Ok(Maps::new(out, x.batch, values))
    }

    /// Adds the gradient of the weights. It is computed from an input and the gradient of its
    /// result.
    pub(crate) fn add_gradient(&self, sums: &mut WeightGradient, x: &Maps, gradient: &Maps) {
        let (small, big) = if self.product.is_transposed() { (x, gradient) } else { (gradient, x) };
        sums.add(Isa::best(), x.batch, &small.values, &big.values);
    }
}

/// The weights in the order that this direction of the product needs.
fn in_kernels_order(isa: Isa, g: &Geometry, up: bool, weight: &[f32]) -> Buffer {
    let mut packed = Buffer::new(weight.len());
    if up {
        kernels::pack_up(isa, g, weight, &mut packed);
    } else {
        kernels::pack_down(isa, g, weight, &mut packed);
    }
    if !winograd::serves(g) {
        return packed;
    }
    let mut transformed = Buffer::new(winograd::transformed(g));
    if up {
        winograd::transform_up(isa, g, &packed, &mut transformed);
    } else {
        winograd::transform_down(isa, g, &packed, &mut transformed);
    }
    transformed
}
