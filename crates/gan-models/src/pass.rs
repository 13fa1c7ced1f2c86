//! Forward and backward passes of a whole network. Where the fused layers serve, the passes are
//! not on candle's tape.

use crate::batch::{Batch, Form, image};
use crate::gradients::Gradients;
use crate::latents::check_labels;
use crate::mode::{Draws, Mode};
use crate::sequential::Sequential;
use crate::stage::{Kernel, Pullback, Stage, Wanted};
use candle_core::{Result, Tensor, Var};

/// A network with its present weights in the order that the kernels need. Prepare it again after
/// each update.
#[derive(Debug)]
pub struct Prepared<'a> {
    pub(crate) network: &'a Sequential,
    /// `None` if candle's tape computes the passes.
    kernel: Option<Box<dyn Kernel>>,
    /// Shape of one sample's input, as the first layer takes it.
    pub(crate) input: Vec<usize>,
    /// Shape of one sample's output, as the owner of the network returns it.
    pub(crate) output: Vec<usize>,
    /// Number of samples that the network takes as one.
    pack: usize,
}

/// A forward pass in training. At most one backward pass can follow.
#[derive(Debug)]
pub struct Pass<'a> {
    pub(crate) prepared: &'a Prepared<'a>,
    pub(crate) output: Batch,
    pub(crate) back: Back<'a>,
    pub(crate) labels: Option<Vec<u16>>,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) enum Back<'a> {
    Kernels {
        pullback: Box<dyn Pullback + 'a>,
        /// Shape of the last stage's output.
        last: [usize; 3],
    },
    Tape {
        draws: Draws,
        input: Var,
        output: Tensor,
    },
}

impl Sequential {
    /// Prepares passes with the present weights, for samples of shape `input` and results of
    /// shape `output`.
    ///
    /// # Errors
    /// Weights that cannot be put in the kernels' order.
    pub fn prepare(&self, input: &[usize], output: &[usize]) -> Result<Prepared<'_>> {
        // Without weights, nothing tells which device the inputs are on.
        let served = self.chain.is_trained() && self.chain.is_served();
        let kernel = served.then(|| self.chain.prepare()).transpose()?;
        Ok(Prepared { network: self, kernel, input: input.to_vec(), output: output.to_vec(), pack: 1 })
    }
}

impl<'a> Prepared<'a> {
    /// Adapts the passes to a network that takes `pack` samples as the channels of one
    /// ([`Batch::packed`]). The passes still take single samples, and the gradients of the input
    /// are for single samples. There is one result for each `pack` samples.
    #[must_use]
    pub(crate) fn packed(self, pack: usize) -> Self {
        Self { pack, ..self }
    }

    fn pack(&self, x: &Batch) -> Result<Batch> {
        if self.pack == 1 { Ok(x.clone()) } else { x.packed(self.pack) }
    }

    /// Makes a forward pass in training. Batch norm uses the statistics of the batch and moves
    /// the running statistics. `draws` decides what dropout drops.
    ///
    /// # Errors
    /// A shape that a layer cannot take; batch norm over a single value per channel.
    pub fn forward(&'a self, x: &Batch, draws: Draws) -> Result<Pass<'a>> {
        let x = self.pack(x)?;
        let draws = Draws { first: draws.first / self.pack, ..draws };
        let (output, back) = match &self.kernel {
            None => {
                let input = Var::from_tensor(&x.tensor(&self.input)?)?;
                let output = self.network.forward(&input, Mode::Train(draws))?;
                let output = output.reshape([&[x.samples()?], &self.output[..]].concat())?;
                (Form::Tensor(output.detach()), Back::Tape { draws, input, output })
            }
            Some(kernel) => {
                let (y, pullback) = kernel.forward(&x.maps(&self.input)?, draws)?;
                (Form::Maps(y.reshape(image(&self.output))?), Back::Kernels { pullback, last: y.image() })
            }
        };
        Ok(Pass { prepared: self, output: Batch(output), back, labels: None })
    }

    /// Evaluates the network without gradients. Batch norm uses the running statistics.
    ///
    /// # Errors
    /// A shape that a layer cannot take.
    pub fn evaluate(&self, x: &Batch) -> Result<Batch> {
        let x = self.pack(x)?;
        let Some(kernel) = &self.kernel else {
            let y = self.network.forward(&x.tensor(&self.input)?, Mode::Eval)?.detach();
            return Ok(Batch(Form::Tensor(y.reshape([&[x.samples()?], &self.output[..]].concat())?)));
        };
        let y = kernel.evaluate(x.maps(&self.input)?)?;
        Ok(Batch(Form::Maps(y.reshape(image(&self.output))?)))
    }
}

impl Pass<'_> {
    /// Selects the results for samples of these classes. The network must have one result for
    /// each class after the first result. [`Self::logits`] is then the sum of the first result
    /// and the result of the sample's class (the projection of Miyato and Koyama 2018, arXiv
    /// 1802.05637, equation 6). The class embedding is the rows of the last layer after the
    /// first.
    ///
    /// # Errors
    /// A number of labels that is not the number of samples; a label that is no class.
    pub fn of_classes(self, labels: &[u16]) -> Result<Self> {
        let classes = self.prepared.output.iter().product::<usize>() - 1;
        check_labels(labels, self.output.samples()?, classes)?;
        Ok(Self { labels: Some(labels.to_vec()), ..self })
    }

