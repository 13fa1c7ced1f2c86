//! Tests what a user sees: samples in every format, `inspect`, `data` and the help.

use crate::program::{fail, gan_cli, run, small, small_with, succeed};
use safetensors::SafeTensors;
use std::path::Path;

fn trained(at: &Path) {
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=10"]));
}

fn npy(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let npy = npyz::NpyFile::new(&bytes[..]).unwrap();
    (npy.shape().to_vec(), npy.into_vec().unwrap())
}

fn write_npy(path: &Path, shape: &[u64], values: &[f32]) {
    use npyz::WriterBuilder;
    let file = std::fs::File::create(path).unwrap();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0., |furthest, (a, b)| (a - b).abs().max(furthest))
}

#[test]
fn a_run_directory_holds_what_scripts_rely_on() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &[]));
    let names = |path: &str| -> Vec<String> {
        let entries = std::fs::read_dir(at.join("run").join(path)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let top = names("");
    for name in ["checkpoints", "config.toml", "generator.safetensors", "metrics.jsonl", "samples"] {
        assert!(top.iter().any(|n| n == name), "{name} in {top:?}");
    }
    assert_eq!(names("checkpoints"), ["step-00000030", "step-00000040"]);
    assert_eq!(names("samples"), ["step-00000020.png", "step-00000040.png"]);
    let metrics = std::fs::read_to_string(at.join("run/metrics.jsonl")).unwrap();
    // The file also contains lines about the run's health.
    let first = metrics.lines().find(|line| line.contains("d_loss") && !line.contains("health")).unwrap();
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    let keys = [
        "step",
        "epoch",
        "images",
        "seconds",
        "images_per_s",
        "d_loss",
        "g_loss",
        "d_real",
        "d_fake",
        "lr_g",
        "lr_d",
    ];
    let object = first.as_object().unwrap();
    assert!(object.len() == keys.len() + 1 && object["crc32"].is_string());
    assert!(keys.iter().all(|key| object[*key].is_number()), "{first}");
    assert_eq!((&first["step"], &first["images"]), (&10.into(), &160.into()));
    // One can train with the resolved configuration.
    succeed(at, &["train", "--config", "run/config.toml", "--out", "again"]);
    let bytes = |run: &str| std::fs::read(at.join(run).join("generator.safetensors")).unwrap();
    assert!(bytes("run") == bytes("again"));
}

#[test]
fn without_out_runs_are_numbered_and_the_last_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("unused");
    let args: Vec<_> = args.iter().map(String::as_str).filter(|a| *a != "--out" && *a != "unused").collect();
    succeed(at, &args);
    succeed(at, &args);
    assert!(at.join("runs/mlp-002/generator.safetensors").exists());
    assert!(at.join("runs/mlp-002-2/generator.safetensors").exists());
    let output = run(at, &[&args[..], &["--resume"]].concat());
    assert!(String::from_utf8_lossy(&output.stderr).contains("mlp-002-2"), "{output:?}");
    assert!(!at.join("runs/mlp-002-3").exists());
    // Somebody deletes one in the middle, and has a directory of a similar name.
    succeed(at, &args);
    std::fs::remove_dir_all(at.join("runs/mlp-002-2")).unwrap();
    std::fs::create_dir(at.join("runs/mlp-002-9")).unwrap();
    std::fs::create_dir(at.join("runs/mlp-002-+8")).unwrap();
    std::fs::write(at.join("runs/mlp-002-+8/config.toml"), "").unwrap();
    let output = run(at, &[&args[..], &["--resume"]].concat());
    assert!(String::from_utf8_lossy(&output.stderr).contains("mlp-002-3"), "{output:?}");
}

