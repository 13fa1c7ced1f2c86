//! The named tensors of one network: ordered, seeded, strict when loaded.
//!
//! candle's `VarMap` lists its variables in a different order each run, cannot be seeded on the CPU,
//! and ignores what a file has too much; each of these costs a GAN its reproducibility.

use crate::error::{ModelError, Result};
use crate::gradients::squares;
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};
use gan_ops::rng::Stream;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Named variables in the order in which the layers ask for them.
#[derive(Debug, Clone)]
pub struct Params(Arc<Vec<(String, Var)>>);

impl Params {
    /// Cuts every trainable value to `[-limit, limit]`.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn clamp(&self, limit: f64) -> candle_core::Result<()> {
        self.trainable().try_for_each(|(_, var)| var.set(&var.as_detached_tensor().clamp(-limit, limit)?))
    }

    /// Builds a network with fresh weights. They are a pure function of `seed`, `scope` ("generator")
    /// and each tensor's name.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn seeded<T>(
        seed: u64,
        scope: &str,
        device: &Device,
        build: impl FnOnce(VarBuilder<'static>) -> candle_core::Result<T>,
    ) -> Result<(T, Self)> {
        let scope = scope.to_owned();
        Self::collect(device, build, move |shape, name, init, device| {
            draw(shape, init, &mut Stream::new(seed, &format!("init/{scope}/{name}"), 0), device)
        })
    }

    /// Builds a network with the weights of a PyTorch state dict. `num_batches_tracked` is ignored.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape, is not finite, or is not the network's: each is
    /// named.
    pub fn from_tensors<T>(
        mut tensors: HashMap<String, Tensor>,
        device: &Device,
        build: impl FnOnce(VarBuilder<'static>) -> candle_core::Result<T>,
    ) -> Result<(T, Self)> {
        tensors.retain(|name, _| !name.ends_with("num_batches_tracked"));
        for (name, tensor) in &tensors {
            if !tensor.dtype().is_float() {
                let found = tensor.dtype().as_str();
                return Err(ModelError::Weights(format!("tensor {name}: expected floats, found {found}")));
            }
            if !is_finite(tensor)? {
                return Err(ModelError::Weights(format!("tensor {name} holds NaN or infinity")));
            }
            let smallest = || tensor.to_dtype(DType::F32)?.min_all()?.to_scalar::<f32>();
            if name.ends_with("running_var") && smallest()? < 0. {
                return Err(ModelError::Weights(format!("tensor {name} holds a negative variance")));
            }
        }
        let tensors = Arc::new(Mutex::new(tensors));
        let problem = Arc::new(Mutex::new(None));
        let (source, first_problem) = (tensors.clone(), problem.clone());
        let built = Self::collect(device, build, move |shape, name, _, device| {
            let found = lock(&source).remove(name);
            let message = match found {
                Some(tensor) if tensor.shape() == shape => {
                    return tensor.to_dtype(DType::F32)?.to_device(device);
                }
                Some(tensor) => {
                    format!("tensor {name}: expected shape {:?}, found {:?}", shape.dims(), tensor.dims())
                }
                None => format!("tensor {name} of shape {:?} is missing", shape.dims()),
            };
            lock(&first_problem).get_or_insert(message.clone());
            candle_core::bail!("{message}")
        });
        // Reported as ours rather than as candle's error, which may carry a backtrace.
        if let Some(message) = lock(&problem).take() {
            return Err(ModelError::Weights(message));
        }
        let built = built?;
        if let Some(extra) = lock(&tensors).keys().min() {
            return Err(ModelError::Weights(format!("tensor {extra} does not belong to this network")));
        }
        Ok(built)
    }

    fn collect<T>(
        device: &Device,
        build: impl FnOnce(VarBuilder<'static>) -> candle_core::Result<T>,
        make: impl Fn(&Shape, &str, Init, &Device) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Result<(T, Self)> {
        let vars = Arc::new(Mutex::new(vec![]));
        let backend: Box<dyn SimpleBackend> = Box::new(Recorder { vars: vars.clone(), make });
        let network = build(VarBuilder::from_backend(backend, DType::F32, device.clone()))?;
        let vars = std::mem::take(&mut *lock(&vars));
        Ok((network, Self(Arc::new(vars))))
    }

    /// A builder for a second network over the same storage whose weights are constants: gradients
    /// flow through it, never into it. It sees every later update, and shares the running statistics.
    #[must_use]
    pub fn frozen(&self, device: &Device) -> VarBuilder<'static> {
        let backend: Box<dyn SimpleBackend> = Box::new(Frozen(self.clone()));
        VarBuilder::from_backend(backend, DType::F32, device.clone())
    }

    /// Every variable, running statistics included, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.0.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// The values of every variable by name, in order, as files hold them. They share the variables' storage.
    #[must_use]
    pub fn state_dict(&self) -> Vec<(String, Tensor)> {
        self.iter().map(|(name, var)| (name.to_owned(), var.as_detached_tensor())).collect()
    }

    /// What an optimizer updates, in order.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.iter().filter(|(name, _)| !is_statistic(name))
    }

    /// The variable of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.iter().find(|(n, _)| *n == name).map(|(_, var)| var)
    }

    /// Number of trainable scalars.
    #[must_use]
    pub fn count(&self) -> usize {
        self.trainable().map(|(_, var)| var.elem_count()).sum()
    }

    /// Euclidean norm of all trainable scalars.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn norm(&self) -> Result<f64> {
        let mut sum = 0.;
        for (_, var) in self.trainable() {
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

fn is_statistic(name: &str) -> bool {
    ["running_mean", "running_var", ".0._u", ".0._v"].iter().any(|statistic| name.ends_with(statistic))
}

fn is_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    if !tensor.dtype().is_float() {
        return Ok(true);
    }
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.iter().all(|v| v.is_finite()))
}

/// A panic elsewhere leaves these plain values as they were: nothing to recover from.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw(shape: &Shape, init: Init, stream: &mut Stream, device: &Device) -> candle_core::Result<Tensor> {
    match init {
        Init::Const(value) => Tensor::full(value as f32, shape, device),
        Init::Uniform { lo, up } => stream.uniform(lo as f32, up as f32, shape, device),
        Init::Randn { mean, stdev } => stream.normal(shape, device)?.affine(stdev, mean),
        Init::Kaiming { .. } => candle_core::bail!("gan-models writes its initialisations out"),
    }
}

/// Hands out variables made by `make` and remembers them.
struct Recorder<F> {
    vars: Arc<Mutex<Vec<(String, Var)>>>,
    make: F,
}

impl<F> SimpleBackend for Recorder<F>
where
    F: Fn(&Shape, &str, Init, &Device) -> candle_core::Result<Tensor> + Send + Sync,
{
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        _: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let var = Var::from_tensor(&(self.make)(&shape, name, init, device)?)?;
        lock(&self.vars).push((name.to_owned(), var.clone()));
        Ok(var.into_inner())
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("tensor {name} was asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        lock(&self.vars).iter().any(|(n, _)| n == name)
    }
}

struct Frozen(Params);

impl SimpleBackend for Frozen {
    fn get(
        &self,
        _: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.get_unchecked(name, dtype, device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        match self.0.get(name) {
            // Statistics are written during the forward pass: the variable itself is needed.
            Some(var) if is_statistic(name) => Ok(var.as_tensor().clone()),
            Some(var) => Ok(var.as_detached_tensor()),
            None => candle_core::bail!("no tensor {name} to freeze"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }
}
