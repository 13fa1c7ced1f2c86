//! The kernel distance. It is unbiased, so few samples are enough. It has an error bar.

use crate::rows::Rows;
use crate::{MetricsError, Result};
use candle_core::{Device, Storage, Tensor};
use gan_ops::rng::Stream;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Settings of [`kid`]'s estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KidConfig {
    /// Number of pairs of subsets, at least 1.
    pub subsets: usize,
    /// Points in a subset, at least 2. A smaller set uses all of its points.
    pub subset_size: usize,
    /// Seed for the choice of the subsets.
    pub seed: u64,
}

impl Default for KidConfig {
    /// 100 subsets of 1000, as in the authors' code; seed 0.
    fn default() -> Self {
        Self { subsets: 100, subset_size: 1000, seed: 0 }
    }
}

/// The squared kernel distance of two sets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Kid {
    /// Mean over the subsets. It is unbiased, so it may be negative if the sets agree.
    pub mean: f64,
    /// Standard deviation over the subsets, with their number in the denominator. It shows how far
    /// the value of one subset is from the mean.
    pub deviation: f64,
}

/// Computes the kernel inception distance of Bińkowski et al. 2018, arXiv 1801.01401, for any
/// features. It is the unbiased squared maximum mean discrepancy for the kernel `(x.y / D + 1)^3`,
/// averaged over random subsets that are drawn without repetition.
///
/// `real: [N, D]`, `generated: [M, D]`. It is a pure function of its arguments.
///
/// # Errors
/// Different D; fewer than two points; a configuration out of range; another type or rank; numbers
/// that are not finite.
pub fn kid(real: &Tensor, generated: &Tensor, config: &KidConfig) -> Result<Kid> {
    kid_of_rows(
        &Rows::new("real features", real, 2)?,
        &Rows::new("generated features", generated, 2)?,
        config,
    )
}

pub(crate) fn kid_of_rows(real: &Rows, generated: &Rows, config: &KidConfig) -> Result<Kid> {
    generated.check_width("generated features", real.width())?;
    for (what, value, least) in
        [("KID's subsets", config.subsets, 1), ("KID's subset size", config.subset_size, 2)]
    {
        if value < least {
            return Err(MetricsError::input(what, format!("at least {least}"), value));
        }
    }
    let size = config.subset_size.min(real.count()).min(generated.count());
    let subset = |rows: &Rows, purpose, index| {
        let chosen = choose(&mut Stream::new(config.seed, purpose, index), rows.count(), size)?;
        rows.select(&chosen)?.to_f64()
    };
    let distances = (0..config.subsets as u64)
        .into_par_iter()
        .map(|index| {
            squared_mmd_f64(&subset(real, "kid/real", index)?, &subset(generated, "kid/generated", index)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let average = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / distances.len() as f64;
    let mean = average(&mut distances.iter().copied());
    let variance = average(&mut distances.iter().map(|distance| (distance - mean).powi(2)));
    Ok(Kid { mean, deviation: variance.sqrt() })
}

/// Computes the unbiased squared maximum mean discrepancy of `x: [N, D]` and `y: [M, D]` for the
/// kernel `(x.y / D + 1)^3` (Gretton et al. 2012, equation 3). [`kid`] computes it for each pair
/// of subsets.
///
/// # Errors
/// The errors of [`kid`].
pub fn squared_mmd(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (x, y) = (Rows::new("x", x, 2)?, Rows::new("y", y, 2)?);
    y.check_width("y", x.width())?;
    squared_mmd_f64(&x.to_f64()?, &y.to_f64()?)
}

fn squared_mmd_f64(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (n, m) = (x.dim(0)? as f64, y.dim(0)? as f64);
    let within = |points: &Tensor, count: f64| -> Result<f64> {
        let own = points.sqr()?.mean(1)?;
        Ok((sum_of_cubes(points, points)? - read(&own, cubes)?) / (count * (count - 1.)))
    };
    Ok(within(x, n)? + within(y, m)? - 2. * sum_of_cubes(x, y)? / (n * m))
}

/// Computes the sum of the kernel over all pairs.
fn sum_of_cubes(x: &Tensor, y: &Tensor) -> Result<f64> {
    let width = x.dim(1)? as f64;
    read(&x.matmul(&(y / width)?.t()?)?, cubes)
}

fn cubes(products: &[f64]) -> f64 {
    // Several sums run in parallel: as many as one instruction can hold.
    const SUMS: usize = 8;
    let cube = |product: &f64| (product + 1.) * (product + 1.) * (product + 1.);
    let (chunks, rest) = products.as_chunks::<SUMS>();
    let mut sums = [0.; SUMS];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, product)| *sum += cube(product));
    }
    sums.iter().sum::<f64>() + rest.iter().map(cube).sum::<f64>()
}

/// Calls `f` with the values of a new tensor.
fn read<T>(tensor: &Tensor, f: impl FnOnce(&[f64]) -> T) -> Result<T> {
    match &*tensor.storage_and_layout().0 {
        Storage::Cpu(values) => Ok(f(values.as_slice()?)),
        _ => unreachable!("Rows lie on the CPU"),
    }
}

