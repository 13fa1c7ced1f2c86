//! The option `--device`.

use crate::exit::usage;
use crate::ranks;
use anyhow::{Result, anyhow};
use candle_core::Device;

/// Opens `cpu`, `cuda`, `cuda:N` or `metal`. If `mpirun` started several ranks on this machine, they take the cards
/// that they see in turn.
pub(crate) fn open(name: &str) -> Result<Device> {
    let (kind, ordinal) = match name.split_once(':') {
        Some(("cuda", ordinal)) => ("cuda", ordinal.parse().map_err(|_| unknown(name))?),
        Some(_) => return Err(unknown(name)),
        None if name == "cuda" => (name, ranks::place() % cards()),
        None => (name, 0),
    };
    match kind {
        "cpu" => Ok(Device::Cpu),
        "cuda" if !cfg!(feature = "cuda") => Err(not_built("CUDA", "cuda")),
        "metal" if !cfg!(feature = "metal") => Err(not_built("Metal", "metal")),
        "cuda" => Device::new_cuda(ordinal).map_err(|e| {
            let needs = "it needs an NVIDIA card and its driver (--device cpu needs neither)";
            anyhow!("no CUDA device {ordinal}: {}; {needs}", first_line(&e))
        }),
        "metal" => Device::new_metal(ordinal).map_err(|e| {
            anyhow!("no Metal device: {}; it needs macOS (--device cpu does not)", first_line(&e))
        }),
        _ => Err(unknown(name)),
    }
}

/// Number of cards that this process sees, or 1 if it sees none. A job may show each of its processes one card.
fn cards() -> usize {
    #[cfg(feature = "cuda")]
    if let Ok(count @ 1..) = candle_core::cuda_backend::cudarc::driver::CudaContext::device_count() {
        return count as usize;
    }
    1
}

fn unknown(name: &str) -> anyhow::Error {
    usage(format!("--device: expected cpu, cuda, cuda:N or metal, found {name}"))
}

fn not_built(what: &str, feature: &str) -> anyhow::Error {
    usage(format!(
        "--device: this build has no {what} support; `cargo install --locked --path crates/gan-cli --features \
         {feature}` adds it"
    ))
}

fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
