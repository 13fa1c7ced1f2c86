//! Activations, cross-entropy and Adam.

use crate::twins::{ACTIVATIONS, Argument, Choices, VIEWS, assert_twins, close};
use candle_core::{Device, Result, Tensor, Var};
use gan_ops::{AdamHyper, Gradient, reference};

#[test]
fn activations() -> Result<()> {
    let mut choices = Choices(4);
    let shapes: [&[usize]; 5] = [&[1], &[37], &[37, 3], &[1, 3, 5, 7], &[3, 20_000]];
    for dims in shapes {
        for view in VIEWS {
            let x = [Argument::new(&choices.values(dims)?, view)?];
            for activation in ACTIVATIONS {
                assert_twins(
                    &format!("{dims:?} {view:?} {activation:?}"),
                    &x,
                    |t| gan_ops::activate(&t[0], activation),
                    |t| reference::activate(&t[0], activation),
                )?;
            }
            let what = format!("{dims:?} {view:?}");
            assert_twins(&what, &x, |t| gan_ops::relu(&t[0]), |t| reference::relu(&t[0]))?;
            assert_twins(&what, &x, |t| gan_ops::tanh(&t[0]), |t| reference::tanh(&t[0]))?;
            let (op, twin) = (gan_ops::leaky_relu, reference::leaky_relu);
            assert_twins(&what, &x, |t| op(&t[0], 0.01), |t| twin(&t[0], 0.01))?;
        }
    }
    let nan = Tensor::new(&[[f32::NAN]], &Device::Cpu)?;
    for activation in ACTIVATIONS {
        assert!(gan_ops::activate(&nan, activation)?.to_vec2::<f32>()?[0][0].is_nan(), "{activation:?}");
        let y = gan_ops::linear(&nan, &nan.ones_like()?, None, activation)?;
        assert!(y.to_vec2::<f32>()?[0][0].is_nan(), "{activation:?}");
    }
    Ok(())
}

#[test]
fn bce_with_logits() -> Result<()> {
    let mut choices = Choices(5);
    // Large logits occur only in cases where some of them are on the wrong side. Otherwise the
    // loss would consist of rounding errors only.
    let cases: [(&[usize], f64); 5] =
        [(&[1], 1.), (&[64], 1.), (&[37, 1], 40.), (&[1, 3, 5, 7], 40.), (&[37, 3, 5, 7], 1.)];
    for (dims, factor) in cases {
        for (view, target) in
            VIEWS.into_iter().flat_map(|view| [0., 0.1, 0.9, 1.].map(|target| (view, target)))
        {
            let logits = [Argument::new(&(choices.values(dims)? * factor)?, view)?];
            assert_twins(
                &format!("{dims:?} {view:?} x {factor} against {target}"),
                &logits,
                |t| gan_ops::bce_with_logits(&t[0], target),
                |t| reference::bce_with_logits(&t[0], target),
            )?;
        }
    }
    Ok(())
}

#[test]
fn adam_step() -> Result<()> {
    let mut choices = Choices(6);
    let hyper = AdamHyper { lr: 0.01, betas: (0.5, 0.999), eps: 1e-8 };
    let shapes: [&[usize]; 4] = [&[1], &[37], &[3, 1, 5, 7], &[200, 200]];
    for dims in shapes {
        let param = Var::from_tensor(&choices.values(dims)?)?;
        let [first, second] =
            [param.zeros_like()?, param.zeros_like()?].map(|t| Var::from_tensor(&t).unwrap());
        let mut expected = [param.copy()?, first.copy()?, second.copy()?];
        let shared = param.detach();
        for step in 1..=8 {
            let gradient = choices.argument(dims)?.view;
            let values = gradient.flatten_all()?.to_vec1::<f32>()?;
            let given = if step % 2 == 0 { Gradient::Slice(&values) } else { Gradient::Tensor(&gradient) };
            gan_ops::adam_step(&param, given, [&first, &second], &hyper, step)?;
            let [p, m, v] = &expected;
            expected = reference::adam_step(p, &gradient.contiguous()?, m, v, &hyper, step)?;
            let what = format!("{dims:?}, step {step}");
            for (what, found, expected) in [
                (format!("{what}: parameter"), &shared, &expected[0]),
                (format!("{what}: first moment"), first.as_tensor(), &expected[1]),
                (format!("{what}: second moment"), second.as_tensor(), &expected[2]),
            ] {
                close(&what, found, expected);
            }
        }
    }
    Ok(())
}

#[test]
fn ema_step() -> Result<()> {
    let mut choices = Choices(8);
    let shapes: [&[usize]; 3] = [&[1], &[3, 1, 5, 7], &[200, 200]];
    for dims in shapes {
        let average = Var::from_tensor(&choices.values(dims)?)?;
        let shared = average.detach();
        let mut expected = average.copy()?;
        for decay in [0., 0.5, 0.999, 1.] {
            let now = choices.argument(dims)?.view;
            gan_ops::ema_step(&average, &now, decay)?;
            expected = reference::ema_step(&expected, &now, decay)?;
            close(&format!("{dims:?}, {decay}"), &shared, &expected);
        }
    }
    Ok(())
}

/// With a negative slope, the sign of the output does not show the side of the input.
#[test]
fn leaky_relu_with_a_negative_slope() -> Result<()> {
    let x = Var::new(&[-1f32, 1.], &Device::Cpu)?;
    let y = gan_ops::leaky_relu(&x, -0.5)?;
    assert_eq!(y.to_vec1::<f32>()?, [0.5, 1.]);
    let grads = y.sum_all()?.backward()?;
    assert_eq!(grads.get(&x).unwrap().to_vec1::<f32>()?, [-0.5, 1.]);
    Ok(())
}

#[test]
fn relu_of_infinity_and_nan() -> Result<()> {
    let x = Tensor::new(&[f32::NEG_INFINITY, f32::INFINITY, f32::NAN], &Device::Cpu)?;
    for y in [gan_ops::relu(&x)?, reference::relu(&x)?] {
        let y = y.to_vec1::<f32>()?;
        assert!(y[..2] == [0., f32::INFINITY] && y[2].is_nan(), "{y:?}");
    }
    Ok(())
}
