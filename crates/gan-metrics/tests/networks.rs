//! Compares the networks that compute features with PyTorch.
//!
//! `tests/golden/inception.py` computed the features of the class of `pytorch-fid`. Both sides make
//! the same weights and pictures from an integer hash, because the trained weights are 90 MB.
//! `tests/golden/random_network.py` drew the weights of the random network itself.
#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

use candle_core::{DType, Device, Tensor};
use gan_metrics::inception::{FEATURES, Inception, Preprocessing};
use gan_metrics::{Features, RandomNetwork};
use gan_models::Parameter;
use std::collections::HashMap;
use std::sync::Arc;

/// Largest difference between two features, relative to the standard deviation of all features.
/// Both sides compute in f32 and add in another order, over 48 convolutions in a row.
const TOLERANCE: f64 = 1e-4;

/// The function `fill` of `make_golden.py`: uniform values in offset +- scale.
fn fill(name: &str, shape: &[usize], scale: f32, offset: f32) -> Vec<f32> {
    let seed = name.bytes().fold(0x811c_9dc5u32, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let value = |i: u32| {
        let mut h = i.wrapping_mul(0x9e37_79b9).wrapping_add(seed);
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^= h >> 16;
        let unit = (h >> 8) as f32 / (1 << 24) as f32;
        (unit * 2. - 1.) * scale + offset
    };
    (0..shape.iter().product::<usize>() as u32).map(value).collect()
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The function `weights` of `inception.py`.
fn weights() -> HashMap<String, Tensor> {
    let of = |name: &str, shape: &[usize]| {
        if let [outputs, inputs, kh, kw] = *shape {
            // The filters of two neighbouring channels are opposite to each other.
            let scale = (6. / (inputs * kh * kw) as f64).sqrt() as f32;
            let pairs = inputs.div_ceil(2);
            let half = tensor(fill(name, &[outputs, pairs, kh, kw], scale, 0.), &[outputs, pairs, kh, kw]);
            let both = Tensor::stack(&[&half, &half.neg().unwrap()], 2).unwrap();
            both.flatten(1, 2).unwrap().narrow(1, 0, inputs).unwrap().contiguous().unwrap()
        } else {
            let (scale, offset) = match name.rsplit('.').next().unwrap() {
                "running_var" => (0.5, 1.),
                "weight" => (0.3, 1.),
                _ => (0.2, 0.),
            };
            tensor(fill(name, shape, scale, offset), shape)
        }
    };
    let parameters = Inception::parameters();
    parameters.iter().map(|p| (p.name().to_owned(), of(p.name(), p.shape()))).collect()
}

/// The function `pictures` of `inception.py`, in [-1, 1].
fn pictures(name: &str) -> Tensor {
    let shape @ [b, c, h, w] = match name {
        "32" => [3, 3, 32, 32],
        "64" => [2, 3, 48, 80],
        "128" => [2, 3, 128, 128],
        "299" => [2, 3, 299, 299],
        _ => panic!("no pictures {name}"),
    };
    let coarse = fill(&format!("coarse.{name}"), &[b, c, 4, 4], 0.3, 0.5);
    let fine = fill(&format!("fine.{name}"), &shape, 0.2, 0.);
    let value = |(i, fine): (usize, f32)| {
        let (plane, y, x) = (i / (h * w), i / w % h, i % w);
        (coarse[plane * 16 + y / h.div_ceil(4) * 4 + x / w.div_ceil(4)] + fine) * 2. - 1.
    };
    tensor(fine.into_iter().enumerate().map(value).collect(), &shape)
}

fn values(features: &Tensor) -> Vec<f64> {
    features.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

#[test]
fn features_equal_pytorch_fids() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/inception.safetensors");
    let golden = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let weights = weights();
    let [pytorch, tensorflow] = [Preprocessing::PytorchFid, Preprocessing::Tensorflow]
        .map(|way| Inception::from_tensors(weights.clone(), way, &Device::Cpu).unwrap());
    assert_eq!(golden.len(), 5);
    for (name, expected) in &golden {
        let found = match name.as_str() {
            "tensorflow" => tensorflow.features(&pictures("32")),
            name => pytorch.features(&pictures(name)),
        };
        let found = found.unwrap();
        assert_eq!(found.dims(), [expected.dim(0).unwrap(), FEATURES]);
        let (found, expected) = (values(&found), values(expected));
        let mean = expected.iter().sum::<f64>() / expected.len() as f64;
        let deviation =
            (expected.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / expected.len() as f64).sqrt();
        let worst = found.iter().zip(&expected).map(|(f, e)| (f - e).abs()).fold(0., f64::max) / deviation;
        println!("{name}: largest difference {worst:.1e} of the deviation");
        assert!(worst <= TOLERANCE, "{name}: largest difference {worst:.1e} of the deviation");
    }
    // For metrics, the images are those of files of 8 bits.
    let images = pictures("32").narrow(0, 0, 1).unwrap();
    let levels = |value: &f32| ((value + 1.) * 127.5).round() / 127.5 - 1.;
    let rounded = images.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(levels).collect();
    let expected = pytorch.features(&tensor(rounded, images.dims())).unwrap();
    let features = Features::Inception(Arc::new(pytorch));
    let look = features.look(&images).unwrap();
    let same = values(&look.features).iter().zip(values(&expected)).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(same && look.probabilities.is_none() && features.name() == "inception");
    assert_eq!(look.pixels.dims(), [1, 3 * 28 * 28]);
}

#[test]
fn the_random_network_equals_pytorchs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/random.safetensors");
    let golden = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let network = RandomNetwork::new(&Device::Cpu).unwrap();
    assert_eq!(golden.len(), 4);
    for (name, expected) in &golden {
        let shape = match name.as_str() {
            "same" => [3, 3, 32, 32],
            "enlarged" => [2, 3, 48, 40],
            "gray" => [2, 1, 28, 28],
            "reduced" => [2, 3, 200, 150],
            _ => panic!("no pictures {name}"),
        };
        let pictures = tensor(fill(&format!("random.{name}"), &shape, 1., 0.), &shape);
        let found = network.features(&pictures).unwrap();
        assert_eq!(found.dims(), [shape[0], RandomNetwork::FEATURES]);
        for (found, expected) in values(&found).iter().zip(values(expected)) {
            assert!((found - expected).abs() <= 1e-5 * (1. + expected.abs()), "{name}: {found}, {expected}");
        }
    }
}

fn zeros() -> HashMap<String, Tensor> {
    let zero =
        |p: &Parameter| (p.name().to_owned(), Tensor::zeros(p.shape(), DType::F32, &Device::Cpu).unwrap());
    Inception::parameters().iter().map(zero).collect()
}

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    let error = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let mut tensors = zeros();
        change(&mut tensors);
        let made = Inception::from_tensors(tensors, Preprocessing::PytorchFid, &Device::Cpu);
        made.err().map(|e| e.to_string())
    };
    let put = |name: &str, values: Tensor| {
        let name = name.to_owned();
        move |tensors: &mut HashMap<String, Tensor>| drop(tensors.insert(name.clone(), values.clone()))
    };
    let five = || tensor(vec![0.; 5], &[5]);
    let nan = tensor(vec![f32::NAN; 64], &[64]);
    for (change, expected) in [
        (
            &(|tensors: &mut HashMap<String, Tensor>| drop(tensors.remove("Mixed_6e.branch_pool.bn.bias")))
                as &dyn Fn(&mut HashMap<String, Tensor>),
            Some("tensor Mixed_6e.branch_pool.bn.bias of shape [192] is missing"),
        ),
        (
            &put("Conv2d_1a_3x3.bn.weight", five()),
            Some("tensor Conv2d_1a_3x3.bn.weight: expected shape [32], found [5]"),
        ),
        (
            &put("Mixed_5b.branch1x1.bn.bias", nan),
            Some("tensor Mixed_5b.branch1x1.bn.bias holds NaN or infinity"),
        ),
        (
            &put("Mixed_8a.conv.weight", five()),
            Some("tensor Mixed_8a.conv.weight does not belong to this network"),
        ),
        (&put("fc.weight", five()), None),
        (&put("AuxLogits.conv0.conv.weight", five()), None),
        (&put("Conv2d_1a_3x3.bn.num_batches_tracked", five()), None),
    ] {
        assert_eq!(error(change).as_deref(), expected);
    }
}

