//! A list of layers with weights, which are applied one after the other.

use crate::chain::{Chain, Weights, parameters};
use crate::error::Result;
use crate::layers::{Layer, Spectral};
use crate::mode::Mode;
use crate::params::{Parameter, Params};
use crate::stage::Stage;
use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use gan_ops::AllReduce;
use std::collections::HashMap;
use std::sync::Arc;

/// `nn.Sequential` over [`Layer`]s.
#[derive(Debug, Clone)]
pub struct Sequential {
    pub(crate) chain: Chain,
    /// The state of every spectral norm.
    spectral: Vec<Spectral>,
    couples_samples: bool,
    refuses_penalties: Option<String>,
}

impl Sequential {
    /// The parameters of `layers` in order. The name of each begins with `prefix` and its layer's
    /// position: `prefix.0.weight`.
    #[must_use]
    pub fn parameters(prefix: &str, layers: &[Layer]) -> Vec<Parameter> {
        parameters(prefix, layers)
    }

    /// Takes the weights of each layer from `vb`, under the layer's position: `0.weight`,
    /// `0.bias`, ...
    ///
    /// # Errors
    /// Errors of `vb`; layers that cannot exist, such as spectral norm of a flattening.
    pub fn new(layers: &[Layer], vb: VarBuilder<'_>) -> candle_core::Result<Self> {
        Self::over_ranks(layers, vb, None)
    }

    /// [`Self::new`] for a rank of a group. In training, batch norm computes its statistics over the samples
    /// of all `ranks` together. All of them must make the same passes in the same order.
    ///
    /// # Errors
    /// Errors of [`Self::new`].
    pub fn over_ranks(
        layers: &[Layer],
        vb: VarBuilder<'_>,
        ranks: Option<Arc<dyn AllReduce>>,
    ) -> candle_core::Result<Self> {
        let get = |p: Parameter| {
            let tensor = vb.get_with_hints(p.shape(), p.name(), p.first())?;
            Ok((p.below(&vb.prefix()).name().to_owned(), tensor))
        };
        let tensors = parameters("", layers).into_iter().map(get).collect::<candle_core::Result<_>>()?;
        let mut weights = Weights::new(&vb.prefix(), tensors, ranks);
        Ok(Self {
            chain: Chain::new(layers, &mut weights)?,
            spectral: weights.into_spectral(),
            couples_samples: layers.iter().any(Layer::couples_samples),
            refuses_penalties: layers.iter().find_map(Layer::refuses_penalties),
        })
    }

    /// Makes fresh weights with the names `model.0.weight`, ... They are a pure function of
    /// `seed`, `scope` and the names.
    ///
    /// # Errors
    /// Errors of [`Self::new`].
    pub fn seeded(layers: &[Layer], seed: u64, scope: &str, device: &Device) -> Result<(Self, Params)> {
        let params = Params::seeded(parameters(MODEL, layers), seed, scope, device)?;
        let network = Self::new(layers, params.var_builder(device).pp(MODEL))?;
        for spectral in &network.spectral {
            spectral.begin()?;
        }
        Ok((network, params))
    }

    /// Takes the weights of a PyTorch state dict with the names `model.0.weight`, ...
    ///
    /// # Errors
    /// Errors of [`Params::from_tensors`] and [`Self::new`].
    pub fn from_tensors(
        layers: &[Layer],
        tensors: HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<(Self, Params)> {
        let params = Params::from_tensors(parameters(MODEL, layers), tensors, device)?;
        Ok((Self::new(layers, params.var_builder(device).pp(MODEL))?, params))
    }

    /// The network with the weights of a network of [`Self::seeded`] or [`Self::from_tensors`].
    pub(crate) fn with_params(layers: &[Layer], params: &Params) -> candle_core::Result<Self> {
        let device = params.iter().next().map_or(Device::Cpu, |(_, var)| var.device().clone());
        Self::new(layers, params.var_builder(&device).pp(MODEL))
    }

    /// [`Self::over_ranks`] with the weights of a network of [`Self::seeded`] or [`Self::from_tensors`]. The
    /// two networks share them.
    pub(crate) fn shared(
        layers: &[Layer],
        params: &Params,
        ranks: Arc<dyn AllReduce>,
    ) -> candle_core::Result<Self> {
        let device = params.iter().next().map_or(Device::Cpu, |(_, var)| var.device().clone());
        Self::over_ranks(layers, params.var_builder(&device).pp(MODEL), Some(ranks))
    }

    /// `x: [B, ...]` with the shape that the first layer takes; returns the last layer's output,
    /// on candle's tape. A training loop that does not need the tape is faster with
    /// [`Self::prepare`].
    ///
    /// # Errors
    /// A shape that a layer cannot take; in training, batch norm over a single value per channel.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> candle_core::Result<Tensor> {
        self.chain.forward(x, mode)
    }

