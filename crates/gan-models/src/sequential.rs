//! A list of layers with weights, applied one after the other.

use crate::init;
use crate::layer::{Convolution, Layer};
use candle_core::{Result, Tensor, Var};
use candle_nn::{Init, VarBuilder};

/// PyTorch's defaults for `nn.BatchNorm2d`.
const BATCH_NORM_EPS: f64 = 1e-5;
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// `nn.Sequential` over [`Layer`]s.
#[derive(Debug, Clone)]
pub struct Sequential(Vec<Module>);

/// Which statistics batch norm uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Those of the batch, which also move the running ones: `model.train()`.
    Train,
    /// The running ones: `model.eval()`.
    Eval,
}

#[derive(Debug, Clone)]
enum Module {
    Linear { weight: Tensor, bias: Tensor },
    Conv2d { weight: Tensor, bias: Option<Tensor>, stride: usize, padding: usize },
    ConvTranspose2d { weight: Tensor, bias: Option<Tensor>, stride: usize, padding: usize },
    BatchNorm2d(BatchNorm2d),
    Relu,
    LeakyRelu(f64),
    Tanh,
    Flatten,
}

#[derive(Debug, Clone)]
struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Var,
    running_var: Var,
}

impl Sequential {
    /// Asks `vb` for the weights of each layer under its position: `0.weight`, `0.bias`, ...
    ///
    /// # Errors
    /// Those of `vb`.
    pub fn new(layers: &[Layer], vb: VarBuilder<'_>) -> Result<Self> {
        let modules = layers.iter().enumerate().map(|(i, layer)| Module::new(layer, &vb.pp(i)));
        Ok(Self(modules.collect::<Result<_>>()?))
    }

    /// `x: [B, ...]` as the first layer takes it; returns the last layer's output.
    ///
    /// # Errors
    /// A shape that some layer cannot take; in training, batch norm over a single value per channel.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, module| module.forward(&x, mode))
    }
}

impl Module {
    fn new(layer: &Layer, vb: &VarBuilder<'_>) -> Result<Self> {
        let weight = |shape: &[usize]| vb.get_with_hints(shape, "weight", init::weight(layer));
        let bias = |size: usize| vb.get_with_hints(size, "bias", init::bias(layer));
        Ok(match *layer {
            Layer::Linear { inputs, outputs } => {
                Self::Linear { weight: weight(&[outputs, inputs])?, bias: bias(outputs)? }
            }
            Layer::Conv2d(Convolution { inputs, outputs, kernel, stride, padding, bias: has_bias }) => {
                Self::Conv2d {
                    weight: weight(&[outputs, inputs, kernel, kernel])?,
                    bias: has_bias.then(|| bias(outputs)).transpose()?,
                    stride,
                    padding,
                }
            }
            Layer::ConvTranspose2d(Convolution {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
                bias: has_bias,
            }) => Self::ConvTranspose2d {
                weight: weight(&[inputs, outputs, kernel, kernel])?,
                bias: has_bias.then(|| bias(outputs)).transpose()?,
                stride,
                padding,
            },
            Layer::BatchNorm2d { channels } => Self::BatchNorm2d(BatchNorm2d {
                weight: weight(&[channels])?,
                bias: bias(channels)?,
                running_mean: Var::from_tensor(&vb.get_with_hints(
                    channels,
                    "running_mean",
                    Init::Const(0.),
                )?)?,
                running_var: Var::from_tensor(&vb.get_with_hints(
                    channels,
                    "running_var",
                    Init::Const(1.),
                )?)?,
            }),
            Layer::Relu => Self::Relu,
            Layer::LeakyRelu(slope) => Self::LeakyRelu(slope),
            Layer::Tanh => Self::Tanh,
            Layer::Flatten => Self::Flatten,
        })
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match self {
            Self::Linear { weight, bias } => gan_ops::linear(x, weight, Some(bias)),
            Self::Conv2d { weight, bias, stride, padding } => {
                gan_ops::conv2d(x, weight, bias.as_ref(), *stride, *padding)
            }
            Self::ConvTranspose2d { weight, bias, stride, padding } => {
                gan_ops::conv_transpose2d(x, weight, bias.as_ref(), *stride, *padding)
            }
            Self::BatchNorm2d(norm) => norm.forward(x, mode),
            Self::Relu => gan_ops::relu(x),
            Self::LeakyRelu(slope) => gan_ops::leaky_relu(x, *slope),
            Self::Tanh => gan_ops::tanh(x),
            Self::Flatten => x.flatten_from(1),
        }
    }
}

impl BatchNorm2d {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let Self { weight, bias, running_mean, running_var } = self;
        match mode {
            Mode::Train => {
                let (y, stats) = gan_ops::batch_norm_train(x, weight, bias, BATCH_NORM_EPS)?;
                move_towards(running_mean, &stats.mean)?;
                move_towards(running_var, &stats.unbiased_var)?;
                Ok(y)
            }
            Mode::Eval => gan_ops::batch_norm_eval(
                x,
                &running_mean.as_detached_tensor(),
                &running_var.as_detached_tensor(),
                weight,
                bias,
                BATCH_NORM_EPS,
            ),
        }
    }
}

/// `running = (1 - momentum) running + momentum batch`.
fn move_towards(running: &Var, batch: &Tensor) -> Result<()> {
    let old = (running.as_detached_tensor() * (1. - BATCH_NORM_MOMENTUM))?;
    running.set(&(old + (batch * BATCH_NORM_MOMENTUM)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use candle_core::Device;
    use gan_ops::rng::Stream;

    #[test]
    fn names_are_pytorchs_positions() {
        let conv = Convolution { inputs: 1, outputs: 2, kernel: 4, stride: 2, padding: 1, bias: true };
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
