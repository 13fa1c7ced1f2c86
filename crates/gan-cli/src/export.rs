//! Networks in the forms of other programs.

mod onnx;

pub(crate) use onnx::{discriminator, generator};