    /// Whether a sample's result depends on the other samples in training, as with batch norm.
    #[must_use]
    pub fn couples_samples(&self) -> bool {
        self.couples_samples
    }

    /// The reason why there can be no penalty on the gradient at the input. It names the layer
    /// that has no second order. `None` if a penalty is possible.
    #[must_use]
    pub fn refuses_penalties(&self) -> Option<&str> {
        self.refuses_penalties.as_deref()
    }

    /// Makes one power iteration of every spectral norm. Call it before each update of the
    /// weights.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn iterate_power(&self) -> candle_core::Result<()> {
        self.spectral.iter().try_for_each(Spectral::iterate)
    }

    /// The largest magnitude in the output of any layer in evaluation. `x` has the shape of
    /// [`Self::forward`].
    ///
    /// # Errors
    /// A shape that a layer cannot take.
    pub fn largest_activation(&self, x: &Tensor) -> candle_core::Result<f32> {
        let (mut x, mut largest) = (x.clone(), 0f32);
        for stage in self.chain.stages() {
            x = stage.forward(&x, Mode::Eval)?.detach();
            // `f32::max` would ignore NaN.
            largest = x
                .flatten_all()?
                .to_vec1()?
                .into_iter()
                .map(f32::abs)
                .fold(largest, |most, value| if value > most || value.is_nan() { value } else { most });
        }
        Ok(largest)
    }

    /// Splits the network into the layers before `position` and the others: for example, a
    /// classifier's features and its head. The two parts share the network's weights.
    ///
    /// # Errors
    /// A layer that is computed together with the layer before it, such as an activation.
    pub fn split_at(&self, position: usize) -> candle_core::Result<(Self, Self)> {
        let (first, second) = self.chain.split_at(position)?;
        Ok((Self { chain: first, ..self.clone() }, Self { chain: second, ..self.clone() }))
    }
}

/// The name of a network's `nn.Sequential` in PyTorch's tutorials.
pub(crate) const MODEL: &str = "model";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Convolution;
    use crate::mode::Draws;
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
        let (network, params) = Sequential::seeded(&layers, 0, "test", &Device::Cpu).unwrap();
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
        assert_eq!(network.forward(&x, Mode::Train(Draws::default())).unwrap().dims(), [3, 1]);
    }

    #[test]
    fn running_statistics_move_in_training_and_serve_in_evaluation() {
        let device = Device::Cpu;
        let layers = [Layer::BatchNorm2d { channels: 1 }];
        let (network, params) = Sequential::seeded(&layers, 0, "test", &device).unwrap();
        let x = Tensor::new(&[[[[1f32, 3.]]]], &device).unwrap();
        let value = |name: &str| params.get(name).unwrap().to_vec1::<f32>().unwrap()[0];
        network.forward(&x, Mode::Eval).unwrap();
        assert_eq!((value("model.0.running_mean"), value("model.0.running_var")), (0., 1.));
        network.forward(&x, Mode::Train(Draws::default())).unwrap();
        // Mean 2, unbiased variance 2, momentum 0.1.
        assert!((value("model.0.running_mean") - 0.2).abs() < 1e-6);
        assert!((value("model.0.running_var") - 1.1).abs() < 1e-6);
        let y: Vec<f32> = network.forward(&x, Mode::Eval).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let expected = (1. - 0.2) / (1.1f32 + 1e-5).sqrt() * value("model.0.weight") + value("model.0.bias");
        assert!((y[0] - expected).abs() < 1e-6);
    }
}
