//! The named tensors of one network: ordered, seeded, strict when loaded.
//!
//! candle's `VarMap` lists its variables in a different order each run, cannot be seeded on the CPU,
//! and ignores what a file has too much; each of these costs a GAN its reproducibility.

use crate::error::{ModelError, Result};
use crate::gradients::squares;
use crate::layout::Layout;
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};
use gan_ops::rng::Stream;
use std::collections::HashMap;
use std::sync::Arc;

/// What a layer says of one of its tensors.
#[derive(Debug, Clone)]
pub struct Parameter {
    name: String,
    shape: Vec<usize>,
    first: Init,
    role: Role,
}

/// What moves a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An optimizer.
    Trained,
    /// Forward passes or power iterations: state beside the weights.
    Statistic,
}

impl Parameter {
    /// A tensor that an optimizer moves, with its first values.
    #[must_use]
    pub fn trained<const N: usize>(name: &str, shape: [usize; N], first: Init) -> Self {
        Self { name: name.to_owned(), shape: shape.to_vec(), first, role: Role::Trained }
    }

    /// A tensor that is state and no weight, as batch norm's running mean, with its first values.
    #[must_use]
    pub fn statistic<const N: usize>(name: &str, shape: [usize; N], first: Init) -> Self {
        Self { role: Role::Statistic, ..Self::trained(name, shape, first) }
    }

    /// Its whole name, `model.0.weight`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its first values.
    #[must_use]
    pub fn first(&self) -> Init {
        self.first
    }

    /// Number of its elements.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether an optimizer moves it.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.role == Role::Trained
    }

    /// The same below a module of that name; below none if it is empty.
    pub(crate) fn below(self, module: &str) -> Self {
        let name = if module.is_empty() { self.name } else { format!("{module}.{}", self.name) };
        Self { name, ..self }
    }

    /// The same by another name.
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
    /// Fresh values: a pure function of `seed`, `scope` ("generator") and each tensor's name.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn seeded(parameters: Vec<Parameter>, seed: u64, scope: &str, device: &Device) -> Result<Self> {
        let fresh = |parameter: Parameter| {
            let mut stream = Stream::new(seed, &format!("init/{scope}/{}", parameter.name), 0);
            let first = draw(&parameter, &mut stream, device)?;
            Ok((parameter, Var::from_tensor(&first)?))
        };
        Ok(Self::new(parameters.into_iter().map(fresh).collect::<candle_core::Result<_>>()?))
    }

    /// The values of a PyTorch state dict. `num_batches_tracked` is ignored.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape, is not finite, or is not the network's: each is
    /// named.
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

    /// Hands the variables out by name, as candle's layers ask for them.
    #[must_use]
    pub fn var_builder(&self, device: &Device) -> VarBuilder<'static> {
        let backend: Box<dyn SimpleBackend> = Box::new(Backend(self.clone()));
        VarBuilder::from_backend(backend, DType::F32, device.clone())
    }

    /// Every variable, running statistics included, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.all.iter().map(|(parameter, var)| (parameter.name(), var))
    }

    /// The values of every variable by name, in order, as files hold them. They share the variables' storage.
    #[must_use]
    pub fn state_dict(&self) -> Vec<(String, Tensor)> {
        self.iter().map(|(name, var)| (name.to_owned(), var.as_detached_tensor())).collect()
    }

    /// What an optimizer updates, in the order of [`Self::layout`].
    pub fn trained(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.of_role(Role::Trained)
    }

    /// What passes and power iterations move.
    pub fn statistics(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.of_role(Role::Statistic)
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = (&str, &Var)> {
        let of_role = self.all.iter().filter(move |(parameter, _)| parameter.role == role);
        of_role.map(|(parameter, var)| (parameter.name(), var))
    }

    /// Where the trained variables lie in one flat slice: what gradients and moments are matched by.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The variable of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.iter().find(|(n, _)| *n == name).map(|(_, var)| var)
    }

    /// Number of trained scalars.
    #[must_use]
    pub fn count(&self) -> usize {
        self.layout.count()
    }

    /// Copies the trained values to one slice, as [`Self::layout`] says.
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

    /// Sets the trained values from one slice, as [`Self::layout`] says.
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

    /// Cuts every trained value to `[-limit, limit]`.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn clamp(&self, limit: f64) -> candle_core::Result<()> {
        self.trained().try_for_each(|(_, var)| var.set(&var.as_detached_tensor().clamp(-limit, limit)?))
    }

    /// Euclidean norm of all trained scalars.
    ///
    /// # Errors
    /// Only those of the device.
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
    /// Only those of the device.
    pub fn first_non_finite(&self) -> Result<Option<&str>> {
        for (name, var) in self.iter() {
            if !is_finite(var)? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Refuses a tensor that cannot be that parameter.
fn check(name: &str, shape: &[usize], tensor: &Tensor) -> Result<()> {
    let refuse = |problem: String| Err(ModelError::Weights(format!("tensor {name}{problem}")));
    if tensor.dims() != shape {
        return refuse(format!(": expected shape {shape:?}, found {:?}", tensor.dims()));
    }
    if !tensor.dtype().is_float() {
        return refuse(format!(": expected floats, found {}", tensor.dtype().as_str()));
    }
    if !is_finite(tensor)? {
        return refuse(" holds NaN or infinity".to_owned());
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
