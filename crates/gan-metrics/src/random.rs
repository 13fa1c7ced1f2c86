//! Features from a network with random weights, for images that no classifier knows.
//!
//! On images unlike photographs, the features of a random network rank generators better than those
//! of a network that was trained on photographs (Naeem et al. 2020, arXiv 2002.09797). A random
//! network needs no file, and it sees the three colours together.

use crate::triangle::resize;
use crate::{MetricsError, Result};
use candle_core::{Device, Tensor};
use gan_models::{Batch, Convolution, Layer, Sequential};
use gan_ops::rng::Stream;
use std::collections::HashMap;

/// Channels after each of the convolutions. Each of them halves the side.
const WIDTHS: [usize; 3] = [32, 64, 64];
/// Sides of the images that the network reads. Other images are resized to the next larger one, or
/// reduced to the largest.
const SIDES: [usize; 3] = [32, 64, 128];
const KERNEL: usize = 4;
/// Factor of all features. With it, their mean square is about 1, for which KID's kernel is made, and
/// distances are not tiny.
const SCALE: f64 = 10.;
/// Determines the weights.
const SEED: u64 = 0;
/// Pixels that pass through the network at once. This is 256 images of the smallest side.
const AT_ONCE: usize = 256 * 32 * 32;

/// A convolutional network with random weights. It is a pure function of a fixed seed.
///
/// It has three convolutions with He's initial weights (He et al. 2015, arXiv 1502.01852) and ReLU,
/// which keeps the mean square of the values. The features are the mean of each channel over the
/// pixels, after each of the convolutions. So they describe small and larger parts of the image,
/// wherever they are.
#[derive(Debug, Clone)]
pub struct RandomNetwork {
    /// Each convolution with its ReLU.
    blocks: Vec<Sequential>,
    device: Device,
}

impl RandomNetwork {
    /// The distance in these features is called `random-fd`.
    pub const NAME: &str = "random";
    /// The version of the definition. Any change of the features changes it.
    pub const ID: &str = "random-1";
    /// Number of features of an image.
    pub const FEATURES: usize = WIDTHS[0] + WIDTHS[1] + WIDTHS[2];

    /// Makes the network.
    ///
    /// # Errors
    /// None in practice.
    pub fn new(device: &Device) -> Result<Self> {
        let mut blocks = vec![];
        let mut inputs = 3;
        for (index, outputs) in WIDTHS.into_iter().enumerate() {
            blocks.push(block(inputs, outputs, index as u64, device)?);
            inputs = outputs;
        }
        Ok(Self { blocks, device: device.clone() })
    }

    /// The device of the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Computes the features `[N, 160]` of `images: [N, C, H, W]` in [-1, 1]. A gray image (C = 1)
    /// has three equal channels.
    ///
    /// # Errors
    /// If the shape is different: C is 1 or 3.
    pub fn features(&self, images: &Tensor) -> Result<Tensor> {
        let (count, channels, height, width) = images.dims4()?;
        let images = images.detach().to_device(&self.device)?;
        let images = match channels {
            1 => images.repeat((1, 3, 1, 1))?,
            3 => images,
            _ => {
                return Err(MetricsError::input(
                    "images",
                    "[N, 1 or 3, H, W]",
                    format!("{:?}", images.dims()),
                ));
            }
        };
        let side = side(height.max(width));
        let at_once = (AT_ONCE / (side * side)).max(1);
        let chunk = |start: usize| {
            let images = images.narrow(0, start, at_once.min(count - start))?;
            self.of_chunk(&resize(&images, side)?, side)
        };
        let all = (0..count).step_by(at_once).map(chunk).collect::<Result<Vec<_>>>()?;
        Ok((Tensor::cat(&all, 0)? * SCALE)?)
    }

