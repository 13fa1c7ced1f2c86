//! The Fréchet distance of two sets of points. Each set is treated as a Gaussian.

use crate::rows::Rows;
use crate::{MetricsError, Result};
use candle_core::Tensor;
use nalgebra::{DMatrix, DMatrixView, DVector, SymmetricEigen};

/// Rows that are summed together. It limits the memory.
const BLOCK: usize = 1024;

/// Mean and covariance of points that arrive in batches.
///
/// Each batch gets its own mean and scatter, and these are then merged (Chan, Golub and `LeVeque`
/// 1983). So no large numbers are subtracted from each other, even if the points are far from the
/// origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    count: usize,
    mean: DVector<f64>,
    /// Sum of the outer products of the deviations from the mean.
    scatter: DMatrix<f64>,
}

impl Moments {
    /// Returns the moments of zero points in `dim` dimensions.
    #[must_use]
    pub fn new(dim: usize) -> Self {
        Self { count: 0, mean: DVector::zeros(dim), scatter: DMatrix::zeros(dim, dim) }
    }

    /// Computes the moments of `points: [N, D]`.
    ///
    /// # Errors
    /// Fewer than two points, another type or rank, numbers that are not finite.
    pub fn of(points: &Tensor) -> Result<Self> {
        Ok(Self::of_rows(&Rows::new("points", points, 2)?))
    }

    /// Adds a batch `points: [N, D]`, N at least 1.
    ///
    /// # Errors
    /// Another D, type or rank; no points; numbers that are not finite. Nothing is added then.
    pub fn push(&mut self, points: &Tensor) -> Result<()> {
        let points = Rows::new("points", points, 1)?;
        points.check_width("points", self.mean.len())?;
        self.push_rows(&points);
        Ok(())
    }

    /// Number of points so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean, `[D]`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        self.mean.as_slice()
    }

    /// The total variance: the trace of the covariance, with N - 1 in its denominator. It is NaN
    /// for fewer than two points.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.scatter.trace() / self.degrees()
    }

    pub(crate) fn of_rows(points: &Rows) -> Self {
        let mut moments = Self::new(points.width());
        moments.push_rows(points);
        moments
    }

    fn push_rows(&mut self, points: &Rows) {
        let dim = self.mean.len();
        for block in points.values().chunks(BLOCK * dim) {
            // Each column is a point.
            let mut block = DMatrixView::from_slice(block, dim, block.len() / dim).map(f64::from);
            let (before, added) = (self.count as f64, block.ncols() as f64);
            let mean = block.column_mean();
            block.column_iter_mut().for_each(|mut column| column -= &mean);
            self.scatter.gemm(1., &block, &block.transpose(), 1.);
            let step = mean - &self.mean;
            self.scatter.ger(before * added / (before + added), &step, &step, 1.);
            self.mean.axpy(added / (before + added), &step, 1.);
            self.count += block.ncols();
        }
    }

    fn covariance(&self) -> DMatrix<f64> {
        &self.scatter / self.degrees()
    }

    fn degrees(&self) -> f64 {
        self.count.saturating_sub(1) as f64
    }
}

/// Computes the squared Fréchet or 2-Wasserstein distance of two Gaussians:
/// `|m_a - m_b|^2 + tr(A + B - 2 (A^{1/2} B A^{1/2})^{1/2})`. The Gaussians have the means and
/// covariances (N - 1 in the denominator) of the two sets (Dowson and Landau 1982). For the
/// features of a classifier it is the FID of Heusel et al. 2017, arXiv 1706.08500.
///
/// Usually the root of `A B` is taken, which is not symmetric. `A^{1/2} B A^{1/2}` is symmetric
/// and has the same eigenvalues. So both roots come from symmetric matrices, whose eigenvalues are
/// real. A singular covariance (fewer points than dimensions) has eigenvalues of 0, and rounding
/// makes them slightly different. An eigenvalue up to `D` roundoffs of the largest one counts as
/// 0, because its root would be far larger.
///
/// # Errors
/// Different D; fewer than two points.
pub fn frechet_distance(a: &Moments, b: &Moments) -> Result<f64> {
    let (dims, counts) = ((a.mean.len(), b.mean.len()), (a.count, b.count));
    if dims.0 != dims.1 {
        return Err(MetricsError::input("features", format!("{} dimensions", dims.0), dims.1));
    }
    if counts.0.min(counts.1) < 2 {
        return Err(MetricsError::input("moments", "at least 2 points", counts.0.min(counts.1)));
    }
    let (a_covariance, b_covariance) = (a.covariance(), b.covariance());
    let root = square_root(a_covariance.clone())?;
    let product = &root * &b_covariance * &root;
    let cross = eigen(symmetric(product))?.eigenvalues.map(f64::sqrt).sum();
    let spread = a_covariance.trace() + b_covariance.trace() - 2. * cross;
    // Rounding can make this negative for equal sets.
    Ok((&a.mean - &b.mean).norm_squared() + spread.max(0.))
}

fn square_root(matrix: DMatrix<f64>) -> Result<DMatrix<f64>> {
    let eigen = eigen(matrix)?;
    let roots = DMatrix::from_diagonal(&eigen.eigenvalues.map(f64::sqrt));
    Ok(symmetric(&eigen.eigenvectors * roots * eigen.eigenvectors.transpose()))
}

