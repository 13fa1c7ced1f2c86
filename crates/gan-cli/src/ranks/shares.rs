//! Work between two steps that the ranks divide: they draw images, and look at the images of an evaluation.

use super::orders::{Leader, Order};
use crate::draw::{CHUNK, Drawing};
use crate::judge::Seen;
use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use gan_metrics::Features;
use gan_models::Generator;
use gan_train::Trainer;
use gan_train::group::PATIENCE;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The generator from which images are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Weights {
    /// The present weights.
    Present,
    /// The average of the weights, if the run keeps one.
    Average,
}

impl Leader {
    /// Draws the images `[N, C, H, W]` of `z: [N, latents]`. Each rank draws a part of them. All ranks have the
    /// `weights` of `generator`.
    pub(crate) fn generate(&self, generator: &Generator, weights: Weights, z: &Tensor) -> Result<Tensor> {
        let ranks = self.group().size();
        if ranks == 1 {
            return Ok(generator.generate(z)?);
        }
        self.send(&Order::Generate(weights))?;
        self.group().broadcast(&mut to_bytes(z)?)?;
        // The answers must be taken before anything can fail.
        let start = Instant::now();
        let own = part(generator, z, [0, ranks]);
        let answers = self.group().gather(&[], Some(patience(start.elapsed())))?;
        let mut images: Vec<_> = own?.into_iter().collect();
        let [channels, height, width] = generator.config().image_shape();
        for (rank, answer) in answers.iter().enumerate().skip(1) {
            let shape = (rows(z.dim(0)?, [rank, ranks]).len(), channels, height, width);
            match from_bytes(answer) {
                _ if shape.0 == 0 => (),
                Some(values) if values.len() == shape.0 * channels * height * width => {
                    images.push(Tensor::from_vec(values, shape, generator.device())?);
                }
                // What a rank cannot do, rank 0 does, and reports the reason if there is one.
                _ => images.extend(part(generator, z, [rank, ranks])?),
            }
        }
        Ok(Tensor::cat(&images, 0)?)
    }

    /// Lets the other ranks look at their part of an evaluation's `count` images. [`Self::seen`] returns what
    /// they saw, and must follow.
    pub(crate) fn look(&self, count: usize) -> Result<()> {
        if self.group().size() > 1 { Ok(self.send(&Order::Look(count))?) } else { Ok(()) }
    }

    /// What each rank saw of an evaluation's images, in order. That of rank 0 is empty, and it looked at its own
    /// for the time `took`.
    pub(crate) fn seen(&self, took: Duration) -> Result<Vec<Vec<u8>>> {
        Ok(self.group().gather(&[], Some(patience(took)))?)
    }
}

/// How long rank 0 waits for the others after its own part of a work, which took the time `own`. The processor of
/// another rank may be slower.
fn patience(own: Duration) -> Duration {
    PATIENCE + 3 * own
}

/// The rows of `count` that `rank` computes.
fn rows(count: usize, [rank, ranks]: [usize; 2]) -> Range<usize> {
    count * rank / ranks..count * (rank + 1) / ranks
}

/// The images of a rank's rows of `z`, if it has any.
fn part(generator: &Generator, z: &Tensor, ranks: [usize; 2]) -> Result<Option<Tensor>> {
    let rows = rows(z.dim(0)?, ranks);
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(generator.generate(&z.narrow(0, rows.start, rows.len())?)?))
}

/// The bytes of a rank's images of latents, which are bytes too.
pub(super) fn drawn(generator: &Generator, latents: &[u8], ranks: [usize; 2]) -> Result<Vec<u8>> {
    let Some(values) = from_bytes(latents) else { bail!("latents of {} bytes", latents.len()) };
    let width = generator.config().latents().width();
    let z = Tensor::from_vec(values, ((), width), generator.device())?;
    part(generator, &z, ranks)?.map_or(Ok(vec![]), |images| to_bytes(&images))
}

/// The images of an evaluation: `count` images that `sampler` draws from `seed`, of classes as frequent as
/// `class_counts` says.
#[derive(Debug, Clone)]
pub(crate) struct Sampled {
    pub(crate) sampler: Generator,
    pub(crate) seed: u64,
    pub(crate) count: usize,
    pub(crate) class_counts: Vec<u64>,
}

impl Sampled {
    pub(crate) fn of(trainer: &Trainer, sampler: &Generator, count: usize) -> Self {
        let (seed, class_counts) = (trainer.seed(), trainer.class_counts().to_vec());
        Self { sampler: sampler.clone(), seed, count, class_counts }
    }

    pub(crate) fn drawing(&self) -> Drawing<'_> {
        Drawing::seeded(&self.sampler, self.seed, self.count).with_class_counts(&self.class_counts)
    }
}

/// What a rank sees of the images, chunk by chunk.
pub(crate) fn look(features: &Features, sampled: &Sampled, ranks: [usize; 2]) -> Result<Vec<Seen>> {
    let images = sampled.drawing().chunks_of(ranks);
    images.map(|images| Ok(Seen::of(features.look(&images?)?))).collect()
}

/// The bytes of [`look`].
pub(super) fn seen_bytes(seen: &[Seen]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    for Seen { features, probabilities } in seen {
        for tensor in [Some(features), probabilities.as_ref()].into_iter().flatten() {
            bytes.extend(to_bytes(tensor)?);
        }
    }
    Ok(bytes)
}