    /// The features of `images: [N, 3, side, side]`, without the factor.
    fn of_chunk(&self, images: &Tensor, side: usize) -> Result<Tensor> {
        let (mut all, mut shape, mut batch) = (vec![], vec![3, side, side], Batch::new(images)?);
        for (block, channels) in self.blocks.iter().zip(WIDTHS) {
            let output = vec![channels, shape[1] / 2, shape[2] / 2];
            batch = block.prepare(&shape, &output)?.evaluate(&batch)?;
            all.push(batch.to_tensor()?.flatten_from(2)?.mean(2)?);
            shape = output;
        }
        Ok(Tensor::cat(&all, 1)?)
    }
}

/// The side at which the network reads images of this side.
fn side(of: usize) -> usize {
    SIDES.into_iter().find(|&side| side >= of).unwrap_or(SIDES[SIDES.len() - 1])
}

/// A convolution of stride 2 with ReLU. The variance of its weights is `2 / fan-in`.
fn block(inputs: usize, outputs: usize, index: u64, device: &Device) -> Result<Sequential> {
    let fan_in = inputs * KERNEL * KERNEL;
    let weights =
        Stream::new(SEED, "random-features", index).normal((outputs, inputs, KERNEL, KERNEL), device)?;
    let weights = (weights * (2. / fan_in as f64).sqrt())?;
    let convolution =
        Convolution { inputs, outputs, kernel: KERNEL, stride: 2, padding: 1, bias: false, deviation: 0. };
    let tensors = HashMap::from([("model.0.weight".to_owned(), weights)]);
    Ok(Sequential::from_tensors(&[Layer::Conv2d(convolution), Layer::Relu], tensors, device)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_enlarged_to_the_next_side_or_reduced_to_the_largest() {
        assert_eq!([1, 28, 32, 33, 100, 128, 512].map(side), [32, 32, 32, 64, 128, 128, 128]);
    }

    #[test]
    fn features_are_fixed_and_see_colours_together() -> Result<()> {
        let network = RandomNetwork::new(&Device::Cpu)?;
        let images = Stream::new(1, "images", 0).uniform(-1., 1., (40, 3, 32, 32), &Device::Cpu)?;
        let features = network.features(&images)?;
        assert_eq!(features.dims(), [40, RandomNetwork::FEATURES]);
        let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&features), values(&RandomNetwork::new(&Device::Cpu)?.features(&images)?));
        // An image's features do not depend on the others.
        let alone = network.features(&images.narrow(0, 7, 1)?)?;
        let apart = |a: &Tensor, b: &Tensor| (a - b)?.abs()?.max_all()?.to_scalar::<f32>();
        assert!(apart(&alone, &features.narrow(0, 7, 1)?)? < 1e-4);
        let gray = images.narrow(1, 0, 1)?;
        let repeated = network.features(&gray.repeat((1, 3, 1, 1))?)?;
        assert!(apart(&network.features(&gray)?, &repeated)? < 1e-5);
        let swapped =
            Tensor::cat(&[images.narrow(1, 2, 1)?, images.narrow(1, 1, 1)?, images.narrow(1, 0, 1)?], 1)?;
        assert!(apart(&features, &network.features(&swapped)?)? > 0.1);
        assert!(network.features(&images.narrow(1, 0, 2)?).is_err());
        Ok(())
    }

    /// The definition is fixed: numbers that were stored must stay comparable. If this test fails,
    /// change [`RandomNetwork::ID`] too.
    #[test]
    fn the_definition_has_not_changed() -> Result<()> {
        let ramp = Tensor::arange(0f32, 3. * 1024., &Device::Cpu)?.reshape((1, 3, 32, 32))?;
        let images = ((ramp / 1535.5)? - 1.)?;
        let features =
            RandomNetwork::new(&Device::Cpu)?.features(&images)?.flatten_all()?.to_vec1::<f32>()?;
        let found = [0, 31, 32].map(|index| features[index]);
        let expected = [0.845_510, 0.399_847, 1.221_752];
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-5), "{found:?}");
        Ok(())
    }
}
