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
/// Recipes, their latent sizes, a class if they have some, and settings that let them train on the embedded
/// digits.
const RECIPES: [(&str, &str, Option<&str>, &[&str]); 7] = [
    ("mnist-5k", "64", Some("7"), &[]),
    ("r3gan", "64", None, &[DATA]),
    ("hinge-sn", "64", None, &[DATA]),
    ("wgan-gp", "64", None, &[DATA]),
    ("mnist-fast", "64", None, &[DATA, "model.generator.upsample=nearest", "model.generator.widths=[64,32]"]),
    ("stacked-mnist", "100", None, &[DATA]),
    ("dcgan-64", "100", None, &[DATA, "model.generator.upsample=nearest"]),
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
        cmd!(shell, "{python} tests/golden/check_onnx.py generator {onnx} {z} {images}").run()?;
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
    of_recipes(shell, python, &at.to_string())?;
    of_dcgan_example(shell, python, &at.to_string())?;
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

/// Both networks of recipes as ONNX: residual, with classes, with a spectral norm, enlarged from nearest
/// neighbours, RGB of 64x64.
fn of_recipes(shell: &Shell, python: &str, at: &str) -> Result<()> {
    let check = "tests/golden/check_onnx.py";
    for (recipe, latent_dim, class, more) in RECIPES {
        let [run, z, images] = ["", ".z.npy", ".npy"].map(|end| format!("{at}/recipe-{recipe}{end}"));
        let sets = [STEPS, "data.batch-size=16", "train.sample-count=4", "train.health.every=0"];
        let sets = sets.iter().chain(more).flat_map(|set| ["--set", set]);
        cmd!(shell, "cargo {RUN_GAN_CLI...} -q train --config {recipe} --out {run} {sets...}").run()?;
        cmd!(shell, "{python} {check} latents {latent_dim} {z}").run()?;
        let of_class: &[&str] = class.map_or(&[], |_| &["--class"]);
        cmd!(
            shell,
            "cargo {RUN_GAN_CLI...} -q sample {run} --latents {z} --out {images} {of_class...} {class...}"
        )
        .run()?;
        let program = format!("{run}-program");
        let options = ["--format", "pytorch", "--network", "discriminator", "--out", &program];
        cmd!(shell, "cargo {RUN_GAN_CLI...} -q export {run} {options...}").run()?;
        for (network, other) in [("generator", &z), ("discriminator", &program)] {
            let onnx = format!("{run}-{network}.onnx");
            cmd!(shell, "cargo {RUN_GAN_CLI...} -q export {run} --network {network} --out {onnx}").run()?;
            cmd!(shell, "{python} {check} {network} {onnx} {other} {images} {class...}").run()?;
        }
    }
    Ok(())
}

/// The generator of PyTorch's own DCGAN example, trained there.
fn of_dcgan_example(shell: &Shell, python: &str, at: &str) -> Result<()> {
    let check = "tests/golden/check_dcgan_example.py";
    let [weights, z, images, found] =
        ["netG.pth", "example-z.npy", "example.npy", "example-found.npy"].map(|name| format!("{at}/{name}"));
    cmd!(shell, "{python} {check} train {weights} {z} {images}").run()?;
    cmd!(shell, "cargo {RUN_GAN_CLI...} -q sample {weights} --config dcgan-64 --latents {z} --out {found}")
        .run()?;
    Ok(cmd!(shell, "{python} {check} compare {images} {found}").run()?)
}
