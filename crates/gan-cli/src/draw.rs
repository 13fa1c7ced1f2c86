//! Draws images from a generator, a chunk at a time.

use anyhow::{Result, bail};
use candle_core::Tensor;
use gan_data::Dataset;
use gan_models::{Generator, Latents, ModelConfig, proportional_labels};
use gan_ops::rng::Stream;

/// Number of images drawn at once. It is large enough to keep the cores busy and small enough to
/// limit the memory.
pub(crate) const CHUNK: usize = 64;

/// Number of columns that makes a grid of `count` images as square as possible.
pub(crate) fn columns(count: usize) -> usize {
    (count as f64).sqrt().ceil() as usize
}

/// The number of images of each of the model's classes. Empty if the model has no classes. The data may have more
/// classes, if the last ones have no images.
pub(crate) fn class_counts(model: &ModelConfig, data: &Dataset) -> Vec<u64> {
    let counts = data.class_counts().unwrap_or_default();
    counts.into_iter().take(model.classes.unwrap_or(0)).map(|count| count as u64).collect()
}

/// Draws images `[n, C, H, W]` in [-1, 1], a chunk at a time. The i-th image depends on the seed
/// and on i, not on the number of images. Only rounding may differ: a matrix product of another
/// size may add in another order.
#[derive(Debug)]
pub(crate) struct Drawing<'a> {
    generator: &'a Generator,
    inputs: Inputs,
    count: usize,
    /// Present if the generator has classes, except for given latents that contain their classes.
    labels: Option<Labels>,
}

/// The class of each image.
#[derive(Debug, Clone)]
pub(crate) enum Labels {
    /// This number of classes, in turn: 0, 1, 2, ...
    InTurn(usize),
    /// This class for every image.
    One(u16),
    /// This number of images of class 0, then as many of class 1, and so on.
    Rows(usize),
    /// These, one for each image.
    Listed(Vec<u16>),
}

impl Labels {
    pub(crate) fn of(&self, index: usize) -> u16 {
        match self {
            Self::InTurn(classes) => (index % classes) as u16,
            Self::One(class) => *class,
            Self::Rows(each) => (index / each) as u16,
            Self::Listed(labels) => labels[index],
        }
    }
}

/// The input of the generator.
#[derive(Debug)]
enum Inputs {
    /// One row for each image. If there are fewer rows, they are used again from the first.
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
    /// each row ends with the elements of its class, or [`Self::of_classes`] adds them.
    pub(crate) fn of_latents(generator: &'a Generator, latents: Tensor) -> Result<Self> {
        Ok(Self { generator, count: latents.dim(0)?, inputs: Inputs::Given(latents), labels: None })
    }

    /// Draws `count` images of these classes from the same seed or latents.
    pub(crate) fn of_classes(self, labels: Labels, count: usize) -> Self {
        Self { labels: Some(labels), count, ..self }
    }

    /// Draws each class as often as it is among the training images, of which there are so many of each class. It
    /// changes nothing for a generator without classes, or with another number of them.
    pub(crate) fn with_class_counts(mut self, class_counts: &[u64]) -> Self {
        if self.model().classes == Some(class_counts.len()) {
            self.labels = Some(Labels::Listed(proportional_labels(class_counts, self.count)));
        }
        self
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

    /// The generator's model.
    pub(crate) fn model(&self) -> &'a ModelConfig {
        self.generator.config()
    }

    /// The requested class of each image, if the generator has classes and the latents come from a
    /// seed.
    pub(crate) fn labels(&self) -> Option<Vec<u16>> {
        self.labels.as_ref().map(|labels| (0..self.count).map(|index| labels.of(index)).collect())
    }

    /// Shape `[N, C, H, W]` of all images.
    pub(crate) fn shape(&self) -> [usize; 4] {
        let [channels, height, width] = self.generator.config().image_shape();
        [self.count, channels, height, width]
    }

