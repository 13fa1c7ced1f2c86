//! Compares passes that are not on candle's tape with passes on it, for every kind of network:
//! values, and gradients of inputs and weights.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

use candle_core::{Device, Tensor, Var};
use gan_models::{
    Arch, Batch, Discriminator, DiscriminatorConfig, DiscriminatorNorm, Draws, Generator, GeneratorConfig,
    GeneratorNorm, Gradients, HiddenActivation, Mode, ModelConfig, Params, Upsampling, Wanted, preset,
};
use gan_ops::rng::Stream;

const SAMPLES: usize = 6;
const DRAWS: Draws = Draws { seed: 5, purpose: "test", update: 2, first: 0 };

fn dcgan() -> ModelConfig {
    let mut config = preset::dcgan_28();
    (config.latent_dim, config.channels) = (5, 3);
    (config.generator.widths, config.discriminator.widths) = (vec![6, 4], vec![4, 6]);
    config
}

fn residual(image_size: usize, blocks: usize) -> ModelConfig {
    let widths: &[usize] = if image_size == 28 { &[8, 8, 4] } else { &[8, 6, 4, 4] };
    let mirrored: Vec<_> = widths.iter().rev().copied().collect();
    ModelConfig {
        arch: Arch::Residual,
        image_size,
        generator: GeneratorConfig { blocks, ..GeneratorConfig::new(widths, HiddenActivation::LeakyRelu) },
        discriminator: DiscriminatorConfig { blocks, ..DiscriminatorConfig::new(&mirrored) },
        ..dcgan()
    }
}

fn configs() -> Vec<(&'static str, ModelConfig)> {
    let with = |mut config: ModelConfig, change: &dyn Fn(&mut ModelConfig)| {
        change(&mut config);
        config.validate().unwrap();
        config
    };
    vec![
        ("dcgan", dcgan()),
        ("residual", residual(28, 1)),
        ("residual-32", residual(32, 2)),
        ("spectral", with(dcgan(), &|c| c.discriminator.norm = DiscriminatorNorm::Spectral)),
        ("spectral-residual", with(residual(28, 1), &|c| c.discriminator.norm = DiscriminatorNorm::Spectral)),
        ("spectral-mlp", with(preset::mlp_002(), &|c| c.discriminator.norm = DiscriminatorNorm::Spectral)),
        ("minibatch-std", with(dcgan(), &|c| c.discriminator.minibatch_std = Some(3))),
        ("minibatch-std-mlp", with(preset::mlp_002(), &|c| c.discriminator.minibatch_std = Some(2))),
        ("classes", with(residual(28, 1), &|c| c.classes = Some(4))),
        ("classes-mlp", with(preset::mlp_001(), &|c| c.classes = Some(4))),
        ("dropout", with(dcgan(), &|c| c.discriminator.dropout = Some(0.3))),
        (
            "dropout-without-norm",
            with(dcgan(), &|c| {
                (c.discriminator.dropout, c.discriminator.norm) = (Some(0.3), DiscriminatorNorm::None);
            }),
        ),
        ("dropout-mlp", with(preset::mlp_002(), &|c| c.discriminator.dropout = Some(0.3))),
        ("pixel-norm", with(dcgan(), &|c| c.generator.norm = GeneratorNorm::Pixel)),
        ("pixel-norm-mlp", with(preset::mlp_002(), &|c| c.generator.norm = GeneratorNorm::Pixel)),
        ("without-norms", with(dcgan(), &|c| c.generator.norm = GeneratorNorm::None)),
        ("nearest", with(dcgan(), &|c| c.generator.upsample = Upsampling::Nearest)),
        ("pack", with(dcgan(), &|c| c.discriminator.pack = 2)),
        ("pack-flat", with(preset::mlp_003(7), &|c| c.discriminator.pack = 3)),
    ]
}

fn normal(name: &str, shape: &[usize]) -> Tensor {
    Stream::new(1, name, 0).normal(shape, &Device::Cpu).unwrap()
}

