//! What D sees of images, and the way of its gradient back to them.

use crate::augment::{self, Place};
use crate::config::TrainConfig;
use crate::error::Result;
use candle_core::Tensor;
use gan_models::Batch;
use gan_ops::rng::Stream;
use std::borrow::Cow;

/// How D sees images in one step: pure functions of the seed and the update.
#[derive(Debug)]
pub(crate) struct Views<'a> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) seed: u64,
    /// Of an image, `[C, H, W]`.
    pub(crate) shape: [usize; 3],
}

/// How D sees one batch. Without any settings, as it is.
#[derive(Debug)]
pub(crate) struct View {
    places: Option<Vec<Place>>,
    shape: [usize; 3],
}

impl Views<'_> {
    /// For `images: [B, C, H, W]` of the update that many updates of the player came before. `whose` tells the batches of an
    /// update apart.
    pub(crate) fn draw(&self, whose: &str, update: u64, images: &Batch) -> Result<View> {
        let [_, height, width] = self.shape;
        let places = self.config.augment.map(|augment| {
            let mut stream = Stream::new(self.seed, &format!("augment/{whose}"), update);
            augment.places(&mut stream, images.samples()?, [height, width])
        });
        Ok(View { places: places.transpose()?, shape: self.shape })
    }
}

impl View {
    /// The images, `[B, C, H, W]`, as D sees them.
    pub(crate) fn show<'a>(&self, images: &'a Batch) -> Result<Cow<'a, Batch>> {
        let Some(places) = &self.places else { return Ok(Cow::Borrowed(images)) };
        Ok(Cow::Owned(self.map(images, |images| augment::show(places, &images, self.shape))?))
    }

    /// The gradient of the images, from that of what D saw.
    pub(crate) fn back(&self, gradient: Batch) -> Result<Batch> {
        let Some(places) = &self.places else { return Ok(gradient) };
        self.map(&gradient, |gradient| augment::back(places, &gradient, self.shape))
    }

    /// In plain slices: candle's element-wise operations cost more than the images have to give.
    fn map(&self, batch: &Batch, f: impl FnOnce(Vec<f32>) -> Vec<f32>) -> Result<Batch> {
        let tensor = batch.to_tensor()?;
        let [channels, height, width] = self.shape;
        let shape = (tensor.dim(0)?, channels, height, width);
        let values = f(tensor.flatten_all()?.to_vec1()?);
        Ok(Batch::new(&Tensor::from_vec(values, shape, tensor.device())?)?)
    }
}
