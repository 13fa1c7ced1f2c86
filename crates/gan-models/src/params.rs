//! The named tensors of one network. They are in a fixed order, have seeded initial values, and
//! are checked strictly when they are loaded.
//!
//! candle's `VarMap` lists its variables in a different order in each run, cannot be seeded on
//! the CPU, and ignores extra tensors in a file. Each of these would make a GAN's results
//! irreproducible.

use crate::error::{ModelError, Result};
use crate::gradients::squares;
use crate::layout::Layout;
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};
use gan_ops::rng::Stream;
use std::collections::HashMap;
use std::sync::Arc;

/// A layer's description of one of its tensors.
#[derive(Debug, Clone)]
pub struct Parameter {
    name: String,
    shape: Vec<usize>,
    first: Init,
    role: Role,
}

/// What changes a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An optimizer.
    Trained,
    /// Forward passes or power iterations. Such a tensor is state, not a weight.
    Statistic,
}

impl Parameter {
    /// Describes a tensor that an optimizer changes, with its initial values.
    #[must_use]
    pub fn trained<const N: usize>(name: &str, shape: [usize; N], first: Init) -> Self {
        Self { name: name.to_owned(), shape: shape.to_vec(), first, role: Role::Trained }
    }

    /// Describes a tensor that is state and not a weight, such as batch norm's running mean, with
    /// its initial values.
    #[must_use]
    pub fn statistic<const N: usize>(name: &str, shape: [usize; N], first: Init) -> Self {
        Self { role: Role::Statistic, ..Self::trained(name, shape, first) }
    }

    /// The full name, such as `model.0.weight`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tensor's shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The tensor's initial values.
    #[must_use]
    pub fn first(&self) -> Init {
        self.first
    }

    /// Number of elements.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether an optimizer changes the tensor.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.role == Role::Trained
    }

    /// Whether the tensor is a running mean or variance of batch norm.
    pub(crate) fn is_running(&self) -> bool {
        self.name.contains(".running_")
    }

    /// Puts the name of a module before the tensor's name, unless `module` is empty.
    pub(crate) fn below(self, module: &str) -> Self {
        let name = if module.is_empty() { self.name } else { format!("{module}.{}", self.name) };
        Self { name, ..self }
    }

    /// Replaces the tensor's name.
    pub(crate) fn called(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }
}

/// The variables of a network, in the order of its layers.
#[derive(Debug, Clone)]
pub struct Params {
    all: Arc<[(Parameter, Var)]>,
    layout: Layout,
}

