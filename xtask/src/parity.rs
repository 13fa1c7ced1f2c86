//! Comparison with PyTorch, both ways, on a machine that has it.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

pub(crate) fn run(shell: &Shell, python: &str) -> Result<()> {
    cmd!(shell, "{python} -c 'import torch, safetensors'").run().with_context(|| {
        format!("{python} has no torch or safetensors: pip install torch safetensors numpy")
    })?;
    Ok(())
}
