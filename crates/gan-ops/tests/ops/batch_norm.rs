//! Batch normalisation.

use crate::twins::{ACTIVATIONS, Choices, assert_twins, close};
use candle_core::{DType, Device, Result, Tensor, Var};
use gan_ops::fused::BatchNorm;
use gan_ops::rng::Stream;
use gan_ops::{Activation, AllReduce, reference};
use std::sync::{Arc, Barrier, Mutex};

#[test]
fn batch_norm() -> Result<()> {
    let mut choices = Choices(3);
    let shapes: [&[usize]; 6] = [&[5, 3], &[37, 1], &[37, 20], &[1, 3, 5, 7], &[37, 1, 5, 7], &[37, 3, 5, 7]];
    for dims in shapes {
        for activation in ACTIVATIONS {
            let what = format!("{dims:?} {activation:?}");
            let arguments = [choices.argument(dims)?, choices.argument(dims[1])?, choices.argument(dims[1])?];
            let running = [choices.values(dims[1])?, (choices.values(dims[1])?.abs()? + 1.)?];
            let norm = || {
                let [mean, var] = [&running[0], &running[1]].map(Var::from_tensor);
                let (mean, var) = (mean?.into_inner(), var?.into_inner());
                let (weight, bias) = (arguments[1].view.clone(), arguments[2].view.clone());
                Result::Ok(BatchNorm {
                    weight,
                    bias,
                    running_mean: mean,
                    running_var: var,
                    eps: 1e-5,
                    momentum: 0.1,
                    ranks: None,
                })
            };
            let with = |norm: &BatchNorm, t: &[Tensor]| BatchNorm {
                weight: t[1].clone(),
                bias: t[2].clone(),
                ..norm.clone()
            };
            let (moved, expected) = (norm()?, norm()?);
            assert_twins(
                &format!("train {what}"),
                &arguments,
                |t| gan_ops::batch_norm_train(&t[0], &with(&moved, t), activation),
                |t| reference::batch_norm_train(&t[0], &with(&expected, t), activation),
            )?;
            assert!(moved.running_mean.to_vec1::<f32>()? != running[0].to_vec1::<f32>()?, "{what}");
            close(&format!("{what}: running mean"), &moved.running_mean, &expected.running_mean);
            close(&format!("{what}: running variance"), &moved.running_var, &expected.running_var);
            assert_twins(
                &format!("eval {what}"),
                &arguments,
                |t| gan_ops::batch_norm_eval(&t[0], &with(&expected, t), activation),
                |t| reference::batch_norm_eval(&t[0], &with(&expected, t), activation),
            )?;
        }
    }
    Ok(())
}

/// Ranks that are threads of this process.
#[derive(Debug)]
struct Threads {
    ranks: usize,
    barrier: Barrier,
    sums: Mutex<Vec<f32>>,
}

impl AllReduce for Threads {
    fn ranks(&self) -> usize {
        self.ranks
    }

    fn all_reduce(&self, values: &mut [f32]) -> Result<()> {
        let mut sums = self.sums.lock().unwrap();
        sums.resize(values.len(), 0.);
        sums.iter_mut().zip(&*values).for_each(|(sum, value)| *sum += value);
        drop(sums);
        self.barrier.wait();
        values.copy_from_slice(&self.sums.lock().unwrap());
        self.barrier.wait();
        self.sums.lock().unwrap().clear();
        self.barrier.wait();
        Ok(())
    }
}

type Op = fn(&Tensor, &BatchNorm, Activation) -> Result<Tensor>;

/// Computes batch norm of `x` forward and backward, from the gradient `dy`. Returns the output, the gradients of
/// input, weight and bias, and the running statistics.
fn passes(op: Op, x: &Tensor, dy: &Tensor, ranks: Option<Arc<dyn AllReduce>>) -> Result<[Tensor; 6]> {
    let device = x.device();
    let channels = x.dim(1)?;
    let ramp = |from: f32| {
        Var::from_tensor(&Tensor::arange(0f32, channels as f32, device)?.affine(0.1, f64::from(from))?)
    };
    let (x, weight, bias) = (Var::from_tensor(x)?, ramp(0.8)?, ramp(0.1)?);
    let [mean, var] = [ramp(2.)?, Var::from_tensor(&Tensor::ones(channels, DType::F32, device)?)?];
    let norm = BatchNorm {
        weight: weight.as_tensor().clone(),
        bias: bias.as_tensor().clone(),
        running_mean: mean.as_tensor().clone(),
        running_var: var.as_tensor().clone(),
        eps: 1e-5,
        momentum: 0.1,
        ranks,
    };
    let y = op(&x, &norm, Activation::LeakyRelu(0.2))?;
    let mut gradients = (&y * dy)?.sum_all()?.backward()?;
    let [dx, d_weight, d_bias] = [x, weight, bias].map(|var| gradients.remove(&var).unwrap());
    Ok([y.detach(), dx, d_weight, d_bias, mean.as_detached_tensor(), var.as_detached_tensor()])
}

#[test]
fn ranks_normalise_with_the_statistics_of_all_their_samples() -> Result<()> {
    // The kernels divide the channels into blocks of eight.
    for (shape, ranks) in [(&[6, 3, 4, 5][..], 2), (&[3, 3], 3), (&[40, 3], 4), (&[6, 21, 4, 5], 2)] {
        // The parts of the ranks have other means and variances than the whole.
        let offset = Tensor::arange(0f32, shape[0] as f32, &Device::Cpu)?;
        let offset = offset.reshape([&[shape[0]][..], &vec![1; shape.len() - 1]].concat())?;
        let x = Stream::new(0, "x", 0).normal(shape, &Device::Cpu)?.broadcast_mul(&offset)?;
        let x = x.broadcast_add(&(offset * 3.)?)?;
        let dy = Stream::new(0, "dy", 0).normal(shape, &Device::Cpu)?;
        for (name, op) in [("kernel", gan_ops::batch_norm_train as Op), ("tape", reference::batch_norm_train)]
        {
            let whole = passes(op, &x, &dy, None)?;
            let threads = Threads { ranks, barrier: Barrier::new(ranks), sums: Mutex::default() };
            let group: Arc<dyn AllReduce> = Arc::new(threads);
            let part = shape[0] / ranks;
            let found: Vec<[Tensor; 6]> = std::thread::scope(|scope| {
                let rank = |rank| {
                    let [x, dy] = [&x, &dy].map(|all| all.narrow(0, rank * part, part).unwrap());
                    let group = Arc::clone(&group);
                    scope.spawn(move || passes(op, &x, &dy, Some(group)).unwrap())
                };
                let threads: Vec<_> = (0..ranks).map(rank).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for i in 0..6 {
                let each: Vec<&Tensor> = found.iter().map(|passes| &passes[i]).collect();
                let joined = match i {
                    0 | 1 => Tensor::cat(&each, 0)?,
                    2 | 3 => Tensor::stack(&each, 0)?.sum(0)?,
                    _ => {
                        assert!(
                            found
                                .iter()
                                .all(|f| f[i].to_vec1::<f32>().unwrap() == each[0].to_vec1::<f32>().unwrap())
                        );
                        each[0].clone()
                    }
                };
                close(&format!("{name} {shape:?} {ranks} ranks: {i}"), &joined, &whole[i]);
            }
        }
    }
    Ok(())
}
