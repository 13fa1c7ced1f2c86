//! Spectral normalisation divides a weight by its largest singular value (Miyato et al. 2018,
//! arXiv 1802.05957), as PyTorch's `torch.nn.utils.parametrizations.spectral_norm` does it.

use super::{Kind, Layer, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::fused::Multiplier;
use crate::init::normal;
use crate::params::Parameter;
use candle_core::{Result, Tensor, Var};
use gan_ops::fused::Product;

/// PyTorch's default. A vector's norm is taken to be at least this.
const EPS: f64 = 1e-12;
/// Number of power iterations before the first step, as in PyTorch.
const FIRST: usize = 15;

/// Spectral norm of a layer with a weight.
pub(super) struct SpectralNorm<'l>(pub(super) &'l Layer);

impl Kind for SpectralNorm<'_> {
    fn line(&self) -> String {
        format!("spectral_norm({})", self.0)
    }

    /// The original weight, its singular vectors, and the layer's other parameters unchanged.
    fn parameters(&self) -> Vec<Parameter> {
        let mut all = vec![];
        for parameter in self.0.kind().parameters() {
            if parameter.name() != "weight" {
                all.push(parameter);
                continue;
            }
            let rows = parameter.shape()[0];
            let columns = parameter.count() / rows;
            all.push(parameter.called("parametrizations.weight.original"));
            for (name, length) in [("_u", rows), ("_v", columns)] {
                let name = format!("parametrizations.weight.0.{name}");
                all.push(Parameter::statistic(&name, [length], normal(0., 1.)));
            }
        }
        all
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        self.0.output_shape(input)
    }

    fn multiplications(&self, input: &[usize], _: &[usize]) -> Vec<usize> {
        self.0.multiplications(input)
    }

    fn couples_samples(&self) -> bool {
        self.0.couples_samples()
    }

    fn second_order(&self) -> SecondOrder {
        self.0.kind().second_order()
    }

    fn piece(&self, weights: &mut Weights) -> Result<Piece> {
        let first = weights.next_name()?;
        let [weight, u, v] = weights.take()?;
        let spectral = Spectral { weight: weight.clone(), u, v };
        weights.note(&spectral);
        match weights.with(first, weight, |weights| self.0.kind().piece(weights))? {
            Piece::Product(
                product @ Multiplier { product: Product::Linear | Product::Conv2d { .. }, .. },
            ) => Ok(Piece::Product(Multiplier { spectral: Some(spectral), ..product })),
            // For a transposed convolution, PyTorch takes another axis of the weight.
            Piece::Product(Multiplier { product: Product::ConvTranspose2d { .. }, .. })
            | Piece::Norm(_)
            | Piece::Activation(_)
            | Piece::Alone(_) => candle_core::bail!("no spectral norm of {}", self.0),
        }
    }
}

/// The present estimates of a weight's singular vectors. Power iteration improves them. They are
/// state of the network, not weights.
#[derive(Debug, Clone)]
pub(crate) struct Spectral {
    /// The original weight. Its first dimension is the rows.
    weight: Tensor,
    /// The left singular vector, `[rows]`.
    u: Tensor,
    /// The right singular vector, `[columns]`.
    v: Tensor,
}

/// A weight divided by its largest singular value, with the values that its gradient needs.
#[derive(Debug)]
pub(crate) struct Normalised {
    pub(crate) weight: Tensor,
    values: Vec<f32>,
    sigma: f32,
    u: Vec<f32>,
    v: Vec<f32>,
}

impl Spectral {
    /// Makes singular vectors of random vectors.
    pub(crate) fn begin(&self) -> Result<()> {
        self.move_by(FIRST)
    }

    /// Makes one power iteration.
    pub(crate) fn iterate(&self) -> Result<()> {
        self.move_by(1)
    }

    fn move_by(&self, iterations: usize) -> Result<()> {
        let weight = self.weight.flatten_all()?.to_vec1::<f32>()?;
        let (mut u, mut v) = (self.u.to_vec1::<f32>()?, self.v.to_vec1::<f32>()?);
        normalise(&mut u);
        normalise(&mut v);
        for _ in 0..iterations {
            u = product(&weight, &v);
            normalise(&mut u);
            v.fill(0.);
            for (row, u) in weight.chunks_exact(v.len()).zip(&u) {
                v.iter_mut().zip(row).for_each(|(v, w)| *v += u * w);
            }
            normalise(&mut v);
        }
        let set = |state: &Tensor, values: Vec<f32>| {
            Var::from_tensor(state)?.set(&Tensor::from_vec(values, state.shape(), state.device())?)
        };
        set(&self.u, u)?;
        set(&self.v, v)
    }

    /// `weight / (u^T weight v)` on the tape. For its gradients, the vectors are constants.
    pub(crate) fn on_tape(&self) -> Result<Tensor> {
        let weight = &self.weight;
        let [u, v] = [&self.u, &self.v].map(Tensor::detach);
        let sigma = weight.flatten_from(1)?.matmul(&v.unsqueeze(1)?)?.squeeze(1)?.mul(&u)?.sum_all()?;
        weight.broadcast_div(&sigma)
    }

    /// [`Self::on_tape`] without a graph.
    pub(crate) fn normalise(&self) -> Result<Normalised> {
        let (u, v) = (self.u.to_vec1::<f32>()?, self.v.to_vec1::<f32>()?);
        let mut values = self.weight.flatten_all()?.to_vec1::<f32>()?;
        let sigma = dot(&u, &product(&values, &v));
        scale(&mut values, sigma.recip());
        let weight = Tensor::from_vec(values.clone(), self.weight.shape(), self.weight.device())?;
        Ok(Normalised { weight, values, sigma, u, v })
    }
}

impl Normalised {
    /// Computes the gradient of the original weight from the gradient of the normalised weight.
    pub(crate) fn to_original(&self, gradient: &[f32]) -> Vec<f32> {
        let along = dot(gradient, &self.values);
        let mut values = gradient.to_vec();
        for (row, u) in values.chunks_exact_mut(self.v.len()).zip(&self.u) {
            row.iter_mut().zip(&self.v).for_each(|(g, v)| *g = (*g - along * u * v) / self.sigma);
        }
        values
    }
}

fn product(matrix: &[f32], vector: &[f32]) -> Vec<f32> {
    matrix.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect()
}

/// Dot product. Short runs are summed in f32, which the compiler vectorises, and the runs in f64.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let runs = a.chunks(64).zip(b.chunks(64));
    runs.map(|(a, b)| f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>())).sum::<f64>() as f32
}

fn normalise(vector: &mut [f32]) {
    let norm = f64::from(dot(vector, vector)).sqrt().max(EPS) as f32;
    scale(vector, norm.recip());
}

fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}
