//! What the explorer asks for: some images, as mixtures of latents that seeds give.

use super::problem::Problem;
use crate::mixing::{mixed, on_a_sphere};
use anyhow::Result;
use candle_core::{D, Tensor};
use gan_models::{Distribution, Generator};
use gan_ops::rng::Stream;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Images to draw, from one generator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    pub(super) run: String,
    /// A file of weights of the run, as `/api/generators` calls it.
    pub(super) weights: String,
    pub(super) images: Vec<Image>,
    /// The largest absolute value of a latent's elements.
    #[serde(default)]
    pub(super) truncation: Option<f64>,
    /// How far each latent moves along the first directions.
    #[serde(default)]
    pub(super) moves: Vec<f64>,
    /// Columns of a grid.
    #[serde(default)]
    pub(super) columns: Option<usize>,
}

/// An image: a mixture of latents, and of classes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    /// The seed of a latent, its number among the latents of the seed, and its share.
    pub(super) of: Vec<(u64, u32, f64)>,
    /// Classes with their shares. Without any, each latent has the class that `sample` draws at its place.
    #[serde(default)]
    pub(super) classes: Vec<(u16, f64)>,
}

/// Number of images in a request, of latents in an image, and of latents that are drawn, at most.
pub(super) const IMAGES: usize = 256;
const PARTS: usize = 8;
const DRAWN: usize = 1 << 14;
/// Largest magnitude of a share or a move.
const LARGEST: f64 = 100.;

impl View {
    /// Checks what does not depend on the generator.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let number = |what: &str, found: f64, least: f64| {
            if (least..=LARGEST).contains(&found) {
                return Ok(());
            }
            Err(Problem::bad(format!("{what}: expected a number from {least} to {LARGEST}, found {found}")))
        };
        let between = |what: &str, found: usize, [least, most]: [usize; 2]| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(Problem::bad(format!("{what}: expected from {least} to {most}, found {found}")))
        };
        between("images", self.images.len(), [1, IMAGES])?;
        between("columns", self.columns.unwrap_or(1), [1, IMAGES])?;
        for image in &self.images {
            between("latents of an image", image.of.len(), [1, PARTS])?;
            between("classes of an image", image.classes.len(), [0, PARTS])?;
            let shares = image.of.iter().map(|part| part.2);
            for share in shares.clone().chain(image.classes.iter().map(|class| class.1)) {
                number("share", share, 0.)?;
            }
            let classes: f64 = image.classes.iter().map(|class| class.1).sum();
            if shares.sum::<f64>() < 1e-6 || (!image.classes.is_empty() && classes < 1e-6) {
                return Err(Problem::bad("shares: all are 0"));
            }
        }
        let drawn: usize = self.longest().values().map(|last| last + 1).sum();
        between("latents of all seeds", drawn, [1, DRAWN])?;
        self.moves.iter().try_for_each(|&length| number("move", length, -LARGEST))
    }

    /// The last latent that each seed must give.
    fn longest(&self) -> BTreeMap<u64, usize> {
        let mut longest = BTreeMap::new();
        for &(seed, index, _) in self.images.iter().flat_map(|image| &image.of) {
            let last: &mut usize = longest.entry(seed).or_default();
            *last = (*last).max(index as usize);
        }
        longest
    }

    /// The generator's inputs, `[images, latent_dim + classes]`.
    pub(super) fn inputs(&self, generator: &Generator, directions: &[Vec<f32>]) -> Result<Tensor, Problem> {
        let (config, device) = (generator.config(), generator.device());
        let mut latents = config.latents();
        if let Some(limit) = self.truncation {
            latents = latents.truncated(limit).map_err(Problem::bad)?;
        }
        if self.moves.len() > directions.len() {
            return Err(Problem::bad(format!("moves: expected at most {}", directions.len())));
        }
        let inputs = || -> Result<Tensor> {
            let draw = |(seed, last): (u64, usize)| {
                let mut stream = Stream::new(seed, "sample", 0);
                Ok((seed, latents.draw_z(&mut stream, last + 1, device)?))
            };
            let drawn = self.longest().into_iter().map(draw).collect::<Result<BTreeMap<_, _>>>()?;
            let latent = |&(seed, index, share): &(u64, u32, f64)| {
                Ok((drawn[&seed].narrow(0, index as usize, 1)?, share))
            };
            let rows = self.images.iter().map(|image| {
                mixture(&image.of.iter().map(latent).collect::<Result<Vec<_>>>()?, config.latent)
            });
            let mut z = Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)?;
            for (direction, length) in directions.iter().zip(&self.moves).filter(|(_, length)| **length != 0.)
            {
                z = z.broadcast_add(&(Tensor::new(&direction[..], device)?.unsqueeze(0)? * *length)?)?;
            }
            Ok(z)
        };
        let z = inputs()?;
        match latents.classes() {
            None if self.images.iter().any(|image| !image.classes.is_empty()) => {
                Err(Problem::bad("classes: this generator was trained without classes"))
            }
            None => Ok(z),
            Some(classes) => {
                let labels = self.labels(classes)?;
                let labels = || -> Result<Tensor> {
                    let labels = Tensor::from_vec(labels, (self.images.len(), classes), device)?;
                    Ok(Tensor::cat(&[&z, &labels], 1)?)
                };
                Ok(labels()?)
            }
        }
    }

    /// A row of shares for each image.
    fn labels(&self, classes: usize) -> Result<Vec<f32>, Problem> {
        let mut rows = vec![0f32; self.images.len() * classes];
        for (image, row) in self.images.iter().zip(rows.chunks_exact_mut(classes)) {
            // A mixture of latents is one of their classes too, or its ends would be other images.
            let of_latents =
                image.of.iter().map(|(_, index, share)| ((*index as usize % classes) as u16, *share));
            let shares: Vec<(u16, f64)> =
                if image.classes.is_empty() { of_latents.collect() } else { image.classes.clone() };
            let all: f64 = shares.iter().map(|(_, share)| share).sum();
            for (class, share) in shares {
                let place = row.get_mut(usize::from(class)).ok_or_else(|| {
                    Problem::bad(format!("class: expected one below {classes}, found {class}"))
                })?;
                *place += (share / all) as f32;
            }
        }
        Ok(rows)
    }
}

