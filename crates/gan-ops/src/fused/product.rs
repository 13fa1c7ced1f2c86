//! A product with weights, which are stored in the kernels' order.

use super::Maps;
use crate::geometry::{Geometry, Image, Product};
use crate::kernels::{self, Buffer, Finish, Isa, WeightGradient, Weighted, winograd};
use crate::slices;
use candle_core::{Result, Tensor};
use std::sync::OnceLock;

/// A product with the present weights. They are put in the kernels' order when they are first
/// needed.
#[derive(Debug)]
pub(crate) struct Weights {
    product: Product,
    weight: Tensor,
    /// In each of the two arrays, the first element has the weights without a transform, and the
    /// second has them with a transform. The size of the image decides which one is used.
    down: [OnceLock<Buffer>; 2],
    up: [OnceLock<Buffer>; 2],
}

impl Weights {
    pub(crate) fn new(product: Product, weight: &Tensor) -> Self {
        let weight = weight.clone();
        Self { product, weight, down: Default::default(), up: Default::default() }
    }

    /// Computes the product with `x`, and then applies `end`.
    pub(crate) fn forward(&self, x: &Maps, end: Finish<'_>) -> Result<Maps> {
        let g = self.product.geometry(&self.weight, x.image)?;
        self.apply(&g, self.product.is_transposed(), x, end)
    }

    /// Computes the gradient of an input of shape `input` from the gradient of the result, and
    /// then applies `end`.
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
            let product = Weighted { isa, geometry: g, batch: x.batch, weights: w };
            match (up, winograd::serves(g)) {
                (true, true) => winograd::up(product, &x.values, &mut values, end),
                (true, false) => kernels::up(product, &x.values, &mut values, end),
                (false, true) => winograd::down(product, &x.values, &mut values, end),
                (false, false) => kernels::down(product, &x.values, &mut values, end),
            }
        })?;
        Ok(Maps::new(out, x.batch, values))
    }

    /// Adds the gradient of the weights to `sums`. It is computed from an input and the gradient
    /// of its result.
    pub(crate) fn add_gradient(&self, sums: &mut WeightGradient, x: &Maps, gradient: &Maps) {
        let (small, big) = if self.product.is_transposed() { (x, gradient) } else { (gradient, x) };
        sums.add(Isa::best(), x.batch, &small.values, &big.values);
    }
}

/// Puts the weights in the order that this direction of the product needs.
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