    /// The images in order, in chunks. An overflow in the generator is an error that names its
    /// cause.
    pub(crate) fn chunks(self) -> impl Iterator<Item = Result<Tensor>> + use<'a> {
        self.chunks_of([0, 1])
    }

    /// The chunks of one of several ranks, which draw them in turn.
    pub(crate) fn chunks_of(
        mut self,
        [rank, ranks]: [usize; 2],
    ) -> impl Iterator<Item = Result<Tensor>> + use<'a> {
        let mut has_large_weights = None;
        (0..self.count).step_by(CHUNK).enumerate().filter_map(move |(i, start)| {
            // The latents of the others are drawn too, as those of a seed come in order.
            let z = self.next(start, CHUNK.min(self.count - start));
            let mut images = |z: Tensor| self.images(start, &z, &mut has_large_weights);
            (i % ranks == rank).then(|| z.and_then(&mut images))
        })
    }

    /// The images of the chunk that begins with the image `start`.
    fn images(&self, start: usize, z: &Tensor, has_large_weights: &mut Option<bool>) -> Result<Tensor> {
        let has_large_weights = match has_large_weights {
            Some(known) => *known,
            None => *has_large_weights.insert(largest_weight(self.generator)?.1 > LARGE),
        };
        let images = self.generator.generate(z)?;
        // Pixels are in [-1, 1], so only a pixel that is not finite makes such a sum. The last
        // layer hides an infinite activation, because its result is 1 then.
        let is_finite = images.sum_all()?.to_scalar::<f32>()?.is_finite();
        let is_large = has_large_weights || largest(z)? > LARGE;
        if !is_finite || (is_large && overflows(self.generator, z)?) {
            bail!("{}", self.cause(z, start)?)
        }
        Ok(images)
    }

    /// The inputs of `n` images from the image `start` on. A seed's come in order.
    fn next(&mut self, start: usize, n: usize) -> Result<Tensor> {
        let device = self.generator.device();
        let indices = start..start + n;
        let labels: Option<Vec<u16>> =
            self.labels.as_ref().map(|labels| indices.clone().map(|index| labels.of(index)).collect());
        Ok(match (&mut self.inputs, labels) {
            (Inputs::Given(latents), labels) => {
                let rows = latents.dim(0)?;
                let rows: Vec<u32> = indices.map(|index| (index % rows) as u32).collect();
                let z = latents.index_select(&Tensor::new(rows, device)?, 0)?;
                match labels {
                    Some(labels) => self.generator.config().latents().with_labels(&z, &labels)?,
                    None => z,
                }
            }
            (Inputs::Seeded(stream, latents), Some(labels)) => latents.draw_of(stream, &labels, device)?,
            (Inputs::Seeded(stream, latents), None) => latents.draw(stream, n, device)?,
        })
    }

    /// Why the generator overflows at an image: its given latent or the weights. `z` has the inputs
    /// of the images from `start` on.
    fn cause(&self, z: &Tensor, start: usize) -> Result<String> {
        let mut at = 0;
        while at + 1 < z.dim(0)? && !overflows(self.generator, &z.narrow(0, at, 1)?)? {
            at += 1;
        }
        let image = start + at;
        if let Inputs::Given(latents) = &self.inputs {
            let mut stream = Stream::new(0, "sample", 0);
            let usual = self.generator.config().latents().draw(&mut stream, 1, self.generator.device())?;
            if !overflows(self.generator, &usual)? {
                let (row, most) = (image % latents.dim(0)?, largest(&z.get(at)?)?);
                return Ok(format!(
                    "--latents: row {row} (from 0) overflows in the generator: its values reach {most:e}"
                ));
            }
        }
        let (name, most) = largest_weight(self.generator)?;
        Ok(format!("image {image} overflows: the generator's tensor {name} reaches {most:e}"))
    }
}

/// A usual magnitude of weights and latents is below 100. Only from this one on is it worth the time
/// to look for an overflow inside the network.
const LARGE: f32 = 1e6;

fn overflows(generator: &Generator, z: &Tensor) -> Result<bool> {
    Ok(!generator.largest_activation(z)?.is_finite())
}

/// The name and the value of the largest weight.
fn largest_weight(generator: &Generator) -> Result<(&str, f32)> {
    let mut most = ("", 0.);
    for (name, var) in generator.params().trained() {
        let of_this = largest(var)?;
        if of_this > most.1 {
            most = (name, of_this);
        }
    }
    Ok(most)
}

/// The largest magnitude.
fn largest(tensor: &Tensor) -> Result<f32> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.into_iter().map(f32::abs).fold(0., f32::max))
}
