//! Compares exported networks with their own results, in another runtime of ONNX.

use super::*;
use gan_models::{
    Arch, DiscriminatorNorm, GeneratorNorm, HiddenActivation, Mode, ModelConfig, Upsampling, preset,
};
use gan_ops::rng::Stream;
use tract_onnx::prelude::{
    Framework, InferenceFact, InferenceModelExt, IntoRunnable, IntoTValue, Tensor as Array,
};

/// The first output of a model for these inputs, in another runtime. It cannot divide the number of samples
/// by `pack` before it knows it.
fn computed(onnx: &[u8], inputs: Vec<Array>, pack: usize) -> Vec<f32> {
    let mut model = tract_onnx::onnx().model_for_read(&mut &onnx[..]).unwrap();
    for (index, input) in inputs.iter().enumerate().filter(|_| pack > 1) {
        let fact = InferenceFact::dt_shape(input.datum_type(), input.shape());
        model.set_input_fact(index, fact).unwrap();
    }
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let inputs = inputs.into_iter().map(IntoTValue::into_tvalue).collect();
    let outputs = model.run(inputs).unwrap();
    outputs[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn array(tensor: &Tensor) -> Array {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    Array::from_shape(tensor.dims(), &values).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    assert!(worst <= 1e-5 * largest.max(1e-3), "{what}: {worst} of {largest}");
}

/// A configuration of each kind of layer.
fn configs() -> Vec<(&'static str, ModelConfig)> {
    let with = |mut config: ModelConfig, change: &dyn Fn(&mut ModelConfig)| {
        change(&mut config);
        config.validate().unwrap();
        config
    };
    let dcgan = || {
        with(preset::dcgan_28(), &|c| {
            (c.latent_dim, c.channels) = (5, 3);
            (c.generator.widths, c.discriminator.widths) = (vec![6, 4], vec![4, 6]);
        })
    };
    let residual = with(dcgan(), &|c| {
        (c.arch, c.generator.activation) = (Arch::Residual, HiddenActivation::LeakyRelu);
        (c.generator.widths, c.discriminator.widths) = (vec![8, 8, 4], vec![4, 8, 8]);
    });
    vec![
        ("mlp", with(preset::mlp_003(5), &|c| c.classes = Some(3))),
        ("dcgan", dcgan()),
        (
            "conditional",
            with(dcgan(), &|c| (c.classes, c.discriminator.norm) = (Some(3), DiscriminatorNorm::None)),
        ),
        ("nearest", with(dcgan(), &|c| c.generator.upsample = Upsampling::Nearest)),
        ("pixel", with(dcgan(), &|c| c.generator.norm = GeneratorNorm::Pixel)),
        ("spectral", with(dcgan(), &|c| c.discriminator.norm = DiscriminatorNorm::Spectral)),
        ("packed", with(dcgan(), &|c| c.discriminator.pack = 2)),
        ("residual", residual.clone()),
        ("spectral residual", with(residual, &|c| c.discriminator.norm = DiscriminatorNorm::Spectral)),
    ]
}

#[test]
fn another_runtime_computes_the_same() {
    for (name, config) in configs() {
        let device = Device::Cpu;
        let count = 4;
        let latents = config.latents();
        let mut stream = Stream::new(1, "z", 0);
        let z = latents.draw_z(&mut stream, count, &device).unwrap();
        let labels: Vec<u16> = (0..count).map(|image| image as u16 % 3).collect();
        let class = || {
            Array::from_shape(&[count], &labels.iter().map(|&l| i64::from(l)).collect::<Vec<_>>()).unwrap()
        };

        let generator = Generator::new(&config, 2, &device).unwrap();
        let (inputs, whole) = match config.classes {
            Some(_) => (vec![array(&z), class()], latents.with_labels(&z, &labels).unwrap()),
            None => (vec![array(&z)], z),
        };
        let images = generator.generate(&whole).unwrap();
        let onnx = super::generator(&generator, &[("data".into(), "x".into())]).unwrap();
        near(&computed(&onnx, inputs, 1), &values(&images), name);

        let discriminator = Discriminator::new(&config, 3, &device).unwrap();
        let (inputs, logits) = match config.classes {
            Some(_) => (
                vec![array(&images), class()],
                discriminator.forward_of(&images, &labels, Mode::Eval).unwrap(),
            ),
            None => (vec![array(&images)], discriminator.forward(&images, Mode::Eval).unwrap()),
        };
        let onnx = super::discriminator(&discriminator, &[]).unwrap();
        near(&computed(&onnx, inputs, config.discriminator.pack), &values(&logits), name);
    }
}

#[test]
fn what_compares_the_images_of_a_batch_is_refused() {
    let mut config = preset::dcgan_28();
    config.discriminator.minibatch_std = Some(4);
    let discriminator = Discriminator::new(&config, 3, &Device::Cpu).unwrap();
    let error = super::discriminator(&discriminator, &[]).unwrap_err().to_string();
    assert!(error.contains("MinibatchStd(4) compares the images of a batch"), "{error}");
}