#[test]
fn samples_are_the_same_in_every_format_and_number() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    succeed(at, &["sample", "run", "--count", "70", "--seed", "5", "--out", "a.npy"]);
    let (shape, a) = npy(&at.join("a.npy"));
    assert_eq!(shape, [70, 1, 28, 28]);
    assert!(a.iter().all(|v| v.abs() <= 1.));
    // The i-th image does not depend on the number of images, or on whether the file or the run is
    // given.
    succeed(at, &["sample", "run/generator.safetensors", "-n", "65", "--seed", "5", "--out", "b.npy"]);
    assert!(furthest(&npy(&at.join("b.npy")).1, &a[..65 * 784]) < 1e-6);
    succeed(at, &["sample", "run", "--count", "70", "--seed", "6", "--out", "c.npy"]);
    assert!(furthest(&npy(&at.join("c.npy")).1, &a) > 0.1);

    succeed(at, &["sample", "run", "--count", "70", "--seed", "5", "--out", "a.safetensors"]);
    let bytes = std::fs::read(at.join("a.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let images = file.tensor("images").unwrap();
    assert_eq!(images.shape(), [70, 1, 28, 28]);
    let values: Vec<f32> =
        images.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert!(values == a);

    succeed(at, &["sample", "run", "--count", "7", "--columns", "3", "--seed", "5", "--out", "grid.png"]);
    let grid = image::open(at.join("grid.png")).unwrap().to_luma8();
    assert_eq!(grid.dimensions(), (3 * 30 + 2, 3 * 30 + 2));
    let byte = |v: f32| ((v + 1.) * 127.5).round() as u8;
    for (image, x, y) in [(0, 0, 0), (1, 27, 27), (5, 3, 9)] {
        let (left, top) = (2 + 30 * (image % 3), 2 + 30 * (image / 3));
        let expected = byte(a[image * 784 + y * 28 + x]);
        assert_eq!(grid.get_pixel((left + x) as u32, (top + y) as u32).0[0], expected);
    }
    succeed(at, &["sample", "run", "--count", "11", "--seed", "5", "--out", "many/"]);
    assert_eq!(std::fs::read_dir(at.join("many")).unwrap().count(), 11);
    let one = image::open(at.join("many/05.png")).unwrap().to_luma8();
    assert_eq!(one.get_pixel(3, 9).0[0], byte(a[5 * 784 + 9 * 28 + 3]));
}

#[test]
fn latents_replace_the_seed() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    let z: Vec<f32> = (0..24).map(|i| i as f32 / 10. - 1.).collect();
    write_npy(&at.join("z.npy"), &[3, 8], &z);
    succeed(at, &["sample", "run", "--latents", "z.npy", "--out", "a.npy"]);
    let (shape, images) = npy(&at.join("a.npy"));
    assert_eq!(shape, [3, 1, 28, 28]);
    write_npy(&at.join("last.npy"), &[1, 8], &z[16..]);
    succeed(at, &["sample", "run", "--latents", "last.npy", "--count", "1", "--out", "b.npy"]);
    assert!(furthest(&npy(&at.join("b.npy")).1, &images[2 * 784..]) < 1e-6);

    let both = run(at, &["sample", "run", "--latents", "last.npy", "--seed", "0", "--out", "c.npy"]);
    let problem = String::from_utf8_lossy(&both.stderr).into_owned();
    assert!(both.status.code() == Some(2) && problem.contains("cannot be used with"), "{problem}");

    write_npy(&at.join("short.npy"), &[4, 6], &z);
    let error = fail(at, &["sample", "run", "--latents", "short.npy", "--out", "a.npy"], 1);
    assert!(error.contains("short.npy: expected floats [N, 8], found f32 [4, 6]"), "{error}");
    let error = fail(at, &["sample", "run", "--latents", "z.npy", "--count", "4", "--out", "a.npy"], 2);
    assert!(error.contains("--count 4, but --latents holds 3"), "{error}");
    // The product of the dimensions is 0 in 64 bits.
    let mut huge = std::fs::read(at.join("short.npy")).unwrap();
    let header = String::from_utf8_lossy(&huge[10..128]).replace("4, 6", "2305843009213693952, 8");
    huge.splice(10..128, header.bytes().take(118));
    std::fs::write(at.join("huge.npy"), huge).unwrap();
    let error = fail(at, &["sample", "run", "--latents", "huge.npy", "--out", "a.npy"], 1);
    assert!(error.contains("huge.npy: truncated"), "{error}");
    std::fs::write(at.join("broken.npy"), b"\x93NUMPY\x01\x00").unwrap();
    let error = fail(at, &["sample", "run", "--latents", "broken.npy", "--out", "a.npy"], 1);
    assert!(error.contains("broken.npy"), "{error}");
}

