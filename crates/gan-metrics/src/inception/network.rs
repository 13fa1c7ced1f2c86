//! The stages of the network, and how they are computed.

use candle_core::{Result, Tensor};
use candle_nn::Init;
use gan_models::Parameter;
use gan_ops::fused::{BatchNorm, FusedLayer, Maps, PreparedLayer, Product};
use gan_ops::{Activation, Window, reference};

/// A part of the network. `C` is a convolution: its description, or with its weights.
#[derive(Debug)]
pub(super) enum Stage<C> {
    Convolution(C),
    MaxPool(Window),
    MeanPool(Window),
    /// Each branch gets the same input. The channels of their outputs are put side by side.
    Branches(Vec<Vec<Self>>),
}

/// A convolution without bias, then batch norm, then ReLU: torchvision's `BasicConv2d`.
#[derive(Debug)]
pub(super) struct Convolution {
    name: String,
    outputs: usize,
    kernel: [usize; 2],
    stride: usize,
    padding: [usize; 2],
}

/// A convolution that keeps the size of the image.
fn same(name: &str, outputs: usize, kernel: [usize; 2]) -> Stage<Convolution> {
    let padding = kernel.map(|size| size / 2);
    Stage::Convolution(Convolution { name: name.to_owned(), outputs, kernel, stride: 1, padding })
}

/// A 3x3 convolution without padding.
fn valid(name: &str, outputs: usize, stride: usize) -> Stage<Convolution> {
    let name = name.to_owned();
    Stage::Convolution(Convolution { name, outputs, kernel: [3, 3], stride, padding: [0, 0] })
}

const HALVE: Window = Window { size: 3, stride: 2, padding: 0 };
const AROUND: Window = Window { size: 3, stride: 1, padding: 1 };
/// The last maps have 8x8 pixels.
const WHOLE: Window = Window { size: 8, stride: 1, padding: 0 };

/// The whole network. Its input are images `[N, 3, 299, 299]`, its output is `[N, 2048, 1, 1]`.
/// The names of modules are torchvision's.
pub(super) fn stages() -> Vec<Stage<Convolution>> {
    vec![
        valid("Conv2d_1a_3x3", 32, 2),
        valid("Conv2d_2a_3x3", 32, 1),
        same("Conv2d_2b_3x3", 64, [3, 3]),
        Stage::MaxPool(HALVE),
        same("Conv2d_3b_1x1", 80, [1, 1]),
        valid("Conv2d_4a_3x3", 192, 1),
        Stage::MaxPool(HALVE),
        a("Mixed_5b", 32),
        a("Mixed_5c", 64),
        a("Mixed_5d", 64),
        b("Mixed_6a"),
        c("Mixed_6b", 128),
        c("Mixed_6c", 160),
        c("Mixed_6d", 160),
        c("Mixed_6e", 192),
        d("Mixed_7a"),
        e("Mixed_7b", Stage::MeanPool(AROUND)),
        // It is a mistake of the original program, which every FID repeats.
        e("Mixed_7c", Stage::MaxPool(AROUND)),
        Stage::MeanPool(WHOLE),
    ]
}

fn a(module: &str, pooled: usize) -> Stage<Convolution> {
    let same = |name, outputs, kernel| same(&format!("{module}.{name}"), outputs, [kernel; 2]);
    Stage::Branches(vec![
        vec![same("branch1x1", 64, 1)],
        vec![same("branch5x5_1", 48, 1), same("branch5x5_2", 64, 5)],
        vec![same("branch3x3dbl_1", 64, 1), same("branch3x3dbl_2", 96, 3), same("branch3x3dbl_3", 96, 3)],
        vec![Stage::MeanPool(AROUND), same("branch_pool", pooled, 1)],
    ])
}

fn b(module: &str) -> Stage<Convolution> {
    let name = |name| format!("{module}.{name}");
    Stage::Branches(vec![
        vec![valid(&name("branch3x3"), 384, 2)],
        vec![
            same(&name("branch3x3dbl_1"), 64, [1, 1]),
            same(&name("branch3x3dbl_2"), 96, [3, 3]),
            valid(&name("branch3x3dbl_3"), 96, 2),
        ],
        vec![Stage::MaxPool(HALVE)],
    ])
}

