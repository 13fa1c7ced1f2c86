//! Networks in the forms of other programs.

pub(crate) mod hub;
pub(crate) mod onnx;
pub(crate) mod pytorch;