#[test]
fn what_is_no_batch_of_images_is_refused() {
    let inception = Inception::from_tensors(zeros(), Preprocessing::PytorchFid, &Device::Cpu).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    for shape in [&[1, 2, 8, 8][..], &[3, 8, 8], &[0, 3, 8, 8], &[1, 3, 0, 8]] {
        let message = inception.features(&zeros(shape)).unwrap_err().to_string();
        assert!(message.starts_with("images: expected [N, 3, H, W] or [N, 1, H, W], found "), "{message}");
    }
    let doubles = zeros(&[1, 3, 8, 8]).to_dtype(DType::F64).unwrap();
    assert!(inception.features(&doubles).unwrap_err().to_string().contains("f32, found F64"));
    let bright = (zeros(&[1, 3, 8, 8]) + 255.).unwrap();
    assert!(inception.features(&bright).unwrap_err().to_string().contains("[-1, 1], found 255"));
}

#[test]
fn a_file_that_is_not_there_or_damaged_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.pth");
    let error = || Inception::load(&path, Preprocessing::PytorchFid, &Device::Cpu).unwrap_err().to_string();
    assert!(error().contains("weights.pth: "));
    std::fs::write(&path, b"PK\x03\x04").unwrap();
    assert!(error().contains("weights.pth: is damaged or not a state dict of PyTorch"), "{}", error());
    std::fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
    assert!(error().contains("weights.pth: is a PNG picture"), "{}", error());
    gan_models::write_tensors(&path, vec![], None).unwrap();
    let expected = "weights.pth: tensor Conv2d_1a_3x3.conv.weight of shape [32, 3, 3, 3] is missing";
    assert!(error().ends_with(expected), "{}", error());
}
