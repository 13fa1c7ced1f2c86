//! The same call gives the same bytes: when it is repeated, after a call whose result is NaN,
//! beside another call, and with any number of threads.

use candle_core::{Device, Result, Shape, Tensor, Var};
use gan_ops::fused::{BatchNorm, FusedLayer, Maps, Product};
use gan_ops::rng::Stream;
use gan_ops::{Activation, AdamHyper, Gradient};
use std::process::Command;

/// Hashes of the results, by name.
#[derive(Debug, Default, PartialEq)]
struct Hashes(Vec<(String, u64)>);

impl Hashes {
    fn values(&mut self, name: impl Into<String>, values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.0.push((name.into(), hash));
    }

    fn tensor(&mut self, name: impl Into<String>, tensor: &Tensor) {
        self.values(name, &tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }

    /// Hashes the result and the gradients of `op`.
    fn op(&mut self, name: &str, variables: &[Var], op: impl Fn(&[Var]) -> Result<Tensor>) -> Result<()> {
        let y = op(variables)?;
        self.tensor(name, &y);
        let grads = y.sqr()?.sum_all()?.backward()?;
        for (i, variable) in variables.iter().enumerate() {
            self.tensor(format!("{name}, gradient {i}"), grads.get(variable).unwrap());
        }
        Ok(())
    }
}

/// Computes every op and a whole layer. The values are multiplied by `factor` and are large enough
/// for several threads to share the work.
fn all(factor: f64) -> Result<Hashes> {
    let mut stream = Stream::new(2, "repeat-test", 0);
    let mut variable = |shape: Shape| Var::from_tensor(&(stream.normal(shape, &Device::Cpu)? * factor)?);
    let leaky = Activation::LeakyRelu(0.2);
    let mut hashes = Hashes::default();

    let arguments = [variable((37, 784).into())?, variable((130, 784).into())?, variable(130.into())?];
    hashes.op("linear", &arguments, |t| gan_ops::linear(&t[0], &t[1], Some(&t[2]), leaky))?;
    let x = variable((37, 32, 14, 14).into())?;
    for (kernel, stride) in [(3, 1), (4, 2)] {
        let arguments = [x.clone(), variable((40, 32, kernel, kernel).into())?, variable(40.into())?];
        hashes.op(&format!("conv2d by {kernel}"), &arguments, |t| {
            gan_ops::conv2d(&t[0], &t[1], Some(&t[2]), stride, 1, leaky)
        })?;
        let arguments = [x.clone(), variable((32, 40, kernel, kernel).into())?, variable(40.into())?];
        hashes.op(&format!("conv_transpose2d by {kernel}"), &arguments, |t| {
            gan_ops::conv_transpose2d(&t[0], &t[1], Some(&t[2]), stride, 1, leaky)
        })?;
    }

    let arguments = [x.clone(), variable(32.into())?, variable(32.into())?];
    let [mean, var] = [arguments[1].zeros_like()?, arguments[1].ones_like()?].map(|t| Var::from_tensor(&t));
    let norm = BatchNorm {
        weight: arguments[1].as_tensor().clone(),
        bias: arguments[2].as_tensor().clone(),
        running_mean: mean?.into_inner(),
        running_var: var?.into_inner(),
        eps: 1e-5,
        momentum: 0.1,
        ranks: None,
    };
    hashes.op("batch_norm_train", &arguments, |t| gan_ops::batch_norm_train(&t[0], &norm, leaky))?;
    hashes.tensor("running mean", &norm.running_mean);
    hashes.tensor("running variance", &norm.running_var);
    hashes.op("batch_norm_eval", &arguments, |t| gan_ops::batch_norm_eval(&t[0], &norm, leaky))?;
    hashes.op("tanh", std::slice::from_ref(&x), |t| gan_ops::tanh(&t[0]))?;
    hashes.op("bce_with_logits", std::slice::from_ref(&x), |t| gan_ops::bce_with_logits(&t[0], 0.9))?;

    let [param, first, second] = [x.copy()?, x.zeros_like()?, x.zeros_like()?].map(|t| Var::from_tensor(&t));
    let (param, moments) = (param?, [&first?, &second?]);
    let hyper = AdamHyper { lr: 0.1, betas: (0.5, 0.999), eps: 1e-8 };
    gan_ops::adam_step(&param, Gradient::Tensor(x.as_tensor()), moments, &hyper, 1)?;
    for (name, tensor) in [("parameter", &param), ("first moment", moments[0]), ("second moment", moments[1])]
    {
        hashes.tensor(name, tensor);
    }

    let weight = variable((40, 32, 4, 4).into())?.into_inner();
    let product = Some((Product::Conv2d { stride: 2, padding: [1, 1] }, weight, None));
    let layer = FusedLayer { product, norm: None, activation: Activation::Tanh };
    let prepared = layer.prepare();
    let mut sums = prepared.gradient([32, 14, 14])?;
    let (y, saved) = prepared.forward(&Maps::from_tensor(&x)?)?;
    hashes.tensor("layer", &y.to_tensor()?);
    let gradient = prepared.backward(saved, y, Some(&mut sums), true)?.unwrap();
    hashes.tensor("layer, gradient", &gradient.to_tensor()?);
    sums.each(|values| hashes.values("layer, gradient of a parameter", values));
    Ok(hashes)
}

#[test]
fn the_same_call_gives_the_same_bytes() -> Result<()> {
    let first = all(1.)?;
    assert_ne!(all(2.)?, first);
    // This call leaves NaN in the memory that is reused.
    all(f64::NAN)?;
    assert_eq!(all(1.)?, first);
    let both = std::thread::scope(|scope| {
        [(); 2].map(|()| scope.spawn(|| all(1.).unwrap())).map(|thread| thread.join().unwrap())
    });
    assert_eq!(both[0], first);
    assert_eq!(both[1], first);
    Ok(())
}

#[test]
fn the_number_of_threads_changes_nothing() -> Result<()> {
    const CHILD: &str = "GAN_OPS_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        for (name, hash) in all(1.)?.0 {
            println!("\nhash of {name}: {hash:016x}");
        }
        return Ok(());
    }
    let with = |threads: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "repeat::the_number_of_threads_changes_nothing", "--nocapture"])
            .envs([(CHILD, "1"), ("RAYON_NUM_THREADS", threads)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().filter(|line| line.starts_with("hash of ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let one = with("1");
    assert_eq!(one.len(), all(1.)?.0.len());
    for threads in ["2", "5"] {
        assert_eq!(with(threads), one, "{threads} threads");
    }
    Ok(())
}
