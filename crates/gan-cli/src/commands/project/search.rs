//! The search for a latent, by gradients through the generator.

use crate::draw::{Drawing, Labels};
use crate::signals::Stop;
use anyhow::{Context, Result};
use candle_core::{D, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use gan_models::{Distribution, Generator, Mode};
use gan_ops::rng::Stream;

/// Number of images that are drawn to begin near the picture, and of the nearest from which the search
/// begins. They end in different places.
const DRAWN: usize = 256;
const STARTS: usize = 4;
/// The first step of the optimizer. The steps become smaller along a cosine. Both are as in `StyleGAN2`'s
/// projector (Karras et al. 2020, arXiv 1912.04958, appendix D).
const RATE: f64 = 0.1;
/// How far a latent may be longer than a normal one is on average, which is the root of its elements'
/// number. Random ones are not longer, and G has seen no others.
const LONGER: f64 = 2.;
/// Number of sizes at which images are compared: the full one, a half, a quarter. At the smaller ones, a
/// shape that is at the wrong place still overlaps that of the picture.
const SIZES: usize = 3;

/// What is searched for.
pub(super) struct Search<'a> {
    pub(super) generator: &'a Generator,
    /// `[1, C, H, W]` in [-1, 1].
    pub(super) picture: &'a Tensor,
    pub(super) class: Option<u16>,
    pub(super) seed: u64,
    pub(super) steps: u32,
}

/// The nearest image that was found.
pub(super) struct Found {
    /// The generator's input, `[1, latent_dim + classes]`.
    pub(super) input: Tensor,
    /// `[1, C, H, W]`.
    pub(super) image: Tensor,
    pub(super) class: Option<u16>,
    /// Distances from the picture: of the nearest random image, and of this one.
    pub(super) before: f64,
    pub(super) after: f64,
}

