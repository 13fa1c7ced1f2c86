//! The classifier whose penultimate features are the space in which images are compared, and its file.
//!
//! Inception's features mean nothing on digits, and its weights are a download; this network is small, trained on the
//! images in question, and the digits' one is inside the crate.

use crate::error::{MetricsError, Result};
use candle_core::{D, Device, Tensor};
use gan_models::{
    Batch, Convolution, Gradients, Layer, ModelError, Params, Prepared, Sequential, parse_tensors,
    read_tensors, write_tensors,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Side of the images that it reads; others are resized.
pub const SIDE: usize = 28;
/// Side of digits to which layers that halve gave a frame of black pixels.
const FRAMED: usize = 32;
/// Features of one channel of an image.
pub const FEATURES: usize = 64;
/// Images that pass at once: enough to keep the cores busy, little enough to bound the memory.
pub const CHUNK: usize = 256;
/// Names of the classifiers inside this crate.
pub const PINNED: [&str; 2] = ["mnist", "fashion-mnist"];
/// What marks a classifier's file.
const KIND: &str = "classifier";

/// A small convolutional network for 28x28 gray images.
#[derive(Debug, Clone)]
pub struct Classifier {
    record: Record,
    network: Sequential,
    features: Sequential,
    head: Sequential,
    params: Params,
    device: Device,
}

/// How a classifier was trained, and what it then reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// Name of the data.
    pub data: String,
    /// Number of classes.
    pub classes: usize,
    /// Training images.
    pub images: u64,
    /// Passes over them.
    pub epochs: u64,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// Share of the held-out images whose class it names.
    pub test_accuracy: f64,
}

/// Images as the metrics see them.
#[derive(Debug, Clone)]
pub struct Look {
    /// `[N, 64 C]`.
    pub features: Tensor,
    /// `[N C, classes]`, the channels of an image after each other; rows sum to 1.
    pub probabilities: Tensor,
    /// `[N, 784 C]` in [-1, 1].
    pub pixels: Tensor,
}

#[derive(Serialize, Deserialize)]
struct Description {
    kind: String,
    record: Record,
}

/// Position of the last product in [`layers`], whose input are the features.
const HEAD: usize = 18;

/// Convolutions in place of pooling, so that the project's own layers serve.
fn layers(classes: usize) -> Vec<Layer> {
    let conv = |inputs, outputs, kernel, stride| {
        Layer::Conv2d(Convolution {
            inputs,
            outputs,
            kernel,
            stride,
            padding: 1,
            bias: false,
            deviation: 0.02,
        })
    };
    let norm = |channels| Layer::BatchNorm2d { channels };
    vec![
        conv(1, 32, 4, 2),
        norm(32),
        Layer::Relu,
        conv(32, 32, 3, 1),
        norm(32),
        Layer::Relu,
        conv(32, 64, 4, 2),
        norm(64),
        Layer::Relu,
        conv(64, 64, 3, 1),
        norm(64),
        Layer::Relu,
        conv(64, 64, 3, 2),
        norm(64),
        Layer::Relu,
        Layer::Flatten,
        Layer::Linear { inputs: 64 * 4 * 4, outputs: FEATURES },
        Layer::LeakyRelu(0.1),
        Layer::Linear { inputs: FEATURES, outputs: classes },
    ]
}

impl Classifier {
    /// Fresh weights: a pure function of the record's number of classes and seed.
    ///
    /// # Errors
    /// None in practice.
    pub fn new(record: Record, device: &Device) -> Result<Self> {
        let (network, params) = Sequential::seeded(&layers(record.classes), record.seed, KIND, device)?;
        Self::from_parts(record, network, params, device)
    }

    /// The digits' classifier inside this crate; `assets/README.md` says how it was trained.
    ///
    /// # Errors
    /// A crate that was built from a damaged asset.
    pub fn mnist(device: &Device) -> Result<Self> {
        let path = Path::new("assets/mnist-classifier.safetensors");
        let bytes = include_bytes!("../assets/mnist-classifier.safetensors");
        Self::parse(path, parse_tensors(path, bytes)?, device)
    }

    /// That of Fashion-MNIST's clothes, likewise.
    ///
    /// # Errors
    /// A crate that was built from a damaged asset.
    pub fn fashion_mnist(device: &Device) -> Result<Self> {
        let path = Path::new("assets/fashion-mnist-classifier.safetensors");
        let bytes = include_bytes!("../assets/fashion-mnist-classifier.safetensors");
        Self::parse(path, parse_tensors(path, bytes)?, device)
    }

