//! Forward and backward passes of a whole network, off candle's tape where the fused layers serve.

use crate::batch::{Batch, Form, image};
use crate::gradients::Gradients;
use crate::latents::check_labels;
use crate::mode::{Draws, Mode};
use crate::sequential::Sequential;
use crate::stage::{Kernel, Pullback, Stage, Wanted};
use candle_core::{Result, Tensor, Var};

/// A network with the weights of this moment, put in order for the kernels: make it anew after each update.
#[derive(Debug)]
pub struct Prepared<'a> {
    pub(crate) network: &'a Sequential,
    /// None where candle's tape does the work.
    kernel: Option<Box<dyn Kernel>>,
    /// Of one sample, as the first layer takes it.
    pub(crate) input: Vec<usize>,
    /// Of one sample, as the network's owner gives it.
    pub(crate) output: Vec<usize>,
    /// Samples that it takes as one.
    pack: usize,
}

/// A forward pass in training, to be followed by at most one backward pass.
#[derive(Debug)]
pub struct Pass<'a> {
    pub(crate) prepared: &'a Prepared<'a>,
    pub(crate) output: Batch,
    pub(crate) back: Back<'a>,
    pub(crate) labels: Option<Vec<u8>>,
}

/// The way back of a pass.
#[derive(Debug)]
pub(crate) enum Back<'a> {
    Kernels {
        pullback: Box<dyn Pullback + 'a>,
        /// Shape of what the last stage gave.
        last: [usize; 3],
    },
    Tape {
        draws: Draws,
        input: Var,
        output: Tensor,
    },
}

impl Sequential {
    /// Its weights as they are now, for samples of shape `input` and results of shape `output`.
    ///
    /// # Errors
    /// Weights that cannot be put in the kernels' order.
    pub fn prepare(&self, input: &[usize], output: &[usize]) -> Result<Prepared<'_>> {
        // Without weights nothing tells which device its inputs come from.
        let served = self.chain.is_trained() && self.chain.is_served();
        let kernel = served.then(|| self.chain.prepare()).transpose()?;
        Ok(Prepared { network: self, kernel, input: input.to_vec(), output: output.to_vec(), pack: 1 })
    }
}

impl<'a> Prepared<'a> {
    /// The same for a network that takes `pack` samples as the channels of one ([`Batch::packed`]): its passes take and give
    /// single samples, of which as many as `pack` have one result.
    #[must_use]
    pub(crate) fn packed(self, pack: usize) -> Self {
        Self { pack, ..self }
    }

    fn pack(&self, x: &Batch) -> Result<Batch> {
        if self.pack == 1 { Ok(x.clone()) } else { x.packed(self.pack) }
    }

    /// A training pass: batch norm takes the statistics of the batch and moves the running ones, and dropout drops what `draws`
    /// says.
    ///
    /// # Errors
    /// A shape that some layer cannot take; batch norm over a single value per channel.
    pub fn forward(&'a self, x: &Batch, draws: Draws) -> Result<Pass<'a>> {
        let x = self.pack(x)?;
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

    /// The network in evaluation: batch norm takes the running statistics. No gradients.
    ///
    /// # Errors
    /// A shape that some layer cannot take.
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
    /// The results for samples of these classes, where the network has one result for every class after the first: the first
    /// and that of the sample's class, added (the projection of Miyato and Koyama 2018, arXiv 1802.05637, equation 6, whose
    /// embedding of classes are the last layer's further rows).
    ///
    /// # Errors
    /// Another number of labels than samples; a label of no class.
    pub fn of_classes(self, labels: &[u8]) -> Result<Self> {
        let classes = self.prepared.output.iter().product::<usize>() - 1;
        check_labels(labels, self.output.samples()?, classes)?;
        Ok(Self { labels: Some(labels.to_vec()), ..self })
    }

    /// What the network gave, without a graph.
    #[must_use]
    pub fn output(&self) -> &Batch {
        &self.output
    }

    /// The output of a network with one result per sample, `[B]`.
    ///
    /// # Errors
    /// A network with more of them, unless [`Self::of_classes`] chose.
    pub fn logits(&self) -> Result<Tensor> {
        let all = self.output.to_tensor()?.flatten_from(1)?;
        match &self.labels {
            Some(_) => (all * self.chosen(&vec![1.; self.output.samples()?])?)?.sum(1),
            None if all.dim(1)? == 1 => all.squeeze(1),
            None => candle_core::bail!("expected labels: there are {} results for each sample", all.dim(1)?),
        }
    }

    /// What each sample has, for every result that is its own: `[B, results]`.
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

    /// The gradient of the output from that of [`Self::logits`], `[B]` or `[B, 1]`.
    pub(crate) fn of_output(&self, logits: &Batch) -> Result<Batch> {
        match &self.labels {
            Some(_) => Batch::new(&self.chosen(&logits.per_sample()?)?),
            None => Ok(logits.clone()),
        }
    }

    /// From the gradient of the output, or of [`Self::logits`] if [`Self::of_classes`] chose: adds those of the parameters to
    /// `sums`, if given, and returns that of the input if it is wanted.
    ///
    /// # Errors
    /// A gradient of another shape than the output.
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
