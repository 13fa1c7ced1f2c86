//! Gradients of a whole network.

use crate::error::Result;
use crate::layout::{Entry, Layout};
use crate::params::Params;
use candle_core::{Tensor, backprop::GradStore};
use gan_ops::Gradient;
use std::any::Any;
use std::collections::HashMap;

/// Gradients of a network's trained parameters, summed over backward passes.
#[derive(Debug)]
pub struct Gradients {
    params: Params,
    positions: HashMap<String, usize>,
    /// Each sum is at the position of its first parameter. `None` means that nothing was added
    /// yet.
    sums: Vec<Option<Box<dyn GradientSum>>>,
    replaced: Option<Replaced>,
}

/// Gradients that were set from outside. They count in place of the sums.
#[derive(Debug)]
enum Replaced {
    Slice {
        flat: Vec<f32>,
        /// Whether the parameter at this position has a gradient.
        present: Vec<bool>,
    },
    /// By position, in the shapes of the parameters.
    Tensors(Vec<Option<Tensor>>),
}

/// Sums of the gradients of some parameters that follow each other. Each stage has its own form
/// of sums.
pub(crate) trait GradientSum: Any + std::fmt::Debug + Send {
    /// Sets the sums to zero.
    fn clear(&mut self);

    /// Calls `f` with the gradient of each parameter in turn, in the parameter's shape. It makes
    /// no call if the gradients are all zero.
    fn each(&self, f: &mut dyn FnMut(Gradient<'_>));
}

impl Gradients {
    /// Zero gradients for each trained parameter.
    #[must_use]
    pub fn new(params: &Params) -> Self {
        let layout = params.layout();
        let positions = layout.iter().enumerate().map(|(i, entry)| (entry.name().to_owned(), i)).collect();
        let sums = std::iter::repeat_with(|| None).take(layout.len()).collect();
        Self { params: params.clone(), positions, sums, replaced: None }
    }

    /// The parameters that these are the gradients of.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        self.params.layout()
    }

    /// Sets all gradients to zero.
    pub fn clear(&mut self) {
        self.replaced = None;
        self.sums.iter_mut().flatten().for_each(|sum| sum.clear());
    }

    /// Calls `f` with the position and the gradient of each parameter that has one, in the order
    /// of [`Self::layout`].
    ///
    /// # Errors
    /// The first error of `f`; a layer that gives a gradient for a parameter of another layer, or
    /// of another size.
    pub fn each(
        &self,
        mut f: impl FnMut(usize, Gradient<'_>) -> candle_core::Result<()>,
    ) -> candle_core::Result<()> {
        match &self.replaced {
            None => {}
            Some(Replaced::Slice { flat, present }) => {
                let mut entries = self.layout().iter().enumerate().filter(|(i, _)| present[*i]);
                return entries.try_for_each(|(i, entry)| f(i, Gradient::Slice(&flat[entry.range()])));
            }
            Some(Replaced::Tensors(tensors)) => {
                let mut tensors = tensors.iter().enumerate();
                return tensors.try_for_each(|(i, tensor)| match tensor {
                    Some(tensor) => f(i, Gradient::Tensor(tensor)),
                    None => Ok(()),
                });
            }
        }
        let mut result = Ok(());
        for (first, sum) in self.sums.iter().enumerate() {
            let mut position = first;
            if let Some(sum) = sum {
                sum.each(&mut |gradient| {
                    if result.is_ok() {
                        result = self.check(first, position, gradient).and_then(|()| f(position, gradient));
                    }
                    position += 1;
                });
            }
        }
        result
    }

    /// Checks that the gradient fits the parameter at `position`, and that no other sums begin
    /// between `first` and there.
    fn check(&self, first: usize, position: usize, gradient: Gradient<'_>) -> candle_core::Result<()> {
        let layout = self.layout();
        let sum = || layout.get(first).map_or("", Entry::name);
        let taken = position > first && self.sums.get(position).is_some_and(Option::is_some);
        match layout.get(position).filter(|_| !taken) {
            None => candle_core::bail!("the layer of {} gives more gradients than it has parameters", sum()),
            Some(entry) if entry.range().len() != gradient.elem_count() => candle_core::bail!(
                "expected {} gradients for {}, found {}",
                entry.range().len(),
                entry.name(),
                gradient.elem_count()
            ),
            Some(_) => Ok(()),
        }
    }

    /// Copies all gradients into one slice, at the places in [`Self::layout`].
    ///
    /// # Errors
    /// A slice of another length.
    pub fn read_flat(&self, flat: &mut [f32]) -> Result<()> {
        self.layout().check(flat)?;
        flat.fill(0.);
        let ranges: Vec<_> = self.layout().iter().map(Entry::range).collect();
        Ok(self.each(|i, gradient| {
            match gradient {
                Gradient::Slice(values) => flat[ranges[i].clone()].copy_from_slice(values),
                Gradient::Tensor(values) => {
                    flat[ranges[i].clone()].copy_from_slice(&values.flatten_all()?.to_vec1::<f32>()?);
                }
            }
            Ok(())
        })?)
    }

    /// Replaces the gradients by those in one slice, at the places in [`Self::layout`], until
    /// [`Self::clear`] is called. A parameter that has no gradient gets none.
    ///
    /// # Errors
    /// A slice of another length.
    pub fn write_flat(&mut self, flat: &[f32]) -> Result<()> {
        self.layout().check(flat)?;
        let mut present = vec![false; self.layout().len()];
        self.each(|i, _| {
            present[i] = true;
            Ok(())
        })?;
        self.replaced = Some(Replaced::Slice { flat: flat.to_vec(), present });
        Ok(())
    }

    /// The gradients of candle's tape, one after the other as `[n]` on their device. Parameters without a
    /// gradient are left out. `None` if not all gradients are of the tape, or there are none.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn to_tensor(&self) -> Result<Option<Tensor>> {
        let (mut tensors, mut are_tensors) = (vec![], true);
        self.each(|_, gradient| {
            match gradient {
                Gradient::Slice(_) => are_tensors = false,
                Gradient::Tensor(tensor) => tensors.push(tensor.flatten_all()?),
            }
            Ok(())
        })?;
        Ok(if are_tensors && !tensors.is_empty() { Some(Tensor::cat(&tensors, 0)?) } else { None })
    }

    /// Replaces the gradients by those of [`Self::to_tensor`] with other values, until [`Self::clear`] is called.
    ///
    /// # Errors
    /// A tensor of another length.
    pub fn set_tensor(&mut self, flat: &Tensor) -> Result<()> {
        let (mut tensors, mut start) = (vec![None; self.layout().len()], 0);
        self.each(|i, gradient| {
            let (count, Some(entry)) = (gradient.elem_count(), self.layout().get(i)) else { return Ok(()) };
            tensors[i] = Some(flat.narrow(0, start, count)?.reshape(entry.shape())?);
            start += count;
            Ok(())
        })?;
        flat.dims1().and_then(|count| {
            if count == start {
                Ok(())
            } else {
                candle_core::bail!("expected {start} gradients, found {count}")
            }
        })?;
        self.replaced = Some(Replaced::Tensors(tensors));
        Ok(())
    }

    /// Euclidean norm over all parameters.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn norm(&self) -> candle_core::Result<f64> {
        let mut sum = 0.;
        self.each(|_, gradient| {
            sum += match gradient {
                Gradient::Slice(values) => squares(values),
                Gradient::Tensor(values) => squares(&values.flatten_all()?.to_vec1::<f32>()?),
            };
            Ok(())
        })?;
        Ok(sum.sqrt())
    }