    /// The output of the network, without a graph.
    #[must_use]
    pub fn output(&self) -> &Batch {
        &self.output
    }

    /// The output of a network with one result per sample, `[B]`.
    ///
    /// # Errors
    /// A network with more results, unless [`Self::of_classes`] selected some.
    pub fn logits(&self) -> Result<Tensor> {
        let all = self.output.to_tensor()?.flatten_from(1)?;
        match &self.labels {
            Some(_) => (all * self.chosen(&vec![1.; self.output.samples()?])?)?.sum(1),
            None if all.dim(1)? == 1 => all.squeeze(1),
            None => candle_core::bail!("expected labels: there are {} results for each sample", all.dim(1)?),
        }
    }

    /// Puts each sample's value at every result that is selected for the sample: `[B, results]`.
    /// The other elements are 0.
    fn chosen(&self, values: &[f32]) -> Result<Tensor> {
        let results = self.prepared.output.iter().product();
        let mut all = vec![0.; values.len() * results];
        for (n, (row, value)) in all.chunks_exact_mut(results).zip(values).enumerate() {
            row[0] = *value;
            if let Some(labels) = &self.labels {
                row[1 + usize::from(labels[n])] = *value;
            }
        }
        let device = match &self.output.0 {
            Form::Tensor(output) => output.device().clone(),
            Form::Maps(_) => candle_core::Device::Cpu,
        };
        Tensor::from_vec(all, (values.len(), results), &device)
    }

    /// Computes the gradient of the output from the gradient of [`Self::logits`], `[B]` or
    /// `[B, 1]`.
    pub(crate) fn of_output(&self, logits: &Batch) -> Result<Batch> {
        match &self.labels {
            Some(_) => Batch::new(&self.chosen(&logits.per_sample()?)?),
            None => Ok(logits.clone()),
        }
    }

    /// Makes the backward pass from the gradient of the output, or of [`Self::logits`] after
    /// [`Self::of_classes`]. Adds the gradients of the parameters to `sums`, if given. Returns
    /// the gradient of the input if `wanted` asks for it.
    ///
    /// # Errors
    /// A gradient with another shape than the output.
    pub fn backward(
        self,
        gradient: &Batch,
        sums: Option<&mut Gradients>,
        wanted: Wanted,
    ) -> Result<Option<Batch>> {
        let gradient = self.of_output(gradient)?;
        let below = match self.back {
            Back::Tape { input, output, .. } => {
                let shape = &self.prepared.output;
                let grads = (&output * gradient.tensor(shape)?)?.sum_all()?.backward()?;
                if let Some(sums) = sums {
                    sums.add(&grads)?;
                }
                match wanted {
                    Wanted::Input => grads.get(&input).map(|g| Batch(Form::Tensor(g.detach()))),
                    Wanted::Nothing => None,
                }
            }
            Back::Kernels { pullback, last } => {
                let gradient = gradient.maps(&self.prepared.output)?.reshape(last)?;
                let below = pullback.backward(gradient, sums, wanted)?;
                below.map(|below| Batch(Form::Maps(below)))
            }
        };
        match below {
            Some(below) if self.prepared.pack > 1 => Ok(Some(below.unpacked(self.prepared.pack)?)),
            below => Ok(below),
        }
    }
}
