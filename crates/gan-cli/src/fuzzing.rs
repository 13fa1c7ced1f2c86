//! The parts of the program that read files, for the fuzz targets. It is compiled only for them.

use crate::config::Config;
use crate::{args, commands, journal, npy, records, run_dir};
use anyhow::Result;
use std::path::Path;

/// Reads an array as `sample --latents` and `evaluate --samples` do. Returns its shape and values.
///
/// # Errors
/// What the program reports.
pub fn array(path: &Path) -> Result<(Vec<u64>, Vec<f32>)> {
    let array = npy::read(path, |_| Ok(()))?;
    Ok((array.header.shape, array.values))
}

/// Reads a configuration with overrides, and checks it as `train` does. Returns it as TOML.
///
/// # Errors
/// What the program reports.
pub fn config(path: &Path, sets: &[String]) -> Result<String> {
    let config = Config::load(path, sets)?;
    config.check()?;
    config.to_toml()
}

/// Reads the journal of the run `directory` as a resume and `diagnose` do.
///
/// # Errors
/// What the program reports.
pub fn journal(directory: &Path) -> Result<()> {
    let path = run_dir::metrics(directory);
    let whole = journal::check(&path);
    for step in [1, u64::MAX] {
        records::has_acted(&path, records::Acted::WentBack, step)?;
        records::has_evaluated(&path, step)?;
        records::replay(&path, step)?;
    }
    for json in [false, true] {
        commands::diagnose::report(&args::Diagnose { run: directory.to_owned(), json })?;
    }
    whole
}
