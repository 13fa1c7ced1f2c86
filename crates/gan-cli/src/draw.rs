//! Images from a generator, a chunk at a time.

use anyhow::Result;
use candle_core::Tensor;
use gan_models::Generator;
use gan_ops::rng::Stream;

/// Images drawn at once: enough to keep the cores busy, little enough to bound the memory.
const CHUNK: usize = 64;

/// Images `[n, C, H, W]` in [-1, 1], a chunk at a time. Which image comes i-th depends on the seed and
/// i, not on how many are drawn, but for rounding: a product of other dimensions may add in another order.
#[derive(Debug)]
pub(crate) struct Images<'a> {
    generator: &'a Generator,
    latents: Latents,
    count: usize,
}

#[derive(Debug)]
enum Latents {
    Given(Tensor),
    Seeded(Box<Stream>),
}

impl<'a> Images<'a> {
    /// `count` images from the latents of `seed`.
    pub(crate) fn seeded(generator: &'a Generator, seed: u64, count: usize) -> Self {
        Self { generator, latents: Latents::Seeded(Box::new(Stream::new(seed, "sample", 0))), count }
    }

    /// An image of each of the latents `[N, latent_dim]`.
    pub(crate) fn of_latents(generator: &'a Generator, latents: Tensor) -> Result<Self> {
        Ok(Self { generator, count: latents.dim(0)?, latents: Latents::Given(latents) })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
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
            let z = match &mut self.latents {
                Latents::Given(latents) => latents.narrow(0, start, n)?,
                Latents::Seeded(stream) => {
                    stream.normal((n, self.generator.config().latent_dim), self.generator.device())?
                }
            };
            Ok(self.generator.generate(&z)?)
        })
    }
}
