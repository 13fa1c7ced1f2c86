//! A list of layers with weights, applied one after the other.

use crate::layer::Layer;
use crate::spectral::Spectral;
use crate::stage::{self, Stage};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// How far a batch moves batch norm's running statistics.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// `nn.Sequential` over [`Layer`]s.
#[derive(Debug, Clone)]
pub struct Sequential(pub(crate) Vec<Stage>);

/// Which statistics batch norm uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Those of the batch, which also move the running ones: `model.train()`.
    Train,
    /// The running ones: `model.eval()`.
    Eval,
}

impl Sequential {
    /// Asks `vb` for the weights of each layer under its position: `0.weight`, `0.bias`, ...
    ///
    /// # Errors
    /// Those of `vb`.
    pub fn new(layers: &[Layer], vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self(stage::stages(layers, &vb)?))
    }

    /// `x: [B, ...]` as the first layer takes it; returns the last layer's output, on candle's tape. For a training loop
    /// that need not be on it, [`Self::prepare`] is faster.
    ///
    /// # Errors
    /// A shape that some layer cannot take; in training, batch norm over a single value per channel.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        stage::forward(&self.0, x, mode)
    }

    /// Whether a sample's result depends on the others in training, as batch norm makes it: then there is no gradient of one
    /// sample's result, and no penalty on it.
    #[must_use]
    pub fn couples_samples(&self) -> bool {
        stage::couple_samples(&self.0)
    }

    /// Brings the singular vectors of spectral norm from random ones to those of the weights.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn begin_power_iterations(&self) -> Result<()> {
        self.each_spectral(Spectral::begin)
    }

    /// One power iteration of every spectral norm, to be done before each step on the weights.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn iterate_power(&self) -> Result<()> {
        self.each_spectral(Spectral::iterate)
    }

    fn each_spectral(&self, f: impl Fn(&Spectral, &Tensor) -> Result<()>) -> Result<()> {
        for fused in stage::fused_layers(&self.0) {
            if let (Some(spectral), Some((_, weight, _))) = (&fused.spectral, &fused.layer.product) {
                f(spectral, weight)?;
            }
        }
        Ok(())
    }

    /// The largest magnitude that any layer gives in evaluation. `x` as for [`Self::forward`].
    ///
    /// # Errors
    /// A shape that some layer cannot take.
    pub fn largest_activation(&self, x: &Tensor) -> Result<f32> {
        let (mut x, mut largest) = (x.clone(), 0f32);
        for stage in &self.0 {
            x = stage.forward(&x, Mode::Eval)?.detach();
            // Unlike `f32::max`, which passes NaN over.
            largest = x
                .flatten_all()?
                .to_vec1()?
                .into_iter()
                .map(f32::abs)
                .fold(largest, |most, value| if value > most || value.is_nan() { value } else { most });
        }
        Ok(largest)
    }

    /// All but what the last product begins, and the rest: a classifier's features and its head. They share their
    /// weights with the whole.
    #[must_use]
    pub fn split_head(&self) -> (Self, Self) {
        let is_product =
            |stage: &Stage| matches!(stage, Stage::Fused(fused) if fused.layer.product.is_some());
        let (features, head) = self.0.split_at(self.0.iter().rposition(is_product).unwrap_or(self.0.len()));
        (Self(features.to_vec()), Self(head.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Convolution, Params};
    use candle_core::Device;
    use gan_ops::rng::Stream;

    #[test]
    fn names_are_pytorchs_positions() {
        let conv = Convolution {
            inputs: 1,
            outputs: 2,
            kernel: 4,
            stride: 2,
            padding: 1,
            bias: true,
            deviation: 0.02,
        };
        let layers = [
            Layer::Conv2d(conv),
            Layer::BatchNorm2d { channels: 2 },
            Layer::LeakyRelu(0.2),
            Layer::Flatten,
            Layer::Linear { inputs: 8, outputs: 1 },
        ];
        let build = |vb: VarBuilder<'static>| Sequential::new(&layers, vb.pp("model"));
        let (network, params) = Params::seeded(0, "test", &Device::Cpu, build).unwrap();
        let names: Vec<_> = params.iter().map(|(name, var)| format!("{name} {:?}", var.dims())).collect();
        assert_eq!(
            names,
            [
                "model.0.weight [2, 1, 4, 4]",
                "model.0.bias [2]",
                "model.1.weight [2]",
                "model.1.bias [2]",
                "model.1.running_mean [2]",
                "model.1.running_var [2]",
                "model.4.weight [1, 8]",
                "model.4.bias [1]",
            ]
        );
        let x = Stream::new(0, "x", 0).normal((3, 1, 4, 4), &Device::Cpu).unwrap();
        assert_eq!(network.forward(&x, Mode::Train).unwrap().dims(), [3, 1]);
    }

    #[test]
    fn running_statistics_move_in_training_and_serve_in_evaluation() {
        let device = Device::Cpu;
        let build =
            |vb: VarBuilder<'static>| Sequential::new(&[Layer::BatchNorm2d { channels: 1 }], vb.pp("model"));
        let (network, params) = Params::seeded(0, "test", &device, build).unwrap();
        let x = Tensor::new(&[[[[1f32, 3.]]]], &device).unwrap();
        let value = |name: &str| params.get(name).unwrap().to_vec1::<f32>().unwrap()[0];
        network.forward(&x, Mode::Eval).unwrap();
        assert_eq!((value("model.0.running_mean"), value("model.0.running_var")), (0., 1.));
        network.forward(&x, Mode::Train).unwrap();
        // Mean 2, unbiased variance 2, momentum 0.1.
        assert!((value("model.0.running_mean") - 0.2).abs() < 1e-6);
        assert!((value("model.0.running_var") - 1.1).abs() < 1e-6);
        let y: Vec<f32> = network.forward(&x, Mode::Eval).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let expected = (1. - 0.2) / (1.1f32 + 1e-5).sqrt() * value("model.0.weight") + value("model.0.bias");
        assert!((y[0] - expected).abs() < 1e-6);
    }
}
