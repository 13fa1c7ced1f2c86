//! Images from a generator, a chunk at a time.

use anyhow::Result;
use candle_core::Tensor;
use gan_models::{Generator, Latents};
use gan_ops::rng::Stream;

/// Images drawn at once: enough to keep the cores busy, little enough to bound the memory.
const CHUNK: usize = 64;

/// Columns of a grid of `count` images that is as square as it gets.
pub(crate) fn columns(count: usize) -> usize {
    (count as f64).sqrt().ceil() as usize
}

/// Images `[n, C, H, W]` in [-1, 1], a chunk at a time. Which image comes i-th depends on the seed and
/// i, not on how many are drawn, but for rounding: a product of other dimensions may add in another order.
#[derive(Debug)]
pub(crate) struct Images<'a> {
    generator: &'a Generator,
    source: Source,
    count: usize,
    /// Where the generator has classes.
    labels: Option<Labels>,
}

/// Which class each image is to be of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Labels {
    /// Of so many classes, one after the other.
    InTurn(usize),
    /// All of one.
    One(u8),
    /// So many of the first, as many of the next.
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

#[derive(Debug)]
enum Source {
    Given(Tensor),
    Seeded(Box<Stream>, Latents),
}

impl<'a> Images<'a> {
    /// `count` images from the latents of `seed`; of a generator with classes, one of each in turn.
    pub(crate) fn seeded(generator: &'a Generator, seed: u64, count: usize) -> Self {
        let latents = generator.config().latents();
        let labels = latents.classes().map(Labels::InTurn);
        let source = Source::Seeded(Box::new(Stream::new(seed, "sample", 0)), latents);
        Self { generator, source, count, labels }
    }

    /// An image of each of the latents `[N, latent_dim]`, with labels behind them where the generator has classes.
    pub(crate) fn of_latents(generator: &'a Generator, latents: Tensor) -> Result<Self> {
        Ok(Self { generator, count: latents.dim(0)?, source: Source::Given(latents), labels: None })
    }

    /// The same seed's images of these classes.
    pub(crate) fn of_classes(self, labels: Labels) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// No element of a seed's latents farther from 0 than `limit`, if there is one.
    pub(crate) fn truncated(mut self, limit: Option<f64>) -> Result<Self> {
        if let (Source::Seeded(_, latents), Some(limit)) = (&mut self.source, limit) {
            *latents = latents.truncated(limit)?;
        }
        Ok(self)
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What each image was asked to be, where the generator has classes and chose the latents.
    pub(crate) fn labels(&self) -> Option<Vec<u8>> {
        self.labels.map(|labels| (0..self.count).map(|index| labels.of(index)).collect())
    }

    /// `[N, C, H, W]`.
    pub(crate) fn shape(&self) -> [usize; 4] {
        let [channels, height, width] = self.generator.config().image_shape();
        [self.count, channels, height, width]
    }

    /// The images in order.
    pub(crate) fn chunks(mut self) -> impl Iterator<Item = Result<Tensor>> + use<'a> {
        (0..self.count).step_by(CHUNK).map(move |start| {
            let n = CHUNK.min(self.count - start);
            let z = match (&mut self.source, self.labels) {
                (Source::Given(latents), _) => latents.narrow(0, start, n)?,
                (Source::Seeded(stream, latents), Some(labels)) => {
                    let labels: Vec<u8> = (start..start + n).map(|index| labels.of(index)).collect();
                    latents.draw_of(stream, &labels, self.generator.device())?
                }
                (Source::Seeded(stream, latents), None) => {
                    latents.draw(stream, n, self.generator.device())?
                }
            };
            Ok(self.generator.generate(&z)?)
        })
    }
}
