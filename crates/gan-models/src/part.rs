//! A network's stages on the fused layers: forward and backward through lists and residual blocks.

use crate::spectral::Normalised;
use crate::stage::{Fused, Stage};
use candle_core::Result;
use gan_ops::fused::{self, Maps};
use std::sync::Arc;

/// A stage with the weights of this moment.
#[derive(Debug)]
pub(crate) enum Part {
    Layer { layer: Box<fused::Prepared>, normalised: Option<Arc<Normalised>> },
    Flatten,
    Upsample,
    AvgPool2d,
    MinibatchStd(usize),
    Residual { body: Vec<Part>, shortcut: Vec<Part> },
}

/// What a part keeps of its forward pass.
#[derive(Debug)]
pub(crate) enum Step {
    Layer(fused::Saved),
    /// The shape of what a view took.
    View([usize; 3]),
    Linear,
    MinibatchStd(Maps),
    Residual {
        body: Vec<Step>,
        shortcut: Vec<Step>,
    },
}

/// Sums of a part's gradients.
#[derive(Debug)]
pub(crate) enum Sum {
    /// With spectral norm, they are those of the normalised weight, which is kept beside them.
    Layer {
        sums: fused::Gradient,
        normalised: Option<Arc<Normalised>>,
    },
    Nothing,
    Residual {
        body: Vec<Sum>,
        shortcut: Vec<Sum>,
    },
}

/// The parts of stages.
///
/// # Errors
/// Those of the device.
pub(crate) fn parts(stages: &[Stage]) -> Result<Vec<Part>> {
    let part = |stage: &Stage| {
        Ok(match stage {
            Stage::Fused(Fused { layer, spectral }) => match (spectral, &layer.product) {
                (Some(spectral), Some((product, weight, bias))) => {
                    let normalised = spectral.normalise(weight)?;
                    let product = Some((*product, normalised.weight.clone(), bias.clone()));
                    let layer = Box::new(fused::Layer { product, ..layer.clone() }.prepare());
                    Part::Layer { layer, normalised: Some(Arc::new(normalised)) }
                }
                _ => Part::Layer { layer: Box::new(layer.prepare()), normalised: None },
            },
            Stage::Flatten => Part::Flatten,
            Stage::Upsample => Part::Upsample,
            Stage::AvgPool2d => Part::AvgPool2d,
            Stage::MinibatchStd(group) => Part::MinibatchStd(*group),
            Stage::Residual { body, shortcut } => {
                Part::Residual { body: parts(body)?, shortcut: parts(shortcut)? }
            }
        })
    };
    stages.iter().map(part).collect()
}

/// Sums of zero for inputs of shape `image`, and the shape of the output.
///
/// # Errors
/// A shape that some layer cannot take.
pub(crate) fn sums(stages: &[Stage], mut image: [usize; 3]) -> Result<(Vec<Sum>, [usize; 3])> {
    let mut all = vec![];
    for stage in stages {
        let [c, h, w] = image;
        let (sum, output) = match stage {
            Stage::Fused(Fused { layer, .. }) => {
                let sums = layer.gradient(image)?;
                (Sum::Layer { sums, normalised: None }, layer.output(image)?)
            }
            Stage::Flatten => (Sum::Nothing, [c * h * w, 1, 1]),
            Stage::Upsample => (Sum::Nothing, [c, 2 * h, 2 * w]),
            Stage::AvgPool2d => (Sum::Nothing, [c, h / 2, w / 2]),
            Stage::MinibatchStd(_) => (Sum::Nothing, [c + 1, h, w]),
            Stage::Residual { body, shortcut } => {
                let (body, output) = sums(body, image)?;
                (Sum::Residual { body, shortcut: sums(shortcut, image)?.0 }, output)
            }
        };
        all.push(sum);
        image = output;
    }
    Ok((all, image))
}

impl Part {
    fn has_weights(&self) -> bool {
        match self {
            Self::Layer { .. } => true,
            Self::Residual { body, shortcut } => body.iter().chain(shortcut).any(Self::has_weights),
            _ => false,
        }
    }
}