impl Params {
    /// Makes initial values. They are a pure function of `seed`, `scope` ("generator") and each
    /// tensor's name.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn seeded(parameters: Vec<Parameter>, seed: u64, scope: &str, device: &Device) -> Result<Self> {
        let fresh = |parameter: Parameter| {
            let mut stream = Stream::new(seed, &format!("init/{scope}/{}", parameter.name), 0);
            let first = draw(&parameter, &mut stream, device)?;
            Ok((parameter, Var::from_tensor(&first)?))
        };
        Ok(Self::new(parameters.into_iter().map(fresh).collect::<candle_core::Result<_>>()?))
    }

    /// Takes the values of a PyTorch state dict. `num_batches_tracked` is ignored.
    ///
    /// # Errors
    /// The name of a tensor that is missing, has another shape, is not finite or does not belong
    /// to the network.
    pub fn from_tensors(
        parameters: Vec<Parameter>,
        mut tensors: HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        tensors.retain(|name, _| !name.ends_with("num_batches_tracked"));
        let take = |parameter: Parameter| {
            let Parameter { name, shape, .. } = &parameter;
            let tensor = tensors
                .remove(name)
                .ok_or_else(|| ModelError::Weights(format!("tensor {name} of shape {shape:?} is missing")))?;
            check(name, shape, &tensor)?;
            let var = Var::from_tensor(&tensor.to_dtype(DType::F32)?.to_device(device)?)?;
            Ok((parameter, var))
        };
        let all = parameters.into_iter().map(take).collect::<Result<_>>()?;
        match tensors.keys().min() {
            Some(extra) => {
                Err(ModelError::Weights(format!("tensor {extra} does not belong to this network")))
            }
            None => Ok(Self::new(all)),
        }
    }

    fn new(all: Vec<(Parameter, Var)>) -> Self {
        let layout = Layout::new(all.iter().map(|(parameter, _)| parameter).filter(|p| p.is_trained()));
        Self { all: all.into(), layout }
    }

    /// Copies of all variables in another type.
    pub(crate) fn in_dtype(&self, dtype: DType) -> candle_core::Result<Self> {
        let copy = |(parameter, var): &(Parameter, Var)| {
            let value = var.as_detached_tensor().to_dtype(dtype)?.copy()?;
            Ok((parameter.clone(), Var::from_tensor(&value)?))
        };
        Ok(Self::new(self.all.iter().map(copy).collect::<candle_core::Result<_>>()?))
    }

    /// Returns a builder that hands out the variables by name. candle's own layers take such a
    /// builder.
    #[must_use]
    pub fn var_builder(&self, device: &Device) -> VarBuilder<'static> {
        let backend: Box<dyn SimpleBackend> = Box::new(Backend(self.clone()));
        VarBuilder::from_backend(backend, DType::F32, device.clone())
    }

    /// Every variable in order, running statistics included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.all.iter().map(|(parameter, var)| (parameter.name(), var))
    }

    /// The values of every variable with its name, in order, as files hold them. The tensors
    /// share the variables' storage.
    #[must_use]
    pub fn state_dict(&self) -> Vec<(String, Tensor)> {
        self.iter().map(|(name, var)| (name.to_owned(), var.as_detached_tensor())).collect()
    }

    /// The variables that an optimizer updates, in the order of [`Self::layout`].
    pub fn trained(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.of_role(Role::Trained)
    }

    /// The variables that forward passes and power iterations change.
    pub fn statistics(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.of_role(Role::Statistic)
    }

    /// The running means and variances of batch norms.
    pub fn running(&self) -> impl Iterator<Item = &Var> {
        self.all.iter().filter(|(parameter, _)| parameter.is_running()).map(|(_, var)| var)
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = (&str, &Var)> {
        let of_role = self.all.iter().filter(move |(parameter, _)| parameter.role == role);
        of_role.map(|(parameter, var)| (parameter.name(), var))
    }

    /// The places of the trained variables in one flat slice. Gradients and moments are matched
    /// by it.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The variable with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.iter().find(|(n, _)| *n == name).map(|(_, var)| var)
    }

    /// Number of trained scalars.
    #[must_use]
    pub fn count(&self) -> usize {
        self.layout.count()
    }

    /// Copies the trained values into one slice, at the places in [`Self::layout`].
    ///
    /// # Errors
    /// A slice of another length.
    pub fn read_flat(&self, flat: &mut [f32]) -> Result<()> {
        self.layout.check(flat)?;
        for (entry, (_, var)) in self.layout.iter().zip(self.trained()) {
            flat[entry.range()].copy_from_slice(&var.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(())
    }

    /// Sets the trained values from one slice, with the places in [`Self::layout`].
    ///
    /// # Errors
    /// A slice of another length.
    pub fn write_flat(&self, flat: &[f32]) -> Result<()> {
        self.layout.check(flat)?;
        for (entry, (_, var)) in self.layout.iter().zip(self.trained()) {
            var.set(&Tensor::from_slice(&flat[entry.range()], entry.shape(), var.device())?)?;
        }
        Ok(())
    }

    /// Limits every trained value to `[-limit, limit]`.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn clamp(&self, limit: f64) -> candle_core::Result<()> {
        self.trained().try_for_each(|(_, var)| var.set(&var.as_detached_tensor().clamp(-limit, limit)?))
    }

    /// Euclidean norm of all trained scalars.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn norm(&self) -> Result<f64> {
        let mut sum = 0.;
        for (_, var) in self.trained() {
            sum += squares(&var.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(sum.sqrt())
    }

    /// Name of the first tensor that holds NaN or infinity.
    ///
    /// # Errors
    /// Only errors of the device.
    pub fn first_non_finite(&self) -> Result<Option<&str>> {
        for (name, var) in self.iter() {
            if !is_finite(var)? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Refuses a tensor that cannot be the parameter `name`.
fn check(name: &str, shape: &[usize], tensor: &Tensor) -> Result<()> {
    let refuse = |problem: String| Err(ModelError::Weights(format!("tensor {name}{problem}")));
    if tensor.dims() != shape {
        return refuse(format!(": expected shape {shape:?}, found {:?}", tensor.dims()));
    }
    if !tensor.dtype().is_float() {
        return refuse(format!(": expected floats, found {}", tensor.dtype().as_str()));
    }
    if !is_finite(tensor)? {
        let doubles = tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        let large = doubles.iter().find(|value| value.is_finite() && !(**value as f32).is_finite());
        return refuse(match large.filter(|_| doubles.iter().all(|value| value.is_finite())) {
            Some(large) => format!(" holds {large:e}, which is too large for f32"),
            None => " holds NaN or infinity".to_owned(),
        });
    }
    let smallest = || tensor.to_dtype(DType::F32)?.min_all()?.to_scalar::<f32>();
    if name.ends_with("running_var") && smallest()? < 0. {
        return refuse(" holds a negative variance".to_owned());
    }
    Ok(())
}

fn is_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.iter().all(|v| v.is_finite()))
}

fn draw(parameter: &Parameter, stream: &mut Stream, device: &Device) -> candle_core::Result<Tensor> {
    let shape = parameter.shape();
    match parameter.first {
        Init::Const(value) => Tensor::full(value as f32, shape, device),
        Init::Uniform { lo, up } => stream.uniform(lo as f32, up as f32, shape, device),
        Init::Randn { mean, stdev } => stream.normal(shape, device)?.affine(stdev, mean),
        Init::Kaiming { .. } => {
            candle_core::bail!("{}: gan-models writes its first values out", parameter.name)
        }
    }
}

struct Backend(Params);

impl SimpleBackend for Backend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if tensor.shape() != &shape {
            candle_core::bail!("tensor {name}: expected shape {:?}, found {:?}", shape.dims(), tensor.dims())
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        match self.0.get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => candle_core::bail!("no tensor {name} in this network"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }
}