/// A mixture of latents `[1, latent_dim]`. Two normal ones are mixed on a sphere; more of them are added,
/// and the sum gets the mean of their lengths, because G has seen no shorter latents.
fn mixture(parts: &[(Tensor, f64)], distribution: Distribution) -> Result<Tensor> {
    let all: f64 = parts.iter().map(|(_, share)| share).sum();
    match (parts, distribution) {
        ([(z, _)], _) => Ok(z.clone()),
        ([(a, _), (b, share)], Distribution::Normal) => on_a_sphere(a, b, share / all),
        ([(a, _), (b, share)], Distribution::Uniform) => mixed(a, b, share / all),
        _ => {
            let length = |z: &Tensor| z.sqr()?.sum_keepdim(D::Minus1)?.sqrt();
            let mut sum = parts[0].0.zeros_like()?;
            let mut wanted = length(&sum)?;
            for (z, share) in parts {
                sum = (sum + (z * (share / all))?)?;
                wanted = (wanted + (length(z)? * (share / all))?)?;
            }
            if distribution == Distribution::Uniform {
                return Ok(sum);
            }
            // The sum of a latent and its opposite has no direction.
            Ok(sum.broadcast_mul(&(wanted / (length(&sum)? + 1e-6)?)?)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_models::{ModelConfig, preset};

    fn view(json: &str) -> View {
        serde_json::from_str(&format!(r#"{{"run": "a", "weights": "b", "images": {json}}}"#)).unwrap()
    }

    #[test]
    fn images_are_those_that_sample_draws_at_the_same_places() {
        let config = ModelConfig { classes: Some(3), latent_dim: 8, ..preset::mlp_002() };
        let generator = Generator::new(&config, 1, &Device::Cpu).unwrap();
        let images: Vec<String> = (0..5).map(|index| format!(r#"{{"of": [[7, {index}, 1]]}}"#)).collect();
        let view = view(&format!("[{}]", images.join(",")));
        view.check().unwrap();
        let found = view.inputs(&generator, &[]).unwrap();
        let mut stream = Stream::new(7, "sample", 0);
        let expected = config.latents().draw_of(&mut stream, &[0, 1, 2, 0, 1], &Device::Cpu).unwrap();
        assert_eq!(found.to_vec2::<f32>().unwrap(), expected.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn mixtures_have_the_lengths_of_what_they_are_mixed_of() {
        let config = ModelConfig { latent_dim: 64, ..preset::mlp_002() };
        let generator = Generator::new(&config, 1, &Device::Cpu).unwrap();
        let inputs = |json: &str| {
            let view = view(json);
            view.check().unwrap();
            view.inputs(&generator, &[]).unwrap()
        };
        let ends = inputs(r#"[{"of": [[1, 0, 1]]}, {"of": [[2, 0, 1]]}, {"of": [[3, 4, 1]]}]"#);
        let length = |z: &Tensor| z.sqr().unwrap().sum(1).unwrap().sqrt().unwrap().to_vec1::<f32>().unwrap();
        let lengths = length(&ends);
        let found = length(&inputs(
            r#"[{"of": [[1, 0, 0.5], [2, 0, 0.5]]}, {"of": [[1, 0, 2], [2, 0, 1], [3, 4, 1]]}]"#,
        ));
        assert!((found[0] - f32::midpoint(lengths[0], lengths[1])).abs() < 1e-3);
        let mean = lengths[0] / 2. + lengths[1] / 4. + lengths[2] / 4.;
        assert!((found[1] - mean).abs() < 1e-3, "{found:?} {mean}");
        // A share of 1 is the latent itself.
        let whole = inputs(r#"[{"of": [[1, 0, 0], [2, 0, 1]]}]"#).to_vec2::<f32>().unwrap();
        let expected = ends.to_vec2::<f32>().unwrap();
        assert!(whole[0].iter().zip(&expected[1]).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn a_path_between_two_classes_ends_in_both() {
        let config = ModelConfig { classes: Some(3), latent_dim: 8, ..preset::mlp_002() };
        let generator = Generator::new(&config, 1, &Device::Cpu).unwrap();
        let inputs = |json: &str| view(json).inputs(&generator, &[]).unwrap().to_vec2::<f32>().unwrap();
        let path = inputs(
            r#"[{"of": [[7, 1, 1], [7, 5, 0]]}, {"of": [[7, 1, 0.5], [7, 5, 0.5]]}, {"of": [[7, 1, 0], [7, 5, 1]]}]"#,
        );
        let ends = inputs(r#"[{"of": [[7, 1, 1]]}, {"of": [[7, 5, 1]]}]"#);
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(near(&path[0], &ends[0]) && near(&path[2], &ends[1]));
        assert_eq!(path[1][8..], [0., 0.5, 0.5]);
    }

    #[test]
    fn impossible_views_are_refused() {
        let generator = Generator::new(&preset::mlp_002(), 1, &Device::Cpu).unwrap();
        let many = vec![r#"{"of": [[0, 0, 1]]}"#; IMAGES + 1].join(",");
        for json in [
            "[]".to_owned(),
            format!("[{many}]"),
            r#"[{"of": []}]"#.to_owned(),
            r#"[{"of": [[0, 4000000000, 1]]}]"#.to_owned(),
            r#"[{"of": [[0, 0, 0]]}]"#.to_owned(),
            r#"[{"of": [[0, 0, 1e300]]}]"#.to_owned(),
            r#"[{"of": [[0, 0, 1], [0, 1, -1]]}]"#.to_owned(),
            r#"[{"of": [[0, 0, 1]], "classes": [[3, 0]]}]"#.to_owned(),
        ] {
            assert!(view(&json).check().is_err(), "{json}");
        }
        let of_class = view(r#"[{"of": [[0, 0, 1]], "classes": [[3, 1]]}]"#);
        assert!(of_class.check().is_ok() && of_class.inputs(&generator, &[]).is_err());
        let truncated = View { truncation: Some(0.), ..view(r#"[{"of": [[0, 0, 1]]}]"#) };
        assert!(truncated.inputs(&generator, &[]).is_err());
        let moved = View { moves: vec![1.], ..view(r#"[{"of": [[0, 0, 1]]}]"#) };
        assert!(moved.inputs(&generator, &[]).is_err());
    }
}