/// Chooses `size` different numbers below `count`, with equal probability for all choices. It is
/// the first part of a shuffle (Fisher and Yates).
fn choose(stream: &mut Stream, count: usize, size: usize) -> Result<Vec<u32>> {
    let draws: Vec<f32> = stream.uniform(0., 1., 2 * size, &Device::Cpu)?.to_vec1()?;
    let mut indices: Vec<u32> = (0..count as u32).collect();
    for (i, draw) in draws.chunks_exact(2).enumerate() {
        // f32 has only 2^23 values between 0 and 1. Two draws are combined, because otherwise some
        // choices from a large set would be more likely than others.
        let unit = f64::from(draw[0]) + f64::from(draw[1]) / f64::from(1 << 23);
        let rest = count - i;
        indices.swap(i, i + ((unit * rest as f64) as usize).min(rest - 1));
    }
    indices.truncate(size);
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(index: u64, count: usize) -> Tensor {
        Stream::new(0, "points", index).normal((count, 8), &Device::Cpu).unwrap()
    }

    #[test]
    fn of_a_few_numbers_by_hand() -> Result<()> {
        let x = Tensor::new(&[[0f32], [1.]], &Device::Cpu)?;
        let y = Tensor::new(&[[1f32], [2.]], &Device::Cpu)?;
        // With the kernel (x.y + 1)^3 the values are: 1 within x, 27 within y, and 1, 1, 8 and 27
        // between x and y.
        assert!((squared_mmd(&x, &y)? - (1. + 27. - 2. * 37. / 4.)).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn a_subset_of_everything_is_everything() -> Result<()> {
        let (x, y) = (normal(0, 50), normal(1, 50));
        let found = kid(&x, &y, &KidConfig { subsets: 3, ..KidConfig::default() })?;
        assert!((found.mean / squared_mmd(&x, &y)? - 1.).abs() < 1e-9);
        assert!(found.deviation < 1e-12);
        Ok(())
    }

    #[test]
    fn each_pair_of_subsets_is_another_in_both_sets() -> Result<()> {
        let config = KidConfig { subsets: 5, subset_size: 50, seed: 0 };
        for (n, m) in [(50, 200), (200, 50)] {
            let deviation = kid(&normal(0, n), &normal(1, m), &config)?.deviation;
            assert!(deviation > 1e-3, "{n} and {m} points: {deviation:e}");
        }
        Ok(())
    }

    #[test]
    fn depends_on_the_seed_and_on_nothing_else() -> Result<()> {
        let (x, y) = (normal(0, 300), normal(1, 200));
        let config = KidConfig { subsets: 10, subset_size: 50, seed: 1 };
        let found = kid(&x, &y, &config)?;
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| kid(&x, &y, &config))?, found);
        assert_ne!(kid(&x, &y, &KidConfig { seed: 2, ..config })?, found);
        assert!(found.deviation > 0.);
        Ok(())
    }

    #[test]
    fn tells_sets_apart_and_not_sets_that_are_alike() -> Result<()> {
        let (x, config) = (normal(0, 2000), KidConfig { subsets: 50, subset_size: 200, seed: 0 });
        let alike = kid(&x, &normal(1, 2000), &config)?;
        let apart = kid(&x, &(normal(1, 2000) + 0.5)?, &config)?;
        assert!(alike.mean.abs() < alike.deviation, "{alike:?}");
        assert!(apart.mean > 5. * apart.deviation, "{apart:?}");
        Ok(())
    }

    #[test]
    fn chooses_each_index_as_often() -> Result<()> {
        let (count, size, draws) = (20, 5, 4000);
        let mut chosen = vec![0; count];
        for index in 0..draws {
            let mut subset = choose(&mut Stream::new(0, "choose", index), count, size)?;
            assert_eq!(subset.len(), size);
            for &index in &subset {
                chosen[index as usize] += 1;
            }
            subset.sort_unstable();
            subset.dedup();
            assert_eq!(subset.len(), size, "twice the same");
        }
        // 1000 are expected, with a standard deviation of 27.
        assert!(chosen.iter().all(|times| (880..1120).contains(times)), "{chosen:?}");
        let mut all = choose(&mut Stream::new(0, "choose", 0), count, count)?;
        all.sort_unstable();
        assert!(all.into_iter().eq(0..count as u32));
        Ok(())
    }

    #[test]
    fn what_has_no_distance() -> Result<()> {
        let x = normal(0, 10);
        let config = KidConfig::default();
        for config in [KidConfig { subsets: 0, ..config }, KidConfig { subset_size: 1, ..config }] {
            assert!(kid(&x, &x, &config).is_err());
        }
        assert!(kid(&x, &x.narrow(1, 0, 4)?, &config).is_err());
        assert!(kid(&x.narrow(0, 0, 1)?, &x, &config).is_err());
        assert!(squared_mmd(&x, &(&x * f64::NAN)?).is_err());
        Ok(())
    }
}