/// Changes the initial weights. A residual block starts with a result of 0, and weights with a
/// deviation of 0.02 leave little to compare.
fn shake(params: &Params) {
    for (name, var) in params.trained() {
        let fan_in = var.elem_count() / var.dims()[0];
        let noise = normal(name, var.dims()).affine(0.7 / (fan_in as f64).sqrt(), 0.).unwrap();
        var.set(&(var.as_detached_tensor() + noise).unwrap()).unwrap();
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(what: &str, found: &[f32], expected: &[f32]) {
    let norm =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let apart = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let of = norm(&mut expected.iter().copied());
    assert!(found.len() == expected.len() && of > 0. && apart <= 2e-5 * of, "{what}: {apart} of {of}");
}

fn gradients(sums: &Gradients, params: &Params) -> Vec<Vec<f32>> {
    let mut flat = vec![0.; params.count()];
    sums.read_flat(&mut flat).unwrap();
    params.layout().iter().map(|entry| flat[entry.range()].to_vec()).collect()
}

#[test]
fn a_discriminators_pass_is_that_of_the_tape() {
    for (name, config) in configs() {
        let discriminator = Discriminator::new(&config, 3, &Device::Cpu).unwrap();
        shake(discriminator.params());
        discriminator.iterate_power().unwrap();
        let [c, h, w] = config.image_shape();
        let x = Var::from_tensor(&normal("x", &[SAMPLES, c, h, w])).unwrap();
        let labels: Vec<u16> = (0..SAMPLES as u16).map(|i| i % 4).collect();
        let logits = match config.classes {
            Some(_) => discriminator.forward_of(&x, &labels, Mode::Train(DRAWS)),
            None => discriminator.forward(&x, Mode::Train(DRAWS)),
        };
        let logits = logits.unwrap();
        let gradient = normal("gradient", logits.dims());
        let grads = (&logits * &gradient).unwrap().sum_all().unwrap().backward().unwrap();

        let prepared = discriminator.prepare().unwrap();
        let pass = prepared.forward(&Batch::new(&x).unwrap(), DRAWS).unwrap();
        let pass = if config.classes.is_some() { pass.of_classes(&labels).unwrap() } else { pass };
        close(name, &flat(&pass.logits().unwrap()), &flat(&logits));
        let mut sums = discriminator.gradients();
        let below =
            pass.backward(&Batch::new(&gradient).unwrap(), Some(&mut sums), Wanted::Input).unwrap().unwrap();
        close(&format!("{name} input"), &flat(&below.to_tensor().unwrap()), &flat(grads.get(&x).unwrap()));
        for ((parameter, var), found) in
            discriminator.params().trained().zip(gradients(&sums, discriminator.params()))
        {
            close(&format!("{name} {parameter}"), &found, &flat(grads.get(var).unwrap()));
        }
        let evaluated = prepared.evaluate(&Batch::new(&x).unwrap()).unwrap().to_tensor().unwrap();
        assert_eq!(evaluated.dim(0).unwrap(), SAMPLES / config.discriminator.pack);
    }
}

#[test]
fn a_generators_pass_is_that_of_the_tape() {
    for (name, config) in configs() {
        let generator = Generator::new(&config, 3, &Device::Cpu).unwrap();
        shake(generator.params());
        let mut stream = Stream::new(0, "z", 0);
        let z = config.latents().draw(&mut stream, SAMPLES, &Device::Cpu).unwrap();
        let images = generator.forward(&z, Mode::Train(DRAWS)).unwrap();
        let gradient = normal("gradient", images.dims());
        let grads = (&images * &gradient).unwrap().sum_all().unwrap().backward().unwrap();
        let prepared = generator.prepare().unwrap();
        let pass = prepared.forward(&generator.latents(&z).unwrap(), DRAWS).unwrap();
        close(name, &flat(&pass.output().to_tensor().unwrap()), &flat(&images));
        let mut sums = generator.gradients();
        pass.backward(&Batch::new(&gradient).unwrap(), Some(&mut sums), Wanted::Nothing).unwrap();
        for ((parameter, var), found) in
            generator.params().trained().zip(gradients(&sums, generator.params()))
        {
            close(&format!("{name} {parameter}"), &found, &flat(grads.get(var).unwrap()));
        }
        let drawn = generator.generate(&z).unwrap();
        close(name, &flat(&drawn), &flat(&generator.forward(&z, Mode::Eval).unwrap()));
    }
}

#[test]
fn the_gradient_of_a_penalty_is_that_of_finite_differences() {
    for (name, mut config) in configs() {
        // Without the kinks of activations, where the penalty jumps, it is a polynomial of the
        // weights.
        config.discriminator.negative_slope = 1.;
        let discriminator = Discriminator::new(&config, 3, &Device::Cpu).unwrap();
        shake(discriminator.params());
        let [c, h, w] = config.image_shape();
        let x = Batch::new(&normal("x", &[SAMPLES, c, h, w])).unwrap();
        let labels: Vec<u16> = (0..SAMPLES as u16).map(|i| i % 4).collect();
        // Half the sum of the squares of each sample's gradient.
        let penalty = || {
            let prepared = discriminator.prepare().unwrap();
            let pass = prepared.forward(&x, DRAWS).unwrap();
            let pass = if config.classes.is_some() { pass.of_classes(&labels).unwrap() } else { pass };
            let slope = pass.slope().map_err(|e| e.to_string())?;
            let value = slope.gradient().squares().unwrap().iter().sum::<f64>() / 2.;
            let direction = slope.gradient().clone();
            let mut sums = discriminator.gradients();
            slope.backward(&direction, None, &mut sums).unwrap();
            Ok::<_, String>((value, gradients(&sums, discriminator.params())))
        };
        let (_, found) = match penalty() {
            Ok(found) => found,
            Err(problem) => {
                assert!(problem.contains("couples the samples") && discriminator.couples_samples(), "{name}");
                continue;
            }
        };
        let scale = f64::from(found.concat().iter().fold(0f32, |most, v| most.max(v.abs())));
        let mut checked = 0;
        for ((parameter, var), found) in discriminator.params().trained().zip(&found) {
            let values = flat(var);
            for i in (0..values.len()).step_by(values.len().div_ceil(2)) {
                let moved = |by: f32| {
                    let mut values = values.clone();
                    values[i] += by;
                    var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap()).unwrap();
                    penalty().unwrap().0
                };
                let expected = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                moved(0.);
                checked += 1;
                let apart = (f64::from(found[i]) - expected).abs();
                assert!(apart < 5e-3 * scale, "{name} {parameter}: {} {expected}", found[i]);
            }
        }
        assert!(checked > 10, "{name}");
    }
}

#[test]
fn spectral_norm_divides_by_the_largest_singular_value() {
    let mut config = dcgan();
    config.discriminator.norm = DiscriminatorNorm::Spectral;
    let discriminator = Discriminator::new(&config, 3, &Device::Cpu).unwrap();
    let of =
        |name: &str| discriminator.params().get(&format!("model.0.parametrizations.weight.{name}")).unwrap();
    let matrix = of("original").flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
    let weight = largest_singular_value(&matrix);
    let (u, v) = (of("0._u").to_vec1::<f32>().unwrap(), of("0._v").to_vec1::<f32>().unwrap());
    let sigma: f32 =
        matrix.iter().zip(&u).map(|(row, u)| u * row.iter().zip(&v).map(|(w, v)| w * v).sum::<f32>()).sum();
    assert!((sigma / weight - 1.).abs() < 0.02, "{sigma} {weight}");
    // The singular vectors are state. No optimizer updates them.
    assert!(discriminator.params().trained().all(|(name, _)| !name.ends_with("_u") && !name.ends_with("_v")));
}

/// The largest singular value, from very many power iterations on `M M^T`.
fn largest_singular_value(matrix: &[Vec<f32>]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let mut x = vec![1f32; matrix.len()];
    let mut value = 0.;
    for _ in 0..2000 {
        let y: Vec<f32> = matrix
            .iter()
            .map(|row| matrix.iter().zip(&x).map(|(other, x)| dot(row, other) * x).sum())
            .collect();
        value = dot(&y, &y).sqrt();
        x = y.iter().map(|y| y / value).collect();
    }
    value.sqrt()
}
