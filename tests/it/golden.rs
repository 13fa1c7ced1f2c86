//! The Rust side of `tests/golden/make_golden.py`. It makes the same weights and inputs from the
//! same hash, and compares the results with PyTorch's.

use candle_core::{Device, Tensor};
use gan_models::{
    Discriminator, DiscriminatorNorm, Generator, Gradients, Layer, ModelConfig, Params, preset,
};
use safetensors::SafeTensors;
use std::collections::HashMap;

/// Number of stored elements of a large tensor. Its norm follows them.
const KEPT: usize = 256;
/// The tolerance is relative to the Euclidean norm of the stored values. PyTorch's own kernels
/// differ from each other by up to 1e-6, because each instruction set adds in another order.
const TOLERANCE: f64 = 1e-5;

/// Uniform values in offset +- scale, f32. It is the function `fill` of `make_golden.py`.
pub(crate) fn fill(name: &str, shape: &[usize], scale: f32, offset: f32) -> Tensor {
    let seed = name.bytes().fold(0x811c_9dc5u32, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let value = |i: u32| {
        let mut h = i.wrapping_mul(0x9e37_79b9).wrapping_add(seed);
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^= h >> 16;
        let unit = (h >> 8) as f32 / (1 << 24) as f32;
        (unit * 2. - 1.) * scale + offset
    };
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n as u32).map(value).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

pub(crate) fn latents(config: &ModelConfig, name: &str, batch: usize) -> Tensor {
    fill(name, &[batch, config.latent_dim], 1.7, 0.)
}

pub(crate) fn images(config: &ModelConfig, name: &str, batch: usize) -> Tensor {
    let [channels, height, width] = config.image_shape();
    fill(name, &[batch, channels, height, width], 1., 0.)
}

pub(crate) fn model(name: &str) -> ModelConfig {
    match name {
        "mlp-001" => preset::mlp_001(),
        "mlp-002" => preset::mlp_002(),
        "mlp-003" => preset::mlp_003(64),
        "dcgan-28" => preset::dcgan_28(),
        "dcgan-28-without-norm" => {
            let mut config = preset::dcgan_28();
            config.discriminator.norm = DiscriminatorNorm::None;
            config
        }
        "dcgan-64" => preset::dcgan_64(),
        _ => panic!("no preset {name}"),
    }
}

/// Both networks with the weights that `make_golden.py` uses.
pub(crate) fn networks(config: &ModelConfig) -> (Generator, Discriminator) {
    let generator = Generator::new(config, 0, &Device::Cpu).unwrap();
    let discriminator = Discriminator::new(config, 0, &Device::Cpu).unwrap();
    let weights = |player: &str, layers: &[Layer], params: &Params| -> HashMap<String, Tensor> {
        params.iter().map(|(name, var)| (name.to_owned(), weight(player, layers, name, var.dims()))).collect()
    };
    let g = weights("generator", &config.generator_layers(), generator.params());
    let d = weights("discriminator", &config.discriminator_layers(), discriminator.params());
    (
        Generator::from_tensors(config, g, &Device::Cpu).unwrap(),
        Discriminator::from_tensors(config, d, &Device::Cpu).unwrap(),
    )
}

fn weight(player: &str, layers: &[Layer], name: &str, shape: &[usize]) -> Tensor {
    let position: usize = name.split('.').nth(1).unwrap().parse().unwrap();
    let is_batch_norm = matches!(layers[position], Layer::BatchNorm2d { .. });
    let (scale, offset) = match (shape.len(), name.rsplit('.').next().unwrap()) {
        (_, "running_var") => (0.5, 1.),
        (_, "running_mean") => (0.2, 0.),
        (4, _) => (0.05, 0.),
        (2, _) => (0.06, 0.),
        (_, "weight") if is_batch_norm => (0.1, 1.),
        _ => (0.05, 0.1),
    };
    fill(&format!("{player}.{name}"), shape, scale, offset)
}

/// One of the committed files.
pub(crate) struct Golden {
    tensors: HashMap<String, Vec<f32>>,
    compared: std::cell::RefCell<std::collections::BTreeSet<String>>,
}

impl Golden {
    pub(crate) fn open(file: &str) -> Self {
        let path = format!("{}/../../tests/golden/{file}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let floats =
            |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = tensors.iter().map(|(name, view)| (name.to_owned(), floats(view.data()))).collect();
        Self { tensors, compared: std::cell::RefCell::default() }
    }

    /// Compares a whole tensor with the stored values of PyTorch's: every k-th element and the
    /// norm.
    pub(crate) fn compare(&self, name: &str, found: &Tensor) {
        let flat: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
        let norm = flat.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let mut kept: Vec<f32> = flat.iter().copied().step_by(flat.len().div_ceil(KEPT)).collect();
        kept.push(norm as f32);
        self.compare_values(name, &kept);
    }

    /// Compares the gradient of each trainable parameter. The stored names begin with `prefix`.
    pub(crate) fn compare_gradients(&self, prefix: &str, sums: &Gradients, params: &Params) {
        params.layout().check_same(sums.layout()).unwrap();
        let mut flat = vec![0.; params.count()];
        sums.read_flat(&mut flat).unwrap();
        for entry in params.layout().iter() {
            let values = Tensor::new(&flat[entry.range()], &Device::Cpu).unwrap();
            self.compare(&format!("{prefix}.{}", entry.name()), &values);
        }
    }

    /// The stored values of a tensor, for comparisons of another kind.
    pub(crate) fn values(&self, name: &str) -> &[f32] {
        self.compared.borrow_mut().insert(name.to_owned());
        self.tensors.get(name).unwrap_or_else(|| panic!("no golden {name}"))
    }

    pub(crate) fn compare_values(&self, name: &str, found: &[f32]) {
        let expected = self.tensors.get(name).unwrap_or_else(|| panic!("no golden {name}"));
        assert_eq!(expected.len(), found.len(), "{name}");
        // The last value is the tensor's norm. It would outweigh the others.
        let last = expected.len() - 1;
        for part in [0..last, last..last + 1] {
            let (expected, found) = (&expected[part.clone()], &found[part]);
            let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
            let difference = norm(&mut expected.iter().zip(found).map(|(a, b)| f64::from(a - b)));
            let size = norm(&mut expected.iter().map(|&v| f64::from(v)));
            assert!(difference <= TOLERANCE * size, "{name}: relative difference {:.2e}", difference / size);
        }
        self.compared.borrow_mut().insert(name.to_owned());
    }
}

/// Checks that the test compared everything that PyTorch computed.
impl Drop for Golden {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let missed: Vec<_> =
                self.tensors.keys().filter(|name| !self.compared.borrow().contains(*name)).collect();
            assert!(missed.is_empty(), "not compared: {missed:?}");
        }
    }
}
