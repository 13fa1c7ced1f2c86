//! Forward and backward passes of a whole network, off candle's tape where the fused layers serve.

use crate::gradients::Gradients;
use crate::sequential::{Mode, Sequential, Stage};
use candle_core::{DType, Result, Tensor, Var};
use gan_ops::fused::{self, Maps};

/// What a network takes and gives: a tensor, or the same as the CPU's fused layers read it.
#[derive(Debug, Clone)]
pub struct Batch(pub(crate) Form);

#[derive(Debug, Clone)]
pub(crate) enum Form {
    Tensor(Tensor),
    Maps(Maps),
}

impl Batch {
    /// `x: [B, ...]`; `[B]` is one value for each sample.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn new(x: &Tensor) -> Result<Self> {
        let x = &if x.rank() == 1 { x.unsqueeze(1)? } else { x.clone() };
        let served = fused::serves(x.device(), x.dtype()) && matches!(x.rank(), 2 | 4) && x.elem_count() > 0;
        Ok(Self(if served { Form::Maps(Maps::from_tensor(x)?) } else { Form::Tensor(x.detach()) }))
    }

    /// The values as a tensor, without a graph: `[B, C, H, W]`, or the shape that it was made with.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn to_tensor(&self) -> Result<Tensor> {
        match &self.0 {
            Form::Tensor(x) => Ok(x.detach()),
            Form::Maps(maps) => maps.to_tensor(),
        }
    }

    /// Samples.
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
    /// Only those of the device.
    pub fn squares(&self) -> Result<Vec<f64>> {
        match &self.0 {
            Form::Maps(maps) => Ok(maps.squares()),
            Form::Tensor(x) => x.flatten_from(1)?.to_dtype(DType::F64)?.sqr()?.sum(1)?.to_vec1(),
        }
    }

    /// Each sample times its factor, plus the same of `other` with other factors.
    ///
    /// # Errors
    /// Another number of factors than samples; another shape.
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

    /// The values of a batch of one each.
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

/// One sample's shape as an image: features are channels of one pixel.
pub(crate) fn image(shape: &[usize]) -> [usize; 3] {
    std::array::from_fn(|i| shape.get(i).copied().unwrap_or(1))
}

/// A network with the weights of this moment, put in order for the kernels: make it anew after each update.
#[derive(Debug)]
pub struct Prepared<'a> {
    pub(crate) network: &'a Sequential,
    /// Empty where candle's tape does the work.
    pub(crate) layers: Vec<Option<fused::Prepared<'a>>>,
    /// Of one sample, as the first layer takes it.
    pub(crate) input: Vec<usize>,
    /// Of one sample, as the network's owner gives it.
    pub(crate) output: Vec<usize>,
}

/// A forward pass in training, to be followed by at most one backward pass.
#[derive(Debug)]
pub struct Pass<'a> {
    pub(crate) prepared: &'a Prepared<'a>,
    pub(crate) output: Batch,
    pub(crate) saved: Saved,
}

#[derive(Debug)]
pub(crate) enum Saved {
    /// What each layer keeps; its output's shape where it is but a view.
    Layers(Vec<Step>),
    Tape {
        input: Var,
        output: Tensor,
    },
}

#[derive(Debug)]
pub(crate) enum Step {
    Layer(fused::Saved),
    View([usize; 3]),
}

impl Sequential {
    fn has_weights(&self) -> bool {
        let with =
            |stage: &Stage| matches!(stage, Stage::Fused(l) if l.product.is_some() || l.norm.is_some());
        self.0.iter().any(with)
    }

    /// Its weights as they are now, for samples of shape `input` and results of shape `output`.
    #[must_use]
    pub fn prepare(&self, input: &[usize], output: &[usize]) -> Prepared<'_> {
        let mut fused = self.0.iter().filter_map(|stage| match stage {
            Stage::Fused(layer) => Some(layer),
            Stage::Flatten => None,
        });
        let served = self.has_weights() && fused.all(fused::Layer::is_served);
        let mut layers = vec![];
        for stage in self.0.iter().filter(|_| served) {
            layers.push(match stage {
                Stage::Fused(layer) => Some(layer.prepare()),
                Stage::Flatten => None,
            });
        }
        Prepared { network: self, layers, input: input.to_vec(), output: output.to_vec() }
    }
}

