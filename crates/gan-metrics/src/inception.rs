//! The Inception network of the FID, with the weights of `pytorch-fid`. Its inputs are images, and
//! its outputs are the features that papers compute the FID and the KID from.
//!
//! ```no_run
//! use gan_metrics::inception::{Inception, Preprocessing};
//! use gan_metrics::{KidConfig, Moments, frechet_distance, kid};
//! # fn run(real: candle_core::Tensor, generated: candle_core::Tensor) -> gan_metrics::Result<()> {
//! let path = "pt_inception-2015-12-05-6726825d.pth".as_ref();
//! let inception = Inception::load(path, Preprocessing::PytorchFid, &candle_core::Device::Cpu)?;
//! // `real` and `generated` are images [N, 3, H, W] in [-1, 1].
//! let [real, generated] = [inception.features(&real)?, inception.features(&generated)?];
//! let fid = frechet_distance(&Moments::of(&real)?, &Moments::of(&generated)?)?;
//! let kid = kid(&real, &generated, &KidConfig::default())?;
//! println!("FID {fid:.2}, KID {:.4}", kid.mean);
//! # Ok(())
//! # }
//! ```
//!
//! The network is `InceptionV3` of the Python package `pytorch-fid` 0.3.0. It is not the network
//! of torchvision. Its average pooling does not count positions outside the image, and the pooling
//! in its last block takes the largest value. The weights are those of the original program (Heusel
//! et al. 2017, arXiv 1706.08500).
//!
//! A published FID depends on the preparation of the images, on their number (50,000 is usual), on
//! the choice of real images, and on the files that the images went through. `pytorch-fid` reads
//! images of 8 bits, so round your images to 8 bits before you compare with its results.

mod network;
mod resize;

use crate::{MetricsError, Result};
use candle_core::{DType, Device, Tensor};
use gan_models::{ModelError, Parameter, Params, read_state_dict};
use gan_ops::fused::{self, Maps};
use network::{Stage, Unit};
pub use resize::Preprocessing;
use std::collections::HashMap;
use std::path::Path;

/// Number of features of an image.
pub const FEATURES: usize = 2048;
/// Side of the images that the network computes with. Other images are resized.
pub const SIDE: usize = resize::SIDE;
/// Number of images that pass through the network at once. The largest layer then needs 180 MB.
const CHUNK: usize = 32;

/// The network with its weights.
#[derive(Debug)]
pub struct Inception {
    stages: Vec<Stage<Unit>>,
    preprocessing: Preprocessing,
    device: Device,
}

impl Inception {
    /// The name of these features.
    pub const NAME: &str = "inception";
    /// The name that is stored beside numbers: the weights, and the preparation of the images.
    pub const ID: &str = "inception-2015-12-05-pytorch-fid";

    /// Reads the weights file of `pytorch-fid`, as it is or converted to safetensors. The names are
    /// those of the file: `Conv2d_1a_3x3.conv.weight`, and so on. The weights of the parts that are
    /// not used here (`fc`, `AuxLogits`) may be in the file or not.
    ///
    /// # Errors
    /// A file that is missing, truncated or of another format; a tensor that is missing, has another
    /// shape, is not finite or does not belong to the network.
    pub fn load(path: &Path, preprocessing: Preprocessing, device: &Device) -> Result<Self> {
        let tensors = read_state_dict(path)?;
        Self::from_tensors(tensors, preprocessing, device).map_err(|error| match error {
            MetricsError::Model(error) => ModelError::file(path, error).into(),
            other => other,
        })
    }

    /// Makes the network from the tensors of a state dict.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape, is not finite or does not belong to the
    /// network.
    pub fn from_tensors(
        mut tensors: HashMap<String, Tensor>,
        preprocessing: Preprocessing,
        device: &Device,
    ) -> Result<Self> {
        let unused = ["fc.", "AuxLogits."];
        tensors.retain(|name, _| !unused.iter().any(|module| name.starts_with(module)));
        let params = Params::from_tensors(Self::parameters(), tensors, device)?;
        let mut values = params.state_dict().into_iter().map(|(_, tensor)| tensor);
        let stages = network::with_weights(network::stages(), &mut values)?;
        Ok(Self { stages, preprocessing, device: device.clone() })
    }

    /// Names and shapes of the tensors that the network needs.
    #[must_use]
    pub fn parameters() -> Vec<Parameter> {
        let mut parameters = vec![];
        let shape = network::parameters(&network::stages(), 3, &mut parameters);
        debug_assert_eq!(shape, FEATURES);
        parameters
    }

    /// Computes the features of `images: [N, C, H, W]` in [-1, 1], any H and W. C is 3, or 1 for
    /// gray images, which count as three equal channels. Returns f32 `[N, 2048]` on the CPU.
    ///
    /// # Errors
    /// Another shape or type; no images; numbers that are not in [-1, 1].
    pub fn features(&self, images: &Tensor) -> Result<Tensor> {
        let found = || format!("{:?} {:?}", images.dtype(), images.dims());
        let (count, size) = match *images.dims() {
            [count, 1 | 3, height, width] if images.elem_count() > 0 => (count, [height, width]),
            _ => return Err(MetricsError::input("images", "[N, 3, H, W] or [N, 1, H, W]", found())),
        };
        if images.dtype() != DType::F32 {
            return Err(MetricsError::input("images", "f32", found()));
        }
        let images = images.detach().to_device(&Device::Cpu)?;
        let chunks = (0..count).step_by(CHUNK).map(|start| {
            let chunk = images.narrow(0, start, CHUNK.min(count - start))?;
            self.forward(resize::prepare(&chunk, size, self.preprocessing)?)
        });
        Ok(Tensor::cat(&chunks.collect::<Result<Vec<_>>>()?, 0)?)
    }

    /// Computes the features of prepared images `[N, 3, 299, 299]`.
    fn forward(&self, images: Tensor) -> Result<Tensor> {
        let features = if fused::serves(&self.device, DType::F32) {
            network::run(&self.stages, Maps::from_tensor(&images)?)?.to_tensor()?
        } else {
            network::run(&self.stages, images.to_device(&self.device)?)?.to_device(&Device::Cpu)?
        };
        Ok(features.flatten_from(1)?)
    }
}
