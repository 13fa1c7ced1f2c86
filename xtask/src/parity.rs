//! Compares this project with PyTorch in both directions. The machine must have PyTorch.

use crate::gan_cli::FEATURES;
use anyhow::{Context, Result};
use xshell::{Shell, cmd};

const PRESETS: [&str; 5] = ["mlp-001", "mlp-002", "mlp-003", "dcgan-28", "dcgan-64"];
/// Two steps are enough to change every weight and running statistic.
const STEPS: &str = "train.steps=2";
/// The embedded digits need no download.
const DATA: &str = "data.name=mnist-5k";
const RUN_GAN_CLI: [&str; 9] = [
    "run",
    "--quiet",
    "--release",
    "--package",
    "gan-cli",
    "--no-default-features",
    "--features",
    FEATURES,
    "--",
];
/// The latent size that `seed_models.py` gives mlp-003.
const LATENT: &str = "model.latent-dim=64";

pub(crate) fn run(shell: &Shell, python: &str) -> Result<()> {
    cmd!(shell, "{python} -c 'import numpy, PIL, pytorch_fid, scipy, torch, safetensors, tensorboard, onnx, onnxruntime'")
        .quiet()
        .run()
        .with_context(|| {
            format!(
                "{python} lacks a package: {python} -m pip install torch safetensors numpy scipy pillow pytorch-fid \
                 tensorboard setuptools onnx onnxruntime"
            )
        })?;
    // First PyTorch computes the committed values again. Then the project's values are compared
    // with the committed ones.
    cmd!(shell, "{python} tests/golden/make_golden.py --check").run()?;
    let filters = ["parity::", "networks::", "layers::"];
    cmd!(
        shell,
        "cargo test --package gan-cli --no-default-features --features {FEATURES} --test it -- {filters...}"
    )
    .run()?;
    cmd!(shell, "cargo test --package gan-metrics --test golden --test networks").run()?;
    // PyTorch loads the networks that gan-cli trains.
    let directory = shell.create_temp_dir()?;
    let at = directory.path().display();
    for preset in PRESETS {
        let (run, z, images) = (format!("{at}/{preset}"), format!("{at}/z.npy"), format!("{at}/images.npy"));
        let sets = ["--set", STEPS, "--set", DATA];
        let latent = if preset == "mlp-003" { &["--set", LATENT][..] } else { &[] };
        cmd!(shell, "cargo {RUN_GAN_CLI...} -q train --config {preset} --out {run} {sets...} {latent...}")
            .run()?;
        let check = "tests/golden/check_state_dict.py";
        cmd!(shell, "{python} {check} latents {preset} {z}").run()?;
        cmd!(shell, "cargo {RUN_GAN_CLI...} -q sample {run} --latents {z} --out {images}").run()?;
        let weights = format!("{run}/generator.safetensors");
        cmd!(shell, "{python} {check} compare {preset} {weights} {z} {images}").run()?;
        // ONNX, in the runtime that most programs use.
        let onnx = format!("{at}/{preset}.onnx");
        cmd!(shell, "cargo {RUN_GAN_CLI...} -q export {run} --out {onnx}").run()?;
        cmd!(shell, "{python} tests/golden/check_onnx.py {onnx} {z} {images}").run()?;
        let program = format!("{at}/{preset}-program");
        for network in ["generator", "discriminator"] {
            let options = ["--format", "pytorch", "--network", network, "--out", &program];
            cmd!(shell, "cargo {RUN_GAN_CLI...} -q export {run} {options...}").run()?;
        }
        cmd!(shell, "{python} tests/golden/check_export.py {program} {z} {images}").run()?;
        // The way back: what PyTorch saves is drawn from, with the configuration of the run.
        let (pth, config) = (format!("{at}/{preset}.pth"), format!("{run}/config.toml"));
        cmd!(shell, "{python} {check} save {preset} {weights} {pth}").run()?;
        cmd!(shell, "cargo {RUN_GAN_CLI...} -q sample {pth} --config {config} --latents {z} --out {images}")
            .run()?;
        cmd!(shell, "{python} {check} compare {preset} {weights} {z} {images}").run()?;
    }
    // TensorBoard reads what a run writes for it, also after a resume.
    let run = format!("{at}/events");
    for (steps, resume) in [("20", None), ("40", Some("--resume"))] {
        let sets = ["train.log-every=5", "train.sample-every=10", "train.health.every=10"];
        let evaluate = ["train.evaluate.every-kimg=0", "train.evaluate.count=64"];
        let sets = sets.iter().chain(&evaluate).flat_map(|set| ["--set", set]);
        cmd!(shell, "cargo {RUN_GAN_CLI...} -q train --out {run} --tensorboard {resume...} {sets...}")
            .args(["--set".to_owned(), format!("train.steps={steps}")])
            .run()?;
    }
    cmd!(shell, "{python} tests/golden/check_tensorboard.py {run}").run()?;
    Ok(())
}