fn c(module: &str, width: usize) -> Stage<Convolution> {
    let same = |name, outputs, kernel| same(&format!("{module}.{name}"), outputs, kernel);
    Stage::Branches(vec![
        vec![same("branch1x1", 192, [1, 1])],
        vec![
            same("branch7x7_1", width, [1, 1]),
            same("branch7x7_2", width, [1, 7]),
            same("branch7x7_3", 192, [7, 1]),
        ],
        vec![
            same("branch7x7dbl_1", width, [1, 1]),
            same("branch7x7dbl_2", width, [7, 1]),
            same("branch7x7dbl_3", width, [1, 7]),
            same("branch7x7dbl_4", width, [7, 1]),
            same("branch7x7dbl_5", 192, [1, 7]),
        ],
        vec![Stage::MeanPool(AROUND), same("branch_pool", 192, [1, 1])],
    ])
}

fn d(module: &str) -> Stage<Convolution> {
    let name = |name| format!("{module}.{name}");
    Stage::Branches(vec![
        vec![same(&name("branch3x3_1"), 192, [1, 1]), valid(&name("branch3x3_2"), 320, 2)],
        vec![
            same(&name("branch7x7x3_1"), 192, [1, 1]),
            same(&name("branch7x7x3_2"), 192, [1, 7]),
            same(&name("branch7x7x3_3"), 192, [7, 1]),
            valid(&name("branch7x7x3_4"), 192, 2),
        ],
        vec![Stage::MaxPool(HALVE)],
    ])
}

fn e(module: &str, pool: Stage<Convolution>) -> Stage<Convolution> {
    let same = |name, outputs, kernel| same(&format!("{module}.{name}"), outputs, kernel);
    let both =
        |wide, high| Stage::Branches(vec![vec![same(wide, 384, [1, 3])], vec![same(high, 384, [3, 1])]]);
    Stage::Branches(vec![
        vec![same("branch1x1", 320, [1, 1])],
        vec![same("branch3x3_1", 384, [1, 1]), both("branch3x3_2a", "branch3x3_2b")],
        vec![
            same("branch3x3dbl_1", 448, [1, 1]),
            same("branch3x3dbl_2", 384, [3, 3]),
            both("branch3x3dbl_3a", "branch3x3dbl_3b"),
        ],
        vec![pool, same("branch_pool", 192, [1, 1])],
    ])
}

/// Adds the parameters of the stages, for an input of this number of channels. Returns the number
/// of channels of the output.
pub(super) fn parameters(
    stages: &[Stage<Convolution>],
    channels: usize,
    parameters_so_far: &mut Vec<Parameter>,
) -> usize {
    stages.iter().fold(channels, |channels, stage| match stage {
        Stage::MaxPool(_) | Stage::MeanPool(_) => channels,
        Stage::Branches(branches) => {
            branches.iter().map(|branch| parameters(branch, channels, parameters_so_far)).sum()
        }
        Stage::Convolution(Convolution { name, outputs, kernel: [kh, kw], .. }) => {
            let (outputs, zero) = (*outputs, Init::Const(0.));
            let norm = |kind| Parameter::statistic(&format!("{name}.bn.{kind}"), [outputs], zero);
            let weight = format!("{name}.conv.weight");
            parameters_so_far.push(Parameter::statistic(&weight, [outputs, channels, *kh, *kw], zero));
            parameters_so_far.extend(["weight", "bias", "running_mean", "running_var"].map(norm));
            outputs
        }
    })
}

/// A convolution with its weights.
#[derive(Debug)]
pub(super) struct Unit {
    stride: usize,
    padding: [usize; 2],
    weight: Tensor,
    norm: BatchNorm,
    prepared: PreparedLayer,
}

