//! Compiles gan-cli for NVIDIA cards and links it, with a CUDA toolkit from the Python Package Index. It needs no
//! card, and shows that the code for cards compiles and that its error without a card is clear. It cannot show
//! that it computes.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// The compiler and the libraries. Releases of cudarc know the CUDA versions of their time, and 13.0 is one that
/// this one knows.
const PACKAGES: [&str; 10] = [
    "nvidia-cuda-nvcc==13.0.*",
    "nvidia-cuda-crt==13.0.*",
    "nvidia-nvvm==13.0.*",
    "nvidia-cuda-runtime==13.0.*",
    "nvidia-cuda-nvrtc==13.0.*",
    "nvidia-cuda-cccl==13.0.*",
    "nvidia-cublas==13.0.*",
    "nvidia-curand==10.4.*",
    "nvidia-cudnn-cu13==9.*",
    "nvidia-nccl-cu13==2.*",
];
const FEATURES: &str = "embedded,fused,cudnn,nccl";
/// The card for which the kernels are compiled: Ampere, unless the user says another.
const CARD: &str = "80";

pub(crate) fn run(shell: &Shell, python: &str) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "gpu-check needs Linux, for which PyPI has the CUDA toolkit");
    let at = shell.current_dir().join("target/gpu-check");
    shell.create_dir(&at)?;
    let (venv, toolkit) = (at.join("venv"), at.join("cuda"));
    cmd!(shell, "{python} -m venv {venv}").run()?;
    let python = venv.join("bin/python");
    cmd!(shell, "{python} -m pip install --quiet {PACKAGES...}").run()?;
    let packages =
        cmd!(shell, "{python} -c 'import nvidia; print(list(nvidia.__path__)[0])'").quiet().read()?;
    lay_out(Path::new(&packages), &toolkit)?;
    let libraries = toolkit.join("lib64");
    write_driver(shell, &libraries)?;

    for name in ["CUDA_HOME", "CUDA_PATH", "CUDA_TOOLKIT_ROOT_DIR"] {
        shell.set_var(name, &toolkit);
    }
    if shell.var_os("CUDA_COMPUTE_CAP").is_none() {
        shell.set_var("CUDA_COMPUTE_CAP", CARD);
    }
    let path = shell.var("PATH").unwrap_or_default();
    shell.set_var("PATH", format!("{}:{path}", toolkit.join("bin").display()));
    shell.set_var("LD_LIBRARY_PATH", &libraries);
    let run =
        ["run", "--package", "gan-cli", "--no-default-features", "--features", FEATURES, "--locked", "--"];
    cmd!(shell, "cargo {run...} --version").run().context("gan-cli with CUDA does not compile or start")?;

    let out = shell.create_temp_dir()?;
    let out = out.path().join("run");
    let train = ["train", "--device", "cuda", "--set", "train.steps=1", "--out"];
    let output = cmd!(shell, "cargo {run...} {train...} {out}").ignore_status().quiet().output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
    let is_clear =
        matches!(errors[..], [error] if error.contains("no CUDA device 0") && error.contains("NVIDIA card"));
    if output.status.success() || !is_clear {
        bail!(
            "without a card, `train --device cuda` must end with one line that says what is missing:\n{said}"
        );
    }
    #[expect(clippy::print_stdout, reason = "the result of the command")]
    {
        println!(
            "gan-cli with {FEATURES} compiles, links and starts. Without a card it says:\n{}",
            errors[0]
        );
    }
    Ok(())
}

/// Gives the packages the layout of a CUDA toolkit: `bin`, `nvvm`, `include`, and `lib64` with the names that
/// linkers look for.
fn lay_out(packages: &Path, toolkit: &Path) -> Result<()> {
    match std::fs::remove_dir_all(toolkit) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => std::fs::create_dir_all(toolkit.join("lib64"))?,
    }
    for directory in ["bin", "nvvm", "include"] {
        link(&packages.join("cu13").join(directory), &toolkit.join(directory))?;
    }
    for package in ["cu13", "cudnn", "nccl"] {
        let directory = packages.join(package).join("lib");
        for file in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let file = file?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            link(&file, &toolkit.join("lib64").join(&name))?;
            // libcublas.so.13 is libcublas.so for a linker.
            if let Some((library, _)) = name.split_once(".so.") {
                link(&file, &toolkit.join("lib64").join(format!("{library}.so")))?;
            }
        }
    }
    link(&toolkit.join("lib64"), &toolkit.join("lib"))
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> Result<()> {
    std::os::unix::fs::symlink(from, to).with_context(|| to.display().to_string())
}

#[cfg(not(unix))]
fn link(_: &Path, to: &Path) -> Result<()> {
    bail!("{}: no symbolic links here", to.display())
}

/// Compiles a stand-in for the driver's library `libcuda.so.1`, which only a machine with a card has. Each of its
/// functions fails as those of NVIDIA's own stand-in do (`CUDA_ERROR_STUB_LIBRARY`).
fn write_driver(shell: &Shell, libraries: &Path) -> Result<()> {
    let cudarc = source_of_cudarc(shell)?.join("src/driver/sys/mod.rs");
    let text = std::fs::read_to_string(&cudarc).with_context(|| cudarc.display().to_string())?;
    let names: BTreeSet<&str> = text
        .split("fn ")
        .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("cu") && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    ensure!(names.contains("cuInit"), "{}: expected the functions of CUDA's driver", cudarc.display());
    let functions: Vec<_> = names.iter().map(|name| format!("int {name}(void) {{ return 34; }}\n")).collect();
    let (source, library) = (libraries.join("driver.c"), libraries.join("libcuda.so.1"));
    std::fs::write(&source, functions.concat())?;
    cmd!(shell, "cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o {library} {source}").run()?;
    link(&library, &libraries.join("libcuda.so"))
}

fn source_of_cudarc(shell: &Shell) -> Result<PathBuf> {
    let manifest = "crates/gan-cli/Cargo.toml";
    let metadata =
        cmd!(shell, "cargo metadata --format-version 1 --manifest-path {manifest} --features cuda --locked");
    let metadata: serde_json::Value = serde_json::from_str(&metadata.quiet().read()?)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let cudarc = packages.into_iter().find(|package| package["name"] == "cudarc");
    let manifest =
        cudarc.and_then(|package| package["manifest_path"].as_str()).context("cudarc is not a dependency")?;
    Ok(Path::new(manifest).parent().unwrap_or(Path::new("")).to_owned())
}