impl Search<'_> {
    pub(super) fn run(&self, stop: &Stop) -> Result<Found> {
        let latents = self.generator.config().latents();
        let labels = latents.classes().map(|classes| self.class.map_or(Labels::InTurn(classes), Labels::One));
        let drawn = self.draw(labels.clone(), stop)?;
        let mut order: Vec<usize> = (0..drawn.len()).collect();
        order.sort_by(|&a, &b| drawn[a].total_cmp(&drawn[b]));
        order.truncate(STARTS);
        let device = self.generator.device();
        let all = latents.draw_z(&mut Stream::new(self.seed, "sample", 0), DRAWN, device)?;
        let rows: Vec<u32> = order.iter().map(|&row| row as u32).collect();
        let z = Var::from_tensor(&all.index_select(&Tensor::new(rows, device)?, 0)?)?;
        let labels: Option<Vec<u16>> =
            labels.map(|labels| order.iter().map(|&image| labels.of(image)).collect());
        let input = |z: &Tensor| match &labels {
            Some(labels) => latents.with_labels(z, labels),
            None => Ok(z.clone()),
        };
        let start = z.as_detached_tensor().copy()?;
        let settings = ParamsAdamW { lr: RATE, weight_decay: 0., ..ParamsAdamW::default() };
        let mut optimizer = AdamW::new(vec![z.clone()], settings)?;
        for step in 0..self.steps {
            stop.check()?;
            let share = f64::from(step) / f64::from(self.steps);
            optimizer.set_learning_rate(RATE * f64::midpoint(1., (std::f64::consts::PI * share).cos()));
            let images = self.generator.forward(&input(z.as_tensor())?, Mode::Eval)?;
            optimizer.backward_step(&self.loss(&images)?)?;
            z.set(&self.within(z.as_tensor())?)?;
        }
        // The search follows several sizes of the picture, so it may end farther away than it began.
        let input = Tensor::cat(&[input(&z.as_detached_tensor())?, input(&start)?], 0)?;
        let images = self.generator.generate(&input)?;
        let distances = self.distances(&images)?;
        let best = (0..distances.len()).min_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        let best = best.context("no image was drawn")?;
        Ok(Found {
            input: input.narrow(0, best, 1)?,
            image: images.narrow(0, best, 1)?,
            class: labels.map(|labels| labels[best % labels.len()]),
            before: drawn[order[0]],
            after: distances[best],
        })
    }

    /// The distances of random images.
    fn draw(&self, labels: Option<Labels>, stop: &Stop) -> Result<Vec<f64>> {
        let mut drawing = Drawing::seeded(self.generator, self.seed, DRAWN);
        if let Some(labels) = labels {
            drawing = drawing.of_classes(labels, DRAWN);
        }
        let mut distances = vec![];
        for images in drawing.chunks() {
            stop.check()?;
            distances.extend(self.distances(&images?)?);
        }
        Ok(distances)
    }

    /// The root of the mean square of the difference of each image, for pixels from 0 to 255.
    fn distances(&self, images: &Tensor) -> Result<Vec<f64>> {
        let means = images.broadcast_sub(self.picture)?.sqr()?.flatten_from(1)?.mean(1)?;
        let means = means.to_vec1::<f32>()?;
        Ok(means.into_iter().map(|mean| f64::from(mean).sqrt() * 127.5).collect())
    }

    /// The sum over the images of their mean squared differences at each size.
    fn loss(&self, images: &Tensor) -> Result<Tensor> {
        let mut difference = images.broadcast_sub(self.picture)?;
        let mut loss = difference.sqr()?.mean((1, 2, 3))?.sum_all()?;
        for _ in 1..SIZES {
            let (_, _, height, width) = difference.dims4()?;
            if height % 2 + width % 2 > 0 {
                break;
            }
            difference = difference.avg_pool2d(2)?;
            loss = (loss + difference.sqr()?.mean((1, 2, 3))?.sum_all()?)?;
        }
        Ok(loss)
    }

    /// Brings latents back to where random ones are.
    fn within(&self, z: &Tensor) -> Result<Tensor> {
        let z = z.detach();
        match self.generator.config().latent {
            Distribution::Uniform => Ok(z.clamp(-1f32, 1f32)?),
            Distribution::Normal => {
                let longest = (z.dim(1)? as f64).sqrt() + LONGER;
                let lengths = z.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
                let excess = (lengths / longest)?.maximum(1f32)?;
                Ok(z.broadcast_div(&excess)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_models::{ModelConfig, preset};

    /// A search that begins at the picture itself does not lead away from it.
    #[test]
    fn the_result_is_no_worse_than_its_beginning() {
        let generator = Generator::new(&preset::dcgan_28(), 3, &Device::Cpu).unwrap();
        let latents = generator.config().latents();
        let z = latents.draw_z(&mut Stream::new(0, "sample", 0), 1, &Device::Cpu).unwrap();
        let picture = (generator.generate(&z).unwrap() + 0.002).unwrap();
        let search = Search { generator: &generator, picture: &picture, class: None, seed: 0, steps: 3 };
        let found = search.run(&Stop::default()).unwrap();
        assert!(found.before < 0.5 && found.after <= found.before, "{} {}", found.before, found.after);
    }

    /// An image of the generator itself is found again, with its class.
    #[test]
    fn an_own_image_is_found_again() {
        let conditional = ModelConfig { classes: Some(3), latent_dim: 8, ..preset::mlp_002() };
        let uniform = ModelConfig { latent: Distribution::Uniform, latent_dim: 8, ..preset::mlp_003(8) };
        let dcgan = ModelConfig { latent_dim: 8, ..preset::dcgan_28() };
        for (config, steps) in [(conditional, 150), (uniform, 150), (dcgan, 20)] {
            let generator = Generator::new(&config, 3, &Device::Cpu).unwrap();
            let latents = config.latents();
            let (mut stream, label) = (Stream::new(9, "test", 0), config.classes.map(|_| 2));
            let z = latents.draw_z(&mut stream, 1, &Device::Cpu).unwrap();
            let z = label.map_or(z.clone(), |label| latents.with_labels(&z, &[label]).unwrap());
            let picture = generator.generate(&z).unwrap();
            let search = Search { generator: &generator, picture: &picture, class: None, seed: 0, steps };
            let found = search.run(&Stop::default()).unwrap();
            assert!(found.after < 0.5 * found.before, "{} {}", found.before, found.after);
            assert!(steps < 100 || found.after < 0.1 * found.before, "{} {}", found.before, found.after);
            assert_eq!(found.input.dims(), [1, latents.width()]);
            let again = generator.generate(&found.input).unwrap();
            assert!((search.distances(&again).unwrap()[0] - found.after).abs() < 0.01);
            if steps > 100 {
                assert_eq!(found.class, label);
            }
        }
    }
}
