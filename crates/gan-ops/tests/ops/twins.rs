//! Compares an op with its twin: the same op in plain candle operations.

use candle_core::{D, Device, Result, Shape, Tensor, Var};
use gan_ops::Activation;
use gan_ops::rng::Stream;

pub(crate) const ACTIVATIONS: [Activation; 4] =
    [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.25), Activation::Tanh];

/// The view through which an op sees one of its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View {
    Plain,
    /// First and last axis swapped in memory. A vector stays as it is.
    Transposed,
    /// The middle of a larger tensor.
    Offset,
    /// Every second element in memory, from the second on.
    Strided,
}

pub(crate) const VIEWS: [View; 4] = [View::Plain, View::Transposed, View::Offset, View::Strided];

/// A variable, and an argument that is a view of it.
pub(crate) struct Argument {
    pub(crate) var: Var,
    pub(crate) view: Tensor,
}

impl Argument {
    pub(crate) fn new(values: &Tensor, view: View) -> Result<Self> {
        let other = (values + 1.)?;
        let stored = match view {
            View::Plain => values.clone(),
            View::Transposed => values.transpose(0, D::Minus1)?,
            View::Offset => Tensor::cat(&[&other, values, &other], 0)?,
            View::Strided => Tensor::stack(&[&other, values], values.rank())?,
        };
        let var = Var::from_tensor(&stored.contiguous()?)?;
        let view = match view {
            View::Plain => var.as_tensor().clone(),
            View::Transposed => var.transpose(0, D::Minus1)?,
            View::Offset => var.narrow(0, values.dim(0)?, values.dim(0)?)?,
            View::Strided => var.narrow(D::Minus1, 1, 1)?.squeeze(D::Minus1)?,
        };
        assert_eq!(view.dims(), values.dims());
        Ok(Self { var, view })
    }
}

/// A source of choices. They differ within a run, but each run makes the same ones.
pub(crate) struct Choices(pub(crate) u64);

impl Choices {
    pub(crate) fn of<T: Copy>(&mut self, from: &[T]) -> T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        from[(self.0 >> 33) as usize % from.len()]
    }

    /// Returns multiples of 1/4, because their sums are exact. So a value that is 0 before a ReLU
    /// is 0 in both versions.
    pub(crate) fn values(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        self.0 += 1;
        (Stream::new(0, "ops-test", self.0).normal(shape, &Device::Cpu)? * 4.)?.round()? / 4.
    }

    pub(crate) fn argument(&mut self, shape: impl Into<Shape>) -> Result<Argument> {
        Argument::new(&self.values(shape)?, self.of(&VIEWS))
    }
}

/// Checks that the two are equal to within 1e-5 of the largest element.
#[track_caller]
pub(crate) fn close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let [found, expected] = [found, expected].map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    let largest = expected.iter().fold(0f32, |largest, e| largest.max(e.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!((f - e).abs() <= 1e-5 * largest, "{what}: element {i} is {f}, not {e}");
    }
}

/// The plain version gets contiguous arguments, because candle's own convolutions are trusted only
/// with these.
#[track_caller]
pub(crate) fn assert_twins(
    what: &str,
    arguments: &[Argument],
    op: impl Fn(&[Tensor]) -> Result<Tensor>,
    twin: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    let views: Vec<_> = arguments.iter().map(|a| a.view.clone()).collect();
    let contiguous = views.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    let (y, expected) = (op(&views)?, twin(&contiguous)?);
    close(&format!("{what}: result"), &y, &expected);
    let loss = |y: &Tensor| {
        let y = if y.rank() > 1 { y.transpose(0, D::Minus1)? } else { y.clone() };
        (&y * Choices(0).values(y.shape())?)?.sum_all()?.backward()
    };
    let (grads, expected) = (loss(&y)?, loss(&expected)?);
    for (i, Argument { var, .. }) in arguments.iter().enumerate() {
        close(&format!("{what}: gradient {i}"), grads.get(var).unwrap(), expected.get(var).unwrap());
    }
    Ok(())
}