/// A training pass.
pub(crate) fn forward(parts: &[Part], x: &Maps) -> Result<(Maps, Vec<Step>)> {
    let mut x = x.clone();
    let mut steps = vec![];
    for part in parts {
        let (y, step) = match part {
            Part::Layer { layer, .. } => {
                let (y, saved) = layer.forward(&x)?;
                (y, Step::Layer(saved))
            }
            Part::Flatten => (flatten(&x)?, Step::View(x.image())),
            Part::Upsample => (x.enlarge(1.)?, Step::Linear),
            Part::AvgPool2d => (x.reduce(0.25)?, Step::Linear),
            Part::MinibatchStd(group) => (x.with_deviation(*group), Step::MinibatchStd(x.clone())),
            Part::Residual { body, shortcut } => {
                let (y, body) = forward(body, &x)?;
                let (other, shortcut) = forward(shortcut, &x)?;
                (y.plus(&other)?, Step::Residual { body, shortcut })
            }
        };
        steps.push(step);
        x = y;
    }
    Ok((x, steps))
}

/// In evaluation, nothing kept.
pub(crate) fn evaluate(parts: &[Part], x: Maps) -> Result<Maps> {
    parts.iter().try_fold(x, |x, part| match part {
        Part::Layer { layer, .. } => layer.evaluate(&x),
        Part::Flatten => flatten(&x),
        Part::Upsample => x.enlarge(1.),
        Part::AvgPool2d => x.reduce(0.25),
        Part::MinibatchStd(group) => Ok(x.with_deviation(*group)),
        Part::Residual { body, shortcut } => evaluate(body, x.clone())?.plus(&evaluate(shortcut, x)?),
    })
}

/// From the gradient of the output: adds those of the weights to `sums`, if given, and returns that of the input if `input`.
pub(crate) fn backward(
    parts: &[Part],
    steps: Vec<Step>,
    mut gradient: Maps,
    mut sums: Option<&mut [Sum]>,
    input: bool,
) -> Result<Option<Maps>> {
    let first = parts.iter().position(Part::has_weights).unwrap_or(parts.len());
    for (i, (part, step)) in parts.iter().zip(steps).enumerate().rev() {
        let wanted = input || i > first;
        let sum = sums.as_deref_mut().and_then(|sums| sums.get_mut(i));
        let below = match (part, step) {
            (Part::Layer { layer, normalised }, Step::Layer(saved)) => {
                layer.backward(saved, gradient, of_layer(sum, normalised.as_ref()), wanted)?
            }
            (Part::Upsample, _) => Some(gradient.reduce(1.)?),
            (Part::AvgPool2d, _) => Some(gradient.enlarge(0.25)?),
            (Part::MinibatchStd(group), Step::MinibatchStd(x)) => {
                Some(x.deviation_gradient(&gradient, *group)?)
            }
            (Part::Residual { body, shortcut }, Step::Residual { body: steps, shortcut: others }) => {
                let (of_body, of_shortcut) = of_residual(sum).unzip();
                let below = backward(body, steps, gradient.clone(), of_body, wanted)?;
                let other = backward(shortcut, others, gradient, of_shortcut, wanted)?;
                below.zip(other).map(|(below, other)| below.plus(&other)).transpose()?
            }
            (_, Step::View(shape)) => Some(gradient.reshape(shape)?),
            _ => candle_core::bail!("a pass of another network"),
        };
        match below {
            Some(below) if wanted => gradient = below,
            _ => return Ok(None),
        }
    }
    Ok(input.then_some(gradient))
}

/// The sums of a layer, which are to be those of the weight that is in use.
pub(crate) fn of_layer<'a>(
    sum: Option<&'a mut Sum>,
    in_use: Option<&Arc<Normalised>>,
) -> Option<&'a mut fused::Gradient> {
    match sum {
        Some(Sum::Layer { sums, normalised }) => {
            *normalised = in_use.cloned();
            Some(sums)
        }
        _ => None,
    }
}

/// The sums of a residual block.
pub(crate) fn of_residual(sum: Option<&mut Sum>) -> Option<(&mut [Sum], &mut [Sum])> {
    match sum {
        Some(Sum::Residual { body, shortcut }) => Some((body, shortcut)),
        _ => None,
    }
}

fn flatten(x: &Maps) -> Result<Maps> {
    x.reshape([x.image().iter().product(), 1, 1])
}