/// Takes the tensors of the stages, in the order of [`parameters`].
pub(super) fn with_weights(
    stages: Vec<Stage<Convolution>>,
    tensors: &mut impl Iterator<Item = Tensor>,
) -> Result<Vec<Stage<Unit>>> {
    let mut with = vec![];
    for stage in stages {
        with.push(match stage {
            Stage::MaxPool(window) => Stage::MaxPool(window),
            Stage::MeanPool(window) => Stage::MeanPool(window),
            Stage::Branches(branches) => {
                let branches = branches.into_iter().map(|branch| with_weights(branch, &mut *tensors));
                Stage::Branches(branches.collect::<Result<_>>()?)
            }
            Stage::Convolution(convolution) => Stage::Convolution(Unit::new(&convolution, tensors)?),
        });
    }
    Ok(with)
}

impl Unit {
    fn new(convolution: &Convolution, tensors: &mut impl Iterator<Item = Tensor>) -> Result<Self> {
        let Convolution { name, stride, padding, .. } = convolution;
        let mut next = || match tensors.next() {
            Some(tensor) => Ok(tensor),
            None => candle_core::bail!("{name}: a tensor is missing"),
        };
        let weight = next()?;
        let (scale, bias, running_mean, running_var) = (next()?, next()?, next()?, next()?);
        let norm = BatchNorm {
            weight: scale,
            bias,
            running_mean,
            running_var,
            eps: 1e-3,
            momentum: 0.1,
            ranks: None,
        };
        let product = Product::Conv2d { stride: *stride, padding: *padding };
        let layer = FusedLayer {
            product: Some((product, weight.clone(), None)),
            norm: Some(norm.clone()),
            activation: Activation::Relu,
        };
        Ok(Self { stride: *stride, padding: *padding, weight, norm, prepared: layer.prepare() })
    }
}

/// Computes the stages.
pub(super) fn run<X: Values>(stages: &[Stage<Unit>], mut x: X) -> Result<X> {
    for stage in stages {
        x = match stage {
            Stage::Convolution(unit) => x.convolve(unit)?,
            Stage::MaxPool(window) => x.max_pool(*window)?,
            Stage::MeanPool(window) => x.mean_pool(*window)?,
            Stage::Branches(branches) => {
                let outputs = branches.iter().map(|branch| run(branch, x.clone()));
                X::beside(&outputs.collect::<Result<Vec<_>>>()?)?
            }
        };
    }
    Ok(x)
}

/// The values between two stages: maps for the kernels, or a tensor for candle's operations.
pub(super) trait Values: Clone {
    fn convolve(&self, unit: &Unit) -> Result<Self>;
    fn max_pool(&self, window: Window) -> Result<Self>;
    fn mean_pool(&self, window: Window) -> Result<Self>;
    fn beside(parts: &[Self]) -> Result<Self>;
}

impl Values for Maps {
    fn convolve(&self, unit: &Unit) -> Result<Self> {
        unit.prepared.evaluate(self)
    }

    fn max_pool(&self, window: Window) -> Result<Self> {
        self.max_pool(window)
    }

    fn mean_pool(&self, window: Window) -> Result<Self> {
        self.mean_pool(window)
    }

    fn beside(parts: &[Self]) -> Result<Self> {
        Maps::beside(parts)
    }
}

impl Values for Tensor {
    fn convolve(&self, unit: &Unit) -> Result<Self> {
        let Unit { stride, padding: [rows, columns], weight, norm, .. } = unit;
        let x = self.pad_with_zeros(2, *rows, *rows)?.pad_with_zeros(3, *columns, *columns)?;
        let y = reference::conv2d(&x, weight, None, *stride, 0, Activation::Identity)?;
        reference::batch_norm_eval(&y, norm, Activation::Relu)
    }

    fn max_pool(&self, window: Window) -> Result<Self> {
        reference::max_pool(self, window)
    }

    fn mean_pool(&self, window: Window) -> Result<Self> {
        reference::mean_pool(self, window)
    }

    fn beside(parts: &[Self]) -> Result<Self> {
        Tensor::cat(parts, 1)
    }
}