/// What all ranks saw of the images, in the order of the images: from what rank 0 saw, and the answers of all
/// ranks. What a rank did not see, rank 0 looks at.
pub(crate) fn all_seen(
    features: &Features,
    sampled: &Sampled,
    own: Vec<Seen>,
    answers: &[Vec<u8>],
) -> Result<Vec<Seen>> {
    let (ranks, count) = (answers.len(), sampled.count);
    let mut of_rank = vec![own];
    for (rank, answer) in answers.iter().enumerate().skip(1) {
        let seen = match seen_from(answer, &of_rank[0], (count, [rank, ranks]))? {
            Some(seen) => seen,
            None => look(features, sampled, [rank, ranks])?,
        };
        of_rank.push(seen);
    }
    // The ranks looked at the chunks in turn.
    let mut of_rank: Vec<_> = of_rank.into_iter().map(Vec::into_iter).collect();
    Ok((0..count.div_ceil(CHUNK)).filter_map(|i| of_rank[i % ranks].next()).collect())
}

/// The inverse of [`seen_bytes`], for a rank's chunks of `count` images. The tensors have the widths of `like`.
/// `None` if the rank did not see them.
fn seen_from(
    bytes: &[u8],
    like: &[Seen],
    (count, [rank, ranks]): (usize, [usize; 2]),
) -> Result<Option<Vec<Seen>>> {
    let (Some(values), Some(like)) = (from_bytes(bytes), like.first()) else { return Ok(None) };
    let (samples, width) = like.features.dims2()?;
    let per_sample = match &like.probabilities {
        Some(rows) => Some((rows.dim(0)? / samples, rows.dim(1)?)),
        None => None,
    };
    let (mut seen, mut values) = (vec![], values.into_iter());
    for (i, start) in (0..count).step_by(CHUNK).enumerate() {
        if i % ranks != rank {
            continue;
        }
        let n = CHUNK.min(count - start);
        let mut take = |rows: usize, columns: usize| {
            let values: Vec<f32> = values.by_ref().take(rows * columns).collect();
            (values.len() == rows * columns).then(|| Tensor::from_vec(values, (rows, columns), &Device::Cpu))
        };
        let Some(features) = take(n, width) else { return Ok(None) };
        let probabilities = match per_sample {
            Some((rows, classes)) => match take(n * rows, classes) {
                Some(rows) => Some(rows?),
                None => return Ok(None),
            },
            None => None,
        };
        seen.push(Seen { features: features?, probabilities });
    }
    Ok(Some(seen))
}

fn to_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.into_iter().flat_map(f32::to_le_bytes).collect())
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (values, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_metrics::RandomNetwork;
    use gan_models::preset;
    use gan_ops::rng::Stream;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn ranks_see_together_what_one_process_sees() {
        let generator = Generator::new(&preset::mlp_003(8), 1, &Device::Cpu).unwrap();
        let network = Features::Random(RandomNetwork::new(&Device::Cpu).unwrap());
        let digits =
            Features::Classifier(Box::new(gan_metrics::Classifier::pinned("mnist", &Device::Cpu).unwrap()));
        for features in [network, digits] {
            // Candle's own operations are slow.
            let counts: &[usize] =
                if cfg!(feature = "fused") { &[10, 3 * CHUNK, 5 * CHUNK + 7] } else { &[2 * CHUNK + 7] };
            for &count in counts {
                let of = Sampled { sampler: generator.clone(), seed: 3, count, class_counts: vec![] };
                let alone = look(&features, &of, [0, 1]).unwrap();
                for ranks in 1..=4 {
                    let own = || look(&features, &of, [0, ranks]).unwrap();
                    let mut answers: Vec<Vec<u8>> = (0..ranks)
                        .map(|rank| seen_bytes(&look(&features, &of, [rank, ranks]).unwrap()).unwrap())
                        .collect();
                    let check = |answers: &[Vec<u8>]| {
                        let all = all_seen(&features, &of, own(), answers).unwrap();
                        assert_eq!(all.len(), alone.len());
                        for (found, expected) in all.iter().zip(&alone) {
                            assert!(values(&found.features) == values(&expected.features));
                            let sure = |seen: &Seen| seen.probabilities.as_ref().map(values);
                            assert!(sure(found) == sure(expected));
                        }
                    };
                    check(&answers);
                    // A rank that could not look, and one whose answer is too short.
                    answers[ranks - 1] = vec![];
                    let middle = answers.len() / 2;
                    answers[middle].truncate(40);
                    check(&answers);
                }
            }
        }
    }

    #[test]
    fn parts_of_the_images_are_all_images() {
        let generator = Generator::new(&preset::mlp_003(8), 1, &Device::Cpu).unwrap();
        let z = Stream::new(0, "z", 0).normal((10, 8), &Device::Cpu).unwrap();
        let whole = values(&generator.generate(&z).unwrap());
        let latents = to_bytes(&z).unwrap();
        for ranks in [1, 3, 12] {
            let parts = (0..ranks).map(|rank| drawn(&generator, &latents, [rank, ranks]).unwrap());
            let all = from_bytes(&parts.collect::<Vec<_>>().concat()).unwrap();
            let most = all.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
            assert!(all.len() == whole.len() && most < 1e-5, "{ranks} ranks: {most}");
        }
        assert!(drawn(&generator, &latents[1..], [0, 1]).is_err());
    }
}