/// Computes the eigenvalues of a matrix that has no negative ones. Eigenvalues that differ from 0
/// only by rounding become 0.
fn eigen(matrix: DMatrix<f64>) -> Result<SymmetricEigen<f64, nalgebra::Dyn>> {
    // Two to three iterations for each eigenvalue are usual.
    let (dim, most) = (matrix.nrows(), 100 * matrix.nrows());
    let mut eigen = SymmetricEigen::try_new(matrix, f64::EPSILON, most).ok_or_else(|| {
        MetricsError::input("covariance", "eigenvalues", format!("none in {most} iterations"))
    })?;
    let largest = eigen.eigenvalues.amax();
    let zero = dim as f64 * f64::EPSILON * largest;
    eigen.eigenvalues.apply(|value| {
        if *value < zero {
            *value = 0.;
        }
    });
    Ok(eigen)
}

fn symmetric(matrix: DMatrix<f64>) -> DMatrix<f64> {
    (&matrix + matrix.transpose()) / 2.
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_ops::rng::Stream;

    fn correlated(index: u64, count: usize, dim: usize) -> Tensor {
        let points = Stream::new(0, "frechet", index).normal((count, dim), &Device::Cpu).unwrap();
        let mix = Stream::new(0, "mix", 0).normal((dim, dim), &Device::Cpu).unwrap();
        points.matmul(&mix).unwrap()
    }

    fn between(a: &Tensor, b: &Tensor) -> f64 {
        frechet_distance(&Moments::of(a).unwrap(), &Moments::of(b).unwrap()).unwrap()
    }

    #[test]
    fn of_a_few_numbers_by_hand() -> Result<()> {
        // The means are 1 and 4, the variances 2 and 16.
        let a = Tensor::new(&[[0f32], [2.]], &Device::Cpu)?;
        let b = Tensor::new(&[[0f32], [4.], [8.]], &Device::Cpu)?;
        let expected = 9. + 2. + 16. - 2. * 32f64.sqrt();
        assert!((between(&a, &b) - expected).abs() < 1e-12);
        assert!((between(&b, &a) - expected).abs() < 1e-12);
        assert!((Moments::of(&b)?.variance() - 16.).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn a_shift_counts_by_its_square_and_nothing_else_does() -> Result<()> {
        // The last two cases have fewer points than dimensions, and points without any spread.
        for (count, dim) in [(500, 20), (10, 20), (2, 3)] {
            let points = correlated(0, count, dim);
            let size = Moments::of(&points)?.variance();
            assert!(between(&points, &points).abs() < 1e-6 * size, "{count} points: not 0 for equal sets");
            let shifted = (&points + 4.)?;
            let expected = 16. * dim as f64;
            // f32 rounds the shifted points.
            let difference = (between(&points, &shifted) - expected).abs();
            assert!(difference < 1e-5 * (expected + size), "{count} points: off by {difference:e}");
        }
        let constant = Tensor::ones((5, 3), candle_core::DType::F32, &Device::Cpu)?;
        assert!((between(&constant, &(&constant * 3.)?) - 12.).abs() < 1e-12);
        assert!((between(&constant, &(correlated(0, 50, 3) + 1.)?)).is_finite());
        Ok(())
    }

    #[test]
    fn batches_add_up_to_the_whole_far_from_the_origin() -> Result<()> {
        // Multiples of 1/8 are exact in f32 beside 100,000. The square of 100,000 leaves f64 only
        // a few digits.
        let points = ((correlated(0, 3000, 6) * 8.)?.round()? / 8.)?;
        let far = (&points + 1e5)?;
        let (near, whole) = (Moments::of(&points)?, Moments::of(&far)?);
        let mut pushed = Moments::new(6);
        for (start, count) in [(0, 1), (1, 7), (8, 2000), (2008, 992)] {
            pushed.push(&far.narrow(0, start, count)?)?;
        }
        assert_eq!(pushed.count(), 3000);
        for moments in [&whole, &pushed] {
            let difference = (&moments.scatter - &near.scatter).amax() / near.scatter.amax();
            assert!(difference < 1e-10, "scatter off by {difference:e}");
            let means = moments.mean().iter().zip(near.mean());
            assert!(means.into_iter().all(|(far, near)| (far - 1e5 - near).abs() < 1e-9));
        }
        Ok(())
    }

    #[test]
    fn what_has_no_distance() -> Result<()> {
        let points = correlated(0, 10, 3);
        let mut one = Moments::new(3);
        one.push(&points.narrow(0, 0, 1)?)?;
        let message = frechet_distance(&one, &Moments::of(&points)?).unwrap_err().to_string();
        assert!(message.contains("at least 2 points, found 1"), "{message}");
        assert!(frechet_distance(&Moments::of(&points)?, &Moments::of(&points.narrow(1, 0, 2)?)?).is_err());
        assert!(one.push(&points.narrow(1, 0, 2)?).is_err());
        assert!(one.push(&(points * f64::NAN)?).is_err());
        assert_eq!(one.count(), 1);
        Ok(())
    }
}