#[test]
fn inspect_shows_layers_and_origin() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    let text = succeed(at, &["inspect", "run"]);
    assert!(
        text.starts_with("trained on mnist-5k: 10 steps, 160 images, non-saturating loss, seed 0\n"),
        "{text}"
    );
    let text = succeed(at, &["inspect", "dcgan-64"]);
    for line in [
        "generator: 3576704 parameters, input [100, 1, 1]",
        "discriminator: 2765568 parameters, input [3, 64, 64]",
        "ConvTranspose2d(100, 512, 4, stride=1, padding=0, bias=False)",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(
        text,
        succeed(at, &["inspect", concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/dcgan-64.toml")])
    );
}

#[test]
fn data_info_says_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let text = succeed(directory.path(), &["data", "info"]);
    assert!(text.contains("mnist-5k train: 5000 images, 28x28 gray") && text.contains("7: 500"), "{text}");
    // Training needs no test split, so its absence is reported and is not an error.
    crate::configs::idx(&directory.path().join("mnist"), 20);
    let text = succeed(directory.path(), &["data", "info", "--data-dir", "mnist"]);
    for line in [
        "mnist train: 20 images",
        "0: 2  1: 2",
        "test: no files in mnist",
        "t10k-labels-idx1-ubyte   missing, not canonical",
        "This is not the canonical MNIST.",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn help_has_examples_and_colours_stay_off_in_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for command in ["train", "sample", "inspect"] {
        let help = succeed(at, &[command, "--help"]);
        assert!(help.contains("Examples:") && !help.contains('\u{1b}'), "{help}");
    }
    let output = run(at, &small_with(&small("run"), &[]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains('\u{1b}') && stderr.contains("step 10/40"), "{stderr}");
    let output =
        gan_cli(at, &small_with(&small("quiet"), &["-q", "--set", "train.health.every=0"])).output().unwrap();
    assert!(output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn a_device_that_is_not_built_says_how_to_get_it() {
    let directory = tempfile::tempdir().unwrap();
    let error = fail(directory.path(), &small_with(&small("run"), &["--device", "tpu"]), 2);
    assert!(error.contains("expected cpu, cuda, cuda:N or metal, found tpu"), "{error}");
    if !cfg!(feature = "cuda") {
        let error = fail(directory.path(), &small_with(&small("run"), &["--device", "cuda:1"]), 2);
        assert!(error.contains("--features cuda"), "{error}");
    }
}

#[test]
fn threads_change_no_result() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // One network has penalties and classes. The other has batch norm in both networks.
    for config in ["mnist-5k", "lsgan"] {
        threads_change_nothing_in(at, config);
    }
}

fn threads_change_nothing_in(at: &Path, config: &str) {
    let dcgan = [
        ["--config", config],
        ["--set", "data.name=mnist-5k"],
        ["--set", "model.generator.widths=[16,9]"],
        ["--set", "model.discriminator.widths=[9,33]"],
        ["--set", "train.steps=10"],
        ["--set", "data.batch-size=5"],
    ];
    let trained = |threads: &str| -> Vec<u8> {
        let out = format!("{config}-{threads}");
        let more = ["--out", &out, "--threads", threads];
        succeed(at, &[&["train"][..], dcgan.as_flattened(), &more].concat());
        std::fs::read(at.join(out).join("generator.safetensors")).unwrap()
    };
    let (one, two) = (trained("1"), trained("2"));
    // The kernels divide sums by output, never by thread. candle's own products may divide them
    // otherwise.
    assert!(one == two || !cfg!(feature = "fused"));
    let (one, two) = (SafeTensors::deserialize(&one).unwrap(), SafeTensors::deserialize(&two).unwrap());
    for (name, tensor) in one.tensors() {
        let floats = |bytes: &[u8]| -> Vec<f32> {
            bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
        };
        assert!(
            furthest(&floats(tensor.data()), &floats(two.tensor(&name).unwrap().data())) < 1e-4,
            "{name}"
        );
    }
}

#[test]
fn shells_and_the_manual_know_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeed(at, &["completions", shell]);
        assert!(script.contains("train-classifier") && script.contains("tensorboard"), "{shell}");
    }
    assert!(succeed(at, &["man"]).contains("gan\\-cli \\- Train generative adversarial networks"));
    succeed(at, &["man", "--out", "man/man1"]);
    let page = |name: &str| std::fs::read_to_string(at.join("man/man1").join(name)).unwrap();
    assert!(page("gan-cli.1").contains("gan\\-cli\\-sample(1)"));
    for (name, option) in
        [("train", "\\-\\-data\\-dir"), ("data-prepare", "\\-\\-crop"), ("walk", "\\-\\-along")]
    {
        assert!(page(&format!("gan-cli-{name}.1")).contains(option), "{name}");
    }
    std::fs::write(at.join("file"), "").unwrap();
    assert!(fail(at, &["man", "--out", "file"], 2).contains("expected a directory, found the file file"));
}

/// The first argument, which is compared with the names of commands, need not be Unicode.
#[cfg(target_os = "linux")]
#[test]
fn a_command_that_is_not_utf_8_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let mut command = gan_cli(directory.path(), &[]);
    let output = command.arg(std::ffi::OsStr::from_bytes(b"caf\xe9")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// People expect the options of other programs, misspell names, and name what is not there.
#[test]
fn mistakes_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    std::fs::write(at.join("m.toml"), "seed = 1\n[data]\nname = \"mnist-5k\"\n").unwrap();
    let known = "no such file or directory";
    for (args, expected) in [
        (&["train", "--epochs", "5"][..], "the configuration has a key for it: --set train.epochs=5"),
        (
            &["--threads", "1", "train", "--epochs", "5"],
            "the configuration has a key for it: --set train.epochs=5",
        ),
        (&["-q", "evaluate"], "images of another program: --samples PATH"),
        (
            &["walk", "run", "--along", "1", "--strength", "-3"],
            "invalid value '-3' for '--strength <LENGTH>'",
        ),
        (
            &["sample", "run", "--seed", "-1"],
            "'--seed <SEED>': expected a whole number from 0 to 18446744073709551615",
        ),
        (&["sample", "run", "--truncation", "-1"], "invalid value '-1' for '--truncation <LIMIT>'"),
        (&["sample", "run", "--count", "99999999999"], "expected a whole number from 1 to 4294967295"),
        (&["sample", "run", "--count", "0"], "expected a whole number of at least 1"),
        (&["train", "--lr", "0.1"], "--set train.generator.lr=0.1"),
        (&["train", "--seed", "3"], "--set seed=3"),
        (&["train", "--epochs=7"], "--set train.epochs=7"),
        (&["train", "--steps"], "--set train.steps=2000"),
        (&["evaluate"], "images of another program: --samples PATH"),
        (&["sample", "run", "--count", "-3"], "'--count <N>': expected a whole number of at least 1"),
        (&["sample", "run", "--columns", "0"], "'--columns <C>': expected a whole number of at least 1"),
        (&["train", "--threads", "0"], "'--threads <N>': expected a whole number from 1 to 1024"),
        (&["sample", "run", "--scale", "3", "--out", "x.npy"], "--scale: expected --out X.png"),
        (&["train", "--config", "mnist5k"], "(did you mean mnist-5k?)"),
        (&["train", "--config", "dcgna-28"], "(did you mean dcgan-28?)"),
        (
            &["inspect", "m.toml"],
            "m.toml: expected these keys too: data.batch-size, model.arch, model.latent-dim,",
        ),
        (&["sample", "nowhere"], known),
        (&["inspect", "nowhere"], known),
        (&["walk", "nowhere"], known),
        (&["evaluate", "nowhere"], known),
        (&["diagnose", "nowhere"], known),
        (&["report", "nowhere"], known),
        (&["compare", "nowhere"], known),
        (&["timelapse", "nowhere"], known),
        (&["project", "nowhere", "m.toml"], known),
        (&["project", "run", "nowhere.png"], known),
        (&["sample", "run", "--latents", "nowhere.npy"], "--latents: nowhere.npy: no such file"),
        (&["train", "--init-from", "nowhere"], "--init-from: nowhere: no such file"),
        (&["train", "--config", "dcgan-64", "--data-dir", "nowhere"], "--data-dir: nowhere: no such file"),
        (&["train-classifier", "--data-dir", "nowhere"], "--data-dir: nowhere: no such file"),
        (&["data", "info", "--data-dir", "nowhere"], "--data-dir: nowhere: no such file"),
        (&["data", "prepare", "nowhere", "--size", "64", "--out", "x.zip"], known),
    ] {
        let output = run(at, args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn a_grid_is_enlarged() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    succeed(at, &["sample", "run", "--count", "6", "--columns", "3", "--out", "plain.png"]);
    succeed(at, &["sample", "run", "--count", "6", "--columns", "3", "--scale", "3", "--out", "large.png"]);
    let [plain, large] =
        ["plain.png", "large.png"].map(|name| image::open(at.join(name)).unwrap().into_luma8());
    assert_eq!(plain.dimensions(), (92, 62));
    assert_eq!(large.dimensions(), (276, 186));
    assert!(large.enumerate_pixels().all(|(x, y, pixel)| pixel == plain.get_pixel(x / 3, y / 3)));
}
