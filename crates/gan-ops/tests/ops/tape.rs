//! Arguments on candle's tape get a gradient, and no others do. The test is in double precision.

use crate::twins::{Choices, close};
use candle_core::{DType, Device, Result, Tensor, Var};
use gan_ops::fused::{BatchNorm, serves};
use gan_ops::{Activation, AdamHyper, Gradient, reference};

type Op = fn(&[Tensor]) -> Result<Tensor>;

const ACTIVATION: Activation = Activation::LeakyRelu(0.25);

fn norm(t: &[Tensor]) -> Result<BatchNorm> {
    let [mean, var] = [t[1].zeros_like()?, t[1].ones_like()?].map(|t| Var::from_tensor(&t));
    let (running_mean, running_var) = (mean?.into_inner(), var?.into_inner());
    Ok(BatchNorm {
        weight: t[1].clone(),
        bias: t[2].clone(),
        running_mean,
        running_var,
        eps: 1e-5,
        momentum: 0.1,
        ranks: None,
    })
}

/// Each op with its plain version and the shapes of its arguments.
fn ops() -> Vec<(&'static str, Op, Op, Vec<Vec<usize>>)> {
    let image = vec![5, 3, 5, 7];
    vec![
        (
            "linear",
            |t| gan_ops::linear(&t[0], &t[1], t.get(2), ACTIVATION),
            |t| reference::linear(&t[0], &t[1], t.get(2), ACTIVATION),
            vec![vec![5, 7], vec![4, 7], vec![4]],
        ),
        (
            "conv2d",
            |t| gan_ops::conv2d(&t[0], &t[1], t.get(2), 2, 1, ACTIVATION),
            |t| reference::conv2d(&t[0], &t[1], t.get(2), 2, 1, ACTIVATION),
            vec![image.clone(), vec![4, 3, 4, 4], vec![4]],
        ),
        (
            "conv_transpose2d without bias",
            |t| gan_ops::conv_transpose2d(&t[0], &t[1], t.get(2), 2, 1, ACTIVATION),
            |t| reference::conv_transpose2d(&t[0], &t[1], t.get(2), 2, 1, ACTIVATION),
            vec![image.clone(), vec![3, 4, 4, 4]],
        ),
        (
            "batch_norm_train",
            |t| gan_ops::batch_norm_train(&t[0], &norm(t)?, ACTIVATION),
            |t| reference::batch_norm_train(&t[0], &norm(t)?, ACTIVATION),
            vec![image.clone(), vec![3], vec![3]],
        ),
        (
            "batch_norm_eval",
            |t| gan_ops::batch_norm_eval(&t[0], &norm(t)?, ACTIVATION),
            |t| reference::batch_norm_eval(&t[0], &norm(t)?, ACTIVATION),
            vec![image.clone(), vec![3], vec![3]],
        ),
        ("tanh", |t| gan_ops::tanh(&t[0]), |t| reference::tanh(&t[0]), vec![image.clone()]),
        (
            "bce_with_logits",
            |t| gan_ops::bce_with_logits(&t[0], 0.9),
            |t| reference::bce_with_logits(&t[0], 0.9),
            vec![image],
        ),
    ]
}

#[test]
fn constants_have_no_gradient() -> Result<()> {
    for (name, op, _, shapes) in ops() {
        let mut choices = Choices(7);
        let values = shapes.iter().map(|s| choices.values(&s[..])).collect::<Result<Vec<_>>>()?;
        let variables = values.iter().map(Var::from_tensor).collect::<Result<Vec<_>>>()?;
        let all: Vec<_> = variables.iter().map(|v| v.as_tensor().clone()).collect();
        let expected = op(&all)?.sum_all()?.backward()?;
        for (i, variable) in variables.iter().enumerate() {
            let mut arguments = values.clone();
            // This is not the variable itself, but it is on the tape.
            arguments[i] = (variable.as_tensor() * 1.)?;
            let y = op(&arguments)?;
            assert!(y.track_op(), "{name}");
            let grads = y.sum_all()?.backward()?;
            let what = format!("{name}: gradient {i} alone");
            close(&what, grads.get(variable).unwrap(), expected.get(variable).unwrap());
            // candle's own ops compute some gradients that nobody needs.
            let spared = serves(&Device::Cpu, DType::F32);
            for (j, constant) in arguments.iter().enumerate().filter(|(j, _)| spared && *j != i) {
                assert!(grads.get(constant).is_none(), "{what}, and {j}");
            }
        }
        assert!(!op(&values)?.track_op(), "{name} of constants");
    }
    Ok(())
}

#[test]
fn double_precision_goes_to_the_twin() -> Result<()> {
    for (name, op, twin, shapes) in ops() {
        let mut choices = Choices(8);
        let single = shapes.iter().map(|s| choices.values(&s[..])).collect::<Result<Vec<_>>>()?;
        let variables = single.iter().map(|t| Var::from_tensor(&t.to_dtype(DType::F64)?));
        let variables = variables.collect::<Result<Vec<_>>>()?;
        let double: Vec<_> = variables.iter().map(|v| v.as_tensor().clone()).collect();
        let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (y, expected) = (op(&double)?, twin(&double)?);
        assert!(bits(&y) == bits(&expected), "{name}");
        close(name, &y.to_dtype(DType::F32)?, &op(&single)?);
        let (grads, expected) = (y.sum_all()?.backward()?, expected.sum_all()?.backward()?);
        for (i, variable) in variables.iter().enumerate() {
            let [found, expected] = [&grads, &expected].map(|grads| bits(grads.get(variable).unwrap()));
            assert!(found == expected, "{name}: gradient {i}");
        }
    }
    let hyper = AdamHyper { lr: 0.1, betas: (0.5, 0.9), eps: 1e-8 };
    let [param, first, second] = [1f64, 0., 0.].map(|v| Var::new(&[v], &Device::Cpu).unwrap());
    let gradient = Tensor::new(&[3f64], &Device::Cpu)?;
    gan_ops::adam_step(&param, Gradient::Tensor(&gradient), [&first, &second], &hyper, 1)?;
    assert!((param.to_vec1::<f64>()?[0] - 0.9).abs() < 1e-8);
    Ok(())
}
