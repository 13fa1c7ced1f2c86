//! The classifier and its file. The inputs of the classifier's last layer are the features with
//! which images are compared.
//!
//! Inception's features mean nothing on digits, and its weights must be downloaded. This network
//! is small and is trained on the images of the data set. This crate includes the trained
//! classifiers of digits and of clothes. `gan-cli train-classifier` trains one on any images with
//! labels.

mod record;

pub use record::{Record, SIDE, SIDES};

use crate::Look;
use crate::error::{MetricsError, Result};
use crate::triangle::resize;
use candle_core::{D, Device, Tensor};
use gan_models::{
    Batch, Convolution, Gradients, Layer, ModelError, Params, Prepared, Sequential, check_described,
    described, parse_tensors,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Side of digits with a frame of black pixels. The frame makes the side divisible by two several
/// times.
const FRAMED: usize = 32;
/// Number of features of an image, or of each of its channels if these are classified separately.
pub const FEATURES: usize = 64;
/// Number of images that pass through the network at once. It is large enough to keep the cores
/// busy and small enough to limit the memory.
pub const CHUNK: usize = 256;
/// Names of the classifiers in this crate.
pub const PINNED: [&str; 2] = ["mnist", "fashion-mnist"];
/// Side of the smallest maps of the network.
const LAST_SIDE: usize = 4;
/// Marks a file as a classifier file.
const KIND: &str = "classifier";

/// A small convolutional network.
#[derive(Debug, Clone)]
pub struct Classifier {
    record: Record,
    network: Sequential,
    features: Sequential,
    head: Sequential,
    params: Params,
    device: Device,
}

#[derive(Serialize, Deserialize)]
struct Description {
    kind: String,
    record: Record,
    /// SHA-256 of the values of the tensors. Empty in files of earlier versions.
    #[serde(default)]
    sha256: String,
}

/// The layers for images of this size and number of channels. Strided convolutions replace pooling,
/// so that the project's own layers are enough.
fn layers(record: &Record) -> Vec<Layer> {
    let mut layers = vec![];
    let mut block = |inputs, outputs, kernel, stride| {
        layers.extend([
            Layer::Conv2d(Convolution {
                inputs,
                outputs,
                kernel,
                stride,
                padding: 1,
                bias: false,
                deviation: 0.02,
            }),
            Layer::BatchNorm2d { channels: outputs },
            Layer::Relu,
        ]);
    };
    block(record.channels, 32, 4, 2);
    block(32, 32, 3, 1);
    block(32, 64, 4, 2);
    block(64, 64, 3, 1);
    let mut side = record.size / 4;
    while side > LAST_SIDE {
        let kernel = if side.is_multiple_of(2) { 4 } else { 3 };
        block(64, 64, kernel, 2);
        side = side.div_ceil(2);
    }
    layers.extend([
        Layer::Flatten,
        Layer::Linear { inputs: 64 * LAST_SIDE * LAST_SIDE, outputs: FEATURES },
        Layer::LeakyRelu(0.1),
        Layer::Linear { inputs: FEATURES, outputs: record.classes },
    ]);
    layers
}

impl Classifier {
    /// Makes a network with initial weights. They are a pure function of the record's seed, size,
    /// and numbers of channels and classes.
    ///
    /// # Errors
    /// If there is no network for the record's size and numbers of channels and classes.
    pub fn new(record: Record, device: &Device) -> Result<Self> {
        record.check()?;
        let (network, params) = Sequential::seeded(&layers(&record), record.seed, KIND, device)?;
        Self::from_parts(record, network, params, device)
    }

    /// Loads the classifier of digits in this crate. `assets/README.md` says how it was trained.
    ///
    /// # Errors
    /// If the crate was built from a damaged asset.
    pub fn mnist(device: &Device) -> Result<Self> {
        let path = Path::new("assets/mnist-classifier.safetensors");
        let bytes = include_bytes!("../assets/mnist-classifier.safetensors");
        Self::parse(path, bytes, device)
    }

    /// Loads the classifier of Fashion-MNIST's clothes in this crate. `assets/README.md` says how
    /// it was trained.
    ///
    /// # Errors
    /// If the crate was built from a damaged asset.
    pub fn fashion_mnist(device: &Device) -> Result<Self> {
        let path = Path::new("assets/fashion-mnist-classifier.safetensors");
        let bytes = include_bytes!("../assets/fashion-mnist-classifier.safetensors");
        Self::parse(path, bytes, device)
    }

    /// Loads a classifier in this crate by the name of its training data, which is one of
    /// [`PINNED`].
    ///
    /// # Errors
    /// If the name is not one of them, or the crate was built from a damaged asset.
    pub fn pinned(name: &str, device: &Device) -> Result<Self> {
        match name {
            "mnist" => Self::mnist(device),
            "fashion-mnist" => Self::fashion_mnist(device),
            _ => Err(MetricsError::input("classifier", format!("one of {}", PINNED.join(", ")), name)),
        }
    }

    /// Reads a file that [`Self::save`] wrote.
    ///
    /// # Errors
    /// If the file is missing, truncated or damaged, is not a classifier's file, or contains tensors
    /// that do not fit.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::parse(path, &gan_files::read(path).map_err(ModelError::from)?, device)
    }

    /// Writes the weights and the record. After a failure there is no partial file.
    ///
    /// # Errors
    /// If the path cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(gan_files::write_atomically(path, &self.to_bytes()?).map_err(ModelError::from)?)
    }

    /// The bytes of the file that [`Self::save`] writes.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let description = |sha256| Description { kind: KIND.to_owned(), record: self.record.clone(), sha256 };
        Ok(described(Path::new(KIND), self.params.state_dict(), description)?)
    }

    fn parse(path: &Path, bytes: &[u8], device: &Device) -> Result<Self> {
        let (tensors, json) = parse_tensors(path, bytes)?;
        let json = json.unwrap_or_default();
        let description = serde_json::from_str::<Description>(&json).ok();
        let description = description.filter(|description| description.kind == KIND).ok_or_else(|| {
            ModelError::file(path, "is no classifier: expected a file that `train-classifier` wrote")
        })?;
        check_described(path, bytes, &json, &description.sha256)?;
        description.record.check().map_err(|error| ModelError::file(path, error))?;
        let layers = layers(&description.record);
        let (network, params) =
            Sequential::from_tensors(&layers, tensors, device).map_err(|e| ModelError::file(path, e))?;
        Self::from_parts(description.record, network, params, device)
    }

    fn from_parts(record: Record, network: Sequential, params: Params, device: &Device) -> Result<Self> {
        let (features, head) = network.split_at(layers(&record).len() - 1)?;
        Ok(Self { record, network, features, head, params, device: device.clone() })
    }

    /// Computes what the metrics need from `images: [N, C, H, W]` in [-1, 1]: features, class
    /// probabilities, and pixels at 28x28. Pass some hundred images at a time.
    ///
    /// A classifier of colours sees the channels together, and gray images have three equal channels
    /// for it. The features are `[N, 64]`, and an image has one class. A classifier of gray images
    /// classifies each channel separately. The features, `[N, 64 C]`, are then those of the channels
    /// in order. So an image of three digits as red, green and blue has 192 features and three
    /// classes.
    ///
    /// # Errors
    /// If the shape is different.
    pub fn look(&self, images: &Tensor) -> Result<Look> {
        let (count, channels, _, _) = images.dims4()?;
        let images = images.detach().to_device(&self.device)?;
        let Record { size, channels: own, .. } = self.record;
        let pixels = at_side(&images)?;
        let resized = match (own, size) {
            (1, SIDE) => pixels.clone(),
            _ => resize(&images, size)?,
        };
        let read = match (own, channels) {
            (1, _) => resized.reshape((count * channels, 1, size, size))?,
            (_, 1) => resized.repeat((1, own, 1, 1))?,
            _ => resized,
        };
        let (features, logits) = self.forward(&read)?;
        Ok(Look {
            features: features.reshape((count, ()))?,
            probabilities: Some(softmax(&logits)?),
            pixels: pixels.flatten_from(1)?,
        })
    }

    /// Computes features and logits in evaluation mode, for `images: [N, C, S, S]` in [-1, 1] of the
    /// record's number of channels and size. Returns `[N, 64]` and `[N, classes]`.
    ///
    /// # Errors
    /// If the shape is different.
    pub fn forward(&self, images: &Tensor) -> Result<(Tensor, Tensor)> {
        let [channels, size, _] = self.shape();
        if images.dims().get(1..) != Some(&self.shape()) {
            let expected = format!("[N, {channels}, {size}, {size}]");
            return Err(MetricsError::input("images", expected, format!("{:?}", images.dims())));
        }
        let features = self.features.prepare(&self.shape(), &[FEATURES])?.evaluate(&Batch::new(images)?)?;
        let logits = self.head.prepare(&[FEATURES], &[self.record.classes])?.evaluate(&features)?;
        let flat = |batch: &Batch| batch.to_tensor()?.flatten_from(1);
        Ok((flat(&features)?, flat(&logits)?))
    }

    /// The shape of an image that the network reads, `[C, S, S]`.
    fn shape(&self) -> [usize; 3] {
        [self.record.channels, self.record.size, self.record.size]
    }

    /// Prepares the whole network for training, from images as in [`Self::forward`] to logits.
    ///
    /// # Errors
    /// None in practice.
    pub fn prepare(&self) -> Result<Prepared<'_>> {
        Ok(self.network.prepare(&self.shape(), &[self.record.classes])?)
    }

    /// Returns gradients for the classifier's parameters, all zero.
    #[must_use]
    pub fn gradients(&self) -> Gradients {
        Gradients::new(&self.params)
    }

    /// The weights and running statistics.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// How the classifier was trained.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns the same network with another record, for example with the accuracy after training.
    #[must_use]
    pub fn with_record(self, record: Record) -> Self {
        Self { record, ..self }
    }
}

/// Computes the softmax of `logits: [N, K]`. Each row of the result sums to 1.
fn softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let powers = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
}

/// Resizes `images: [N, C, H, W]` to `[N, C, 28, 28]`, as [`Classifier::look`] does. 32x32 images
/// are digits with a frame, which is cut off. Others are resized with a bilinear filter. If they
/// are at least twice as large, whole blocks are averaged first.
///
/// # Errors
/// If the rank is different.
pub fn at_side(images: &Tensor) -> candle_core::Result<Tensor> {
    let (_, _, height, width) = images.dims4()?;
    if (height, width) == (SIDE, SIDE) {
        return Ok(images.clone());
    }
    if (height, width) == (FRAMED, FRAMED) {
        let frame = (FRAMED - SIDE) / 2;
        return images.narrow(2, frame, SIDE)?.narrow(3, frame, SIDE);
    }
    let factor = (height.min(width) / SIDE).max(1);
    let images = if factor > 1 { images.avg_pool2d(factor)? } else { images.clone() };
    images.upsample_bilinear2d(SIDE, SIDE, false)
}