    /// One of those inside this crate, by the name of the data that it learned on: one of [`PINNED`].
    ///
    /// # Errors
    /// Another name; a crate that was built from a damaged asset.
    pub fn pinned(name: &str, device: &Device) -> Result<Self> {
        match name {
            "mnist" => Self::mnist(device),
            "fashion-mnist" => Self::fashion_mnist(device),
            _ => Err(MetricsError::input("classifier", format!("one of {}", PINNED.join(", ")), name)),
        }
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// A file that is not there, truncated, not a classifier's, or whose tensors do not fit.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        Self::parse(path, read_tensors(path)?, device)
    }

    /// Writes the weights with their record; the file is complete or not there.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let description = Description { kind: KIND.to_owned(), record: self.record.clone() };
        let json = serde_json::to_string(&description).map_err(|e| ModelError::file(path, e))?;
        Ok(write_tensors(path, self.params.state_dict(), Some(json))?)
    }

    fn parse(
        path: &Path,
        (tensors, json): (HashMap<String, Tensor>, Option<String>),
        device: &Device,
    ) -> Result<Self> {
        let description = json.and_then(|json| serde_json::from_str::<Description>(&json).ok());
        let description =
            description.filter(|d| d.kind == KIND && d.record.classes > 0).ok_or_else(|| {
                ModelError::file(path, "is no classifier: expected a file that `train-classifier` wrote")
            })?;
        let layers = layers(description.record.classes);
        let (network, params) =
            Sequential::from_tensors(&layers, tensors, device).map_err(|e| ModelError::file(path, e))?;
        Self::from_parts(description.record, network, params, device)
    }

    fn from_parts(record: Record, network: Sequential, params: Params, device: &Device) -> Result<Self> {
        let (features, head) = network.split_at(HEAD)?;
        Ok(Self { record, network, features, head, params, device: device.clone() })
    }

    /// What the metrics compare of `images: [N, C, H, W]` in [-1, 1], of which some hundred at a time are enough: their
    /// features, class probabilities and pixels at 28x28.
    ///
    /// Each channel is classified by itself, and the features of an image are those of its channels in order. So gray
    /// images have 64, and an image of three digits as red, green and blue has 192, and three classes.
    ///
    /// # Errors
    /// Another shape.
    pub fn look(&self, images: &Tensor) -> Result<Look> {
        let (count, channels, _, _) = images.dims4()?;
        let images = at_side(&images.detach().to_device(&self.device)?)?;
        let (features, logits) = self.forward(&images.reshape((count * channels, 1, SIDE, SIDE))?)?;
        Ok(Look {
            features: features.reshape((count, channels * FEATURES))?,
            probabilities: softmax(&logits)?,
            pixels: images.flatten_from(1)?,
        })
    }

    /// Features and logits in evaluation. `planes: [N, 1, 28, 28]` in [-1, 1]; returns `[N, 64]` and `[N, classes]`.
    ///
    /// # Errors
    /// Another shape.
    pub fn forward(&self, planes: &Tensor) -> Result<(Tensor, Tensor)> {
        let shape = [1, SIDE, SIDE];
        if planes.dims().get(1..) != Some(&shape) {
            return Err(MetricsError::input("images", "[N, 1, 28, 28]", format!("{:?}", planes.dims())));
        }
        let features = self.features.prepare(&shape, &[FEATURES])?.evaluate(&Batch::new(planes)?)?;
        let logits = self.head.prepare(&[FEATURES], &[self.record.classes])?.evaluate(&features)?;
        let flat = |batch: &Batch| batch.to_tensor()?.flatten_from(1);
        Ok((flat(&features)?, flat(&logits)?))
    }

    /// The whole network, images `[N, 1, 28, 28]` in and logits out: for training it.
    ///
    /// # Errors
    /// None in practice.
    pub fn prepare(&self) -> Result<Prepared<'_>> {
        Ok(self.network.prepare(&[1, SIDE, SIDE], &[self.record.classes])?)
    }

    /// Gradients of zero for its parameters.
    #[must_use]
    pub fn gradients(&self) -> Gradients {
        Gradients::new(&self.params)
    }

    /// Its weights and running statistics.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// How it was trained.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The same network with what its training reached.
    #[must_use]
    pub fn with_record(self, record: Record) -> Self {
        Self { record, ..self }
    }
}

/// Rows sum to 1. `logits: [N, K]`.
fn softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let powers = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
}

/// `images: [N, C, H, W]` as [`Classifier::look`] sees them, `[N, C, 28, 28]`. 32x32 are digits with a frame, which is cut
/// off; else bilinear, after the mean of whole blocks where images are twice as large or more.
///
/// # Errors
/// Another rank.
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
