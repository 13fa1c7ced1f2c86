//! Draws images from a generator, a chunk at a time.

use anyhow::Result;
use candle_core::Tensor;
use gan_models::{Generator, Latents};
use gan_ops::rng::Stream;

/// Number of images drawn at once. It is large enough to keep the cores busy and small enough to
/// limit the memory.
const CHUNK: usize = 64;

/// Number of columns that makes a grid of `count` images as square as possible.
pub(crate) fn columns(count: usize) -> usize {
    (count as f64).sqrt().ceil() as usize
}

/// Draws images `[n, C, H, W]` in [-1, 1], a chunk at a time. The i-th image depends on the seed
/// and on i, not on the number of images. Only rounding may differ: a matrix product of another
/// size may add in another order.
#[derive(Debug)]
pub(crate) struct Drawing<'a> {
    generator: &'a Generator,
    inputs: Inputs,
    count: usize,
    /// Present if the generator has classes and its latents come from a seed.
    labels: Option<Labels>,
}

/// The class of each image.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Labels {
    /// This number of classes, in turn: 0, 1, 2, ...
    InTurn(usize),
    /// This class for every image.
    One(u8),
    /// This number of images of class 0, then as many of class 1, and so on.
    Rows(usize),
}

impl Labels {
    fn of(self, index: usize) -> u8 {
        match self {
            Self::InTurn(classes) => (index % classes) as u8,
            Self::One(class) => class,
            Self::Rows(each) => (index / each) as u8,
        }
    }
}

/// The input of the generator.
#[derive(Debug)]
enum Inputs {
    Given(Tensor),
    Seeded(Box<Stream>, Latents),
}

impl<'a> Drawing<'a> {
    /// Draws `count` images from the latents of `seed`. A generator with classes draws the classes
    /// in turn.
    pub(crate) fn seeded(generator: &'a Generator, seed: u64, count: usize) -> Self {
        let latents = generator.config().latents();
        let labels = latents.classes().map(Labels::InTurn);
        let inputs = Inputs::Seeded(Box::new(Stream::new(seed, "sample", 0)), latents);
        Self { generator, inputs, count, labels }
    }

    /// Draws one image for each row of `latents: [N, latent_dim]`. If the generator has classes,
    /// each row ends with the elements of its class.
    pub(crate) fn of_latents(generator: &'a Generator, latents: Tensor) -> Result<Self> {
        Ok(Self { generator, count: latents.dim(0)?, inputs: Inputs::Given(latents), labels: None })
    }

    /// Draws images of these classes from the same seed.
    pub(crate) fn of_classes(self, labels: Labels) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// Draws latents again so that no element is farther from 0 than `limit`. It changes nothing
    /// without a limit or with given latents.
    pub(crate) fn truncated(mut self, limit: Option<f64>) -> Result<Self> {
        if let (Inputs::Seeded(_, latents), Some(limit)) = (&mut self.inputs, limit) {
            *latents = latents.truncated(limit)?;
        }
        Ok(self)
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The requested class of each image, if the generator has classes and the latents come from a
    /// seed.
    pub(crate) fn labels(&self) -> Option<Vec<u8>> {
        self.labels.map(|labels| (0..self.count).map(|index| labels.of(index)).collect())
    }

    /// Shape `[N, C, H, W]` of all images.
    pub(crate) fn shape(&self) -> [usize; 4] {
        let [channels, height, width] = self.generator.config().image_shape();
        [self.count, channels, height, width]
    }

    /// The images in order, in chunks.
    pub(crate) fn chunks(mut self) -> impl Iterator<Item = Result<Tensor>> + use<'a> {
        (0..self.count).step_by(CHUNK).map(move |start| {
            let n = CHUNK.min(self.count - start);
            let z = match (&mut self.inputs, self.labels) {
                (Inputs::Given(latents), _) => latents.narrow(0, start, n)?,
                (Inputs::Seeded(stream, latents), Some(labels)) => {
                    let labels: Vec<u8> = (start..start + n).map(|index| labels.of(index)).collect();
                    latents.draw_of(stream, &labels, self.generator.device())?
                }
                (Inputs::Seeded(stream, latents), None) => {
                    latents.draw(stream, n, self.generator.device())?
                }
            };
            Ok(self.generator.generate(&z)?)
        })
    }
}