    /// The sums that begin with the parameter `first`. If nothing was added yet, `zero` makes
    /// them.
    ///
    /// # Errors
    /// A parameter of another network; errors of `zero`.
    pub(crate) fn of<S: GradientSum>(
        &mut self,
        first: &str,
        zero: impl FnOnce() -> candle_core::Result<S>,
    ) -> candle_core::Result<&mut S> {
        let Some(&position) = self.positions.get(first) else {
            candle_core::bail!("gradients of another network, which has no {first}")
        };
        let sum = match &mut self.sums[position] {
            Some(sum) => sum,
            empty @ None => empty.insert(Box::new(zero()?)),
        };
        let sum: &mut dyn Any = &mut **sum;
        match sum.downcast_mut() {
            Some(sum) => Ok(sum),
            None => candle_core::bail!("gradients of another network, whose {first} is of another layer"),
        }
    }

    /// Adds the gradients that candle's tape computed.
    pub(crate) fn add(&mut self, grads: &GradStore) -> candle_core::Result<()> {
        let params = self.params.clone();
        for (name, var) in params.trained() {
            if let Some(grad) = grads.get(var) {
                let sum = self.of(name, || Ok(OnTape(None)))?;
                sum.0 = Some(match sum.0.take() {
                    Some(sum) => (sum + grad.detach())?,
                    None => grad.detach(),
                });
            }
        }
        Ok(())
    }
}

/// The gradient of one parameter as candle's tape gives it.
#[derive(Debug)]
struct OnTape(Option<Tensor>);

impl GradientSum for OnTape {
    fn clear(&mut self) {
        self.0 = None;
    }

    fn each(&self, f: &mut dyn FnMut(Gradient<'_>)) {
        if let Some(gradient) = &self.0 {
            f(Gradient::Tensor(gradient));
        }
    }
}

/// Sum of squares. Short runs are summed in f32, which the compiler vectorises, and the runs in
/// f64, which is exact enough for a norm.
pub(crate) fn squares(values: &[f32]) -> f64 {
    values.chunks(64).map(|run| f64::from(run.iter().map(|v| v * v).sum::<f32>())).sum()
}
