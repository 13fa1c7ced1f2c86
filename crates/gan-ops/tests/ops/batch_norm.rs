//! Batch normalisation.

use crate::twins::{ACTIVATIONS, Choices, assert_twins, close};
use candle_core::{Result, Tensor, Var};
use gan_ops::fused::BatchNorm;
use gan_ops::reference;

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
