//! `nn.Dropout` (Srivastava et al. 2014, Journal of Machine Learning Research 15). In training
//! each element becomes 0 with probability `p`, and the others are divided by `1 - p`, so that
//! the mean stays the same.
//!
//! A mask is a function of the seed, the purpose, the update and the layer's place. There is no
//! state.

use super::{Kind, SecondOrder};
use crate::chain::{Piece, Weights};
use crate::linear_map::{LinearMap, Through};
use crate::mode::{Draws, Mode};
use crate::params::Parameter;
use crate::stage::{Kernel, Pullback, Stage};
use candle_core::{DType, Device, Result, Tensor};
use gan_ops::fused::Maps;
use std::sync::Arc;

pub(super) struct Dropout {
    pub(super) p: f64,
}

/// Dropout with its place in a network. Its masks depend on the place.
#[derive(Debug, Clone)]
struct Placed {
    p: f64,
    place: String,
}

impl Kind for Dropout {
    fn line(&self) -> String {
        format!("Dropout({})", self.p)
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![]
    }

    fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        Some(input.to_vec())
    }

    fn multiplications(&self, _: &[usize], _: &[usize]) -> Vec<usize> {
        vec![]
    }

    fn couples_samples(&self) -> bool {
        false
    }

    /// With a fixed mask, dropout is a linear map.
    fn second_order(&self) -> SecondOrder {
        SecondOrder::Exact
    }

    fn piece(&self, weights: &mut Weights) -> Result<Piece> {
        if !(0. ..1.).contains(&self.p) {
            candle_core::bail!("dropout: expected a number from 0 up to but not 1, found {}", self.p)
        }
        Ok(Piece::Alone(Arc::new(Placed { p: self.p, place: weights.place().to_owned() })))
    }
}

impl Placed {
    /// Returns 0 or `1 / (1 - p)` for each element of `x: [B, ...]`, one sample after the other.
    /// So a sample's mask does not depend on how many samples follow it.
    fn mask(&self, shape: &[usize], device: &Device, draws: Draws) -> Result<Tensor> {
        let mut stream = draws.stream(&format!("dropout/{}", self.place));
        stream.skip_uniform(draws.first * shape[1..].iter().product::<usize>());
        let drawn = stream.uniform(0., 1., shape, device)?;
        drawn.ge(self.p)?.to_dtype(DType::F32)?.affine((1. - self.p).recip(), 0.)
    }
}

impl Stage for Placed {
    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match mode {
            Mode::Train(draws) => x * self.mask(x.dims(), x.device(), draws)?.to_dtype(x.dtype())?,
            Mode::Eval => Ok(x.clone()),
        }
    }

    fn directional(&self, x: &Tensor, tangent: &Tensor, draws: Draws) -> Result<(Tensor, Tensor)> {
        let mask = self.mask(x.dims(), x.device(), draws)?.to_dtype(x.dtype())?;
        Ok(((x * &mask)?, (tangent * mask)?))
    }

    fn is_served(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(self.clone()))
    }
}

impl Kernel for Placed {
    fn evaluate(&self, x: Maps) -> Result<Maps> {
        Ok(x)
    }

    fn forward(&self, x: &Maps, draws: Draws) -> Result<(Maps, Box<dyn Pullback + '_>)> {
        let [channels, height, width] = x.image();
        let mask = self.mask(&[x.batch(), channels, height, width], &Device::Cpu, draws)?;
        let mask = Mask(Maps::from_tensor(&mask)?);
        Ok((mask.apply(x)?, Box::new(Through(mask))))
    }
}

/// The mask of one pass.
#[derive(Debug)]
struct Mask(Maps);

impl LinearMap for Mask {
    fn apply(&self, x: &Maps) -> Result<Maps> {
        x.clone().times(&self.0)
    }

    fn adjoint(&self, gradient: &Maps) -> Result<Maps> {
        gradient.clone().times(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Layer, Sequential};

    fn dropped(samples: usize, draws: Draws) -> Vec<f32> {
        let placed = Placed { p: 0.25, place: "model.2".to_owned() };
        let ones = Tensor::ones((samples, 3, 5, 7), DType::F32, &Device::Cpu).unwrap();
        let kept = Stage::forward(&placed, &ones, Mode::Train(draws)).unwrap();
        kept.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn masks_are_a_function_of_seed_purpose_update_place_and_sample() {
        let draws = Draws { seed: 1, purpose: "real", update: 5, first: 0 };
        let all = dropped(200, draws);
        let zeros = all.iter().filter(|value| **value == 0.).count() as f64 / all.len() as f64;
        assert!((zeros - 0.25).abs() < 0.01, "{zeros}");
        assert!(all.iter().all(|value| *value == 0. || (*value - 4. / 3.).abs() < 1e-6));
        assert!(dropped(50, draws) == all[..50 * 105]);
        for other in
            [Draws { seed: 2, ..draws }, Draws { purpose: "fake", ..draws }, Draws { update: 6, ..draws }]
        {
            assert!(dropped(200, other) != all, "{other:?}");
        }
    }

    #[test]
    fn evaluation_drops_nothing_and_a_share_of_one_is_refused() {
        let layers = |p| [Layer::Linear { inputs: 3, outputs: 3 }, Layer::Dropout { p }];
        let (network, _) = Sequential::seeded(&layers(0.9), 0, "test", &Device::Cpu).unwrap();
        let (without, _) = Sequential::seeded(&layers(0.9)[..1], 0, "test", &Device::Cpu).unwrap();
        let x = Tensor::ones((4, 3), DType::F32, &Device::Cpu).unwrap();
        let evaluate = |network: &Sequential| -> Vec<f32> {
            let prepared = network.prepare(&[3], &[3]).unwrap();
            let y = prepared.evaluate(&Batch::new(&x).unwrap()).unwrap().to_tensor().unwrap();
            y.flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(evaluate(&network), evaluate(&without));
        let problem = Sequential::seeded(&layers(1.), 0, "test", &Device::Cpu).unwrap_err().to_string();
        assert!(problem.contains("dropout: expected a number from 0 up to but not 1, found 1"), "{problem}");
    }
}