impl Prepared<'_> {
    /// A training pass: batch norm takes the statistics of the batch and moves the running ones.
    ///
    /// # Errors
    /// A shape that some layer cannot take; batch norm over a single value per channel.
    pub fn forward(&self, x: &Batch) -> Result<Pass<'_>> {
        if self.layers.is_empty() {
            let input = Var::from_tensor(&x.tensor(&self.input)?)?;
            let output = self.network.forward(&input, Mode::Train)?;
            let output = output.reshape([&[x.samples()?], &self.output[..]].concat())?;
            let saved = Saved::Tape { input, output: output.clone() };
            return Ok(Pass { prepared: self, output: Batch(Form::Tensor(output.detach())), saved });
        }
        let mut x = x.maps(&self.input)?;
        let mut steps = vec![];
        for layer in &self.layers {
            let (y, step) = match layer {
                Some(layer) => {
                    let (y, saved) = layer.forward(&x)?;
                    (y, Step::Layer(saved))
                }
                None => (flatten(&x)?, Step::View(x.image())),
            };
            steps.push(step);
            x = y;
        }
        steps.push(Step::View(x.image()));
        let output = Batch(Form::Maps(x.reshape(image(&self.output))?));
        Ok(Pass { prepared: self, output, saved: Saved::Layers(steps) })
    }

    /// The network in evaluation: batch norm takes the running statistics. No gradients.
    ///
    /// # Errors
    /// A shape that some layer cannot take.
    pub fn evaluate(&self, x: &Batch) -> Result<Batch> {
        if self.layers.is_empty() {
            let y = self.network.forward(&x.tensor(&self.input)?, Mode::Eval)?.detach();
            return Ok(Batch(Form::Tensor(y.reshape([&[x.samples()?], &self.output[..]].concat())?)));
        }
        let y = self.layers.iter().try_fold(x.maps(&self.input)?, |x, layer| match layer {
            Some(layer) => layer.evaluate(&x),
            None => flatten(&x),
        })?;
        Ok(Batch(Form::Maps(y.reshape(image(&self.output))?)))
    }
}

fn flatten(x: &Maps) -> Result<Maps> {
    x.reshape([x.image().iter().product(), 1, 1])
}

impl Pass<'_> {
    /// What the network gave, without a graph.
    #[must_use]
    pub fn output(&self) -> &Batch {
        &self.output
    }

    /// The output of a network with one result per sample, `[B]`.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn logits(&self) -> Result<Tensor> {
        self.output.to_tensor()?.flatten_all()
    }

    /// From the gradient of the output: adds those of the parameters to `sums`, if given, and returns that of the input if
    /// it is wanted.
    ///
    /// # Errors
    /// A gradient of another shape than the output.
    pub fn backward(
        self,
        gradient: &Batch,
        mut sums: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Batch>> {
        let input = wanted == Wanted::Input;
        let steps = match self.saved {
            Saved::Layers(steps) => steps,
            Saved::Tape { input: x, output } => {
                let shape = &self.prepared.output;
                let grads = (&output * gradient.tensor(shape)?)?.sum_all()?.backward()?;
                if let Some(sums) = sums {
                    sums.add(&grads)?;
                }
                return Ok(input.then(|| grads.get(&x)).flatten().map(|g| Batch(Form::Tensor(g.detach()))));
            }
        };
        let mut gradient = gradient.maps(&self.prepared.output)?;
        let first = self.prepared.layers.iter().position(Option::is_some).unwrap_or(0);
        for (i, step) in steps.into_iter().enumerate().rev() {
            gradient = match step {
                Step::View(shape) => gradient.reshape(shape)?,
                Step::Layer(saved) => {
                    let Some(layer) = &self.prepared.layers[i] else { continue };
                    let sums = sums.as_deref_mut().and_then(|sums| sums.layer(i));
                    match layer.backward(saved, gradient, sums, i > first || input)? {
                        Some(gradient) => gradient,
                        None => return Ok(None),
                    }
                }
            };
        }
        Ok(input.then(|| Batch(Form::Maps(gradient))))
    }
}

/// What a backward pass is asked for beside the gradients of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The gradient of the network's input.
    Input,
    /// Nothing.
    Nothing,
}
