//! Tests of a training that several processes share, which `mpirun` starts. `cargo xtask test` runs them
//! where there is an `mpirun`.

use crate::hosts::Hosts;
use crate::program::{run, small, small_with, succeed, without_clock};
use safetensors::SafeTensors;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// `mpirun` with arguments for all processes, one host and any user.
fn mpirun(at: &Path, ranks: usize, args: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["-n", &ranks.to_string(), env!("CARGO_BIN_EXE_gan-cli"), "--threads", "1"]).args(args);
    prepare(&mut command, at);
    command
}

/// Open MPI refuses root, and would give each process a core of its own.
fn prepare(mpirun: &mut Command, at: &Path) {
    mpirun.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    mpirun.env("OMPI_MCA_rmaps_base_oversubscribe", "1").env("OMPI_MCA_hwloc_base_binding_policy", "none");
    mpirun.current_dir(at).env_remove("GAN_DATA_DIR");
}

fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn train(at: &Path, ranks: usize, args: &[&str]) -> String {
    let output = mpirun(at, ranks, args).output().unwrap();
    assert!(output.status.success(), "{ranks} ranks, {args:?}: {}", log(&output));
    log(&output)
}

/// Arguments for a short run without layers that couple samples, with penalties, noise and an average.
fn arguments(out: &str) -> Vec<String> {
    let sets = [
        "data.batch-size=24",
        "train.steps=20",
        "train.checkpoint-every=5",
        "train.loss=relativistic",
        "train.r1.gamma=0.1",
        "train.instance-noise.deviation=0.05",
        "train.ema.half-life-kimg=0.1",
    ];
    let sets = sets.into_iter().flat_map(|set| ["--set".to_owned(), set.to_owned()]);
    small(out).into_iter().chain(sets).collect()
}

fn weights(file: &Path) -> Vec<f32> {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let values = names.into_iter().flat_map(|name| tensors.tensor(name).unwrap().data().to_vec());
    let values: Vec<u8> = values.collect();
    values.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// The numbers in the lines of a run's journal that have this field, in order.
#[cfg(feature = "fused")]
fn numbers(run: &Path, field: &str) -> Vec<f64> {
    fn of(value: &serde_json::Value) -> Vec<f64> {
        match value {
            serde_json::Value::Number(number) => number.as_f64().into_iter().collect(),
            serde_json::Value::Array(values) => values.iter().flat_map(of).collect(),
            serde_json::Value::Object(fields) => fields.values().flat_map(of).collect(),
            _ => vec![],
        }
    }
    without_clock(run).iter().filter_map(|line| line.get(field)).flat_map(of).collect()
}

/// The files of a run that do not depend on the clock.
fn result(run: &Path) -> (Vec<u8>, Vec<u8>, Vec<serde_json::Value>) {
    let read = |file: &str| std::fs::read(run.join(file)).unwrap();
    (read("generator.safetensors"), read("ema.safetensors"), without_clock(run))
}

#[test]
fn ranks_train_what_one_process_trains() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&arguments("alone"), &[]));
    let file = |run: &str| weights(&at.join(run).join("generator.safetensors"));
    let distance =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    succeed(at, &small_with(&arguments("other"), &["--set", "seed=5"]));
    let (alone, other) = (file("alone"), file("other"));
    for ranks in [2, 3, 4] {
        let name = format!("ranks-{ranks}");
        let log = train(at, ranks, &small_with(&arguments(&name), &[]));
        // One rank speaks for all.
        assert_eq!(log.matches("training 20 steps").count(), 1, "{log}");
        let off = distance(&file(&name), &alone) / distance(&other, &alone);
        assert!(off < 1e-3, "{ranks} ranks: {off}");
        // The same files as any run, and the same bytes again.
        assert!(at.join(&name).join("samples/step-00000020.png").exists());
        let again = format!("again-{ranks}");
        train(at, ranks, &small_with(&arguments(&again), &[]));
        assert!(result(&at.join(&name)) == result(&at.join(&again)), "{ranks} ranks");
    }
    // Batch norm over all ranks sees what it sees in one process.
    let sets = [
        "model.arch=dcgan",
        "model.generator.widths=[8, 4]",
        "model.discriminator={ widths = [4, 8], activation = 'leaky-relu', norm = 'none' }",
        "train.steps=10",
        "model.sync-batch-norm=true",
    ];
    let normed: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    succeed(at, &small_with(&arguments("normed"), &normed));
    succeed(at, &small_with(&arguments("normed-other"), &[&normed[..], &["--set", "seed=5"]].concat()));
    train(at, 2, &small_with(&arguments("normed-2"), &normed));
    train(at, 2, &small_with(&arguments("own-2"), &normed[..8]));
    let apart = distance(&file("normed-other"), &file("normed"));
    let [off, own] = ["normed-2", "own-2"].map(|run| distance(&file(run), &file("normed")) / apart);
    assert!(off < 1e-4 && own > 1e-3, "{off} {own}");
    // The program that mpirun did not start trains alone, with the same bytes as a build without MPI.
    assert!(run(at, &["inspect", "alone"]).status.success());
}

/// The ranks draw the images of grids, checks and evaluations together. With candle's own operations this would
/// take minutes.
#[test]
#[cfg(feature = "fused")]
fn ranks_judge_what_one_process_judges() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let judged = ["--set", "train.evaluate.every-kimg=1", "--set", "train.evaluate.count=300"];
    succeed(at, &small_with(&arguments("judged"), &judged));
    for ranks in [2, 3] {
        let name = format!("judged-{ranks}");
        train(at, ranks, &small_with(&arguments(&name), &judged));
        for field in ["evaluate", "health"] {
            let [found, expected] = [&name, "judged"].map(|run| numbers(&at.join(run), field));
            assert!(found.len() > 10 && found.len() == expected.len(), "{field}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 0.02 * expected.abs().max(0.1),
                    "{field} {found} {expected}"
                );
            }
        }
        let [found, expected] = [&name, "judged"].map(|run| {
            let grid = image::open(at.join(run).join("samples/step-00000020.png")).unwrap();
            grid.into_luma8().into_raw()
        });
        let most = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(found.len() == expected.len() && most <= 2, "{most}");
    }
}

#[test]
fn a_resume_goes_on_with_any_number_of_ranks() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    train(at, 2, &small_with(&arguments("unbroken"), &[]));
    train(at, 2, &small_with(&arguments("broken"), &["--set", "train.steps=10"]));
    std::fs::create_dir(at.join("copy")).unwrap();
    let copy = Command::new("cp").args(["-r", "broken", "copy/run"]).current_dir(at).status().unwrap();
    assert!(copy.success());
    let log = train(at, 2, &small_with(&arguments("broken"), &["--resume"]));
    assert!(log.contains("going on after step 10 of 20"), "{log}");
    let files = |run: &str| {
        let (generator, average, _) = result(&at.join(run));
        (generator, average)
    };
    assert!(files("unbroken") == files("broken"));
    // Another number of ranks goes on too.
    train(at, 4, &small_with(&arguments("copy/run"), &["--resume"]));
    let [found, expected] =
        ["copy/run", "unbroken"].map(|run| weights(&at.join(run).join("ema.safetensors")));
    let most = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
    assert!(most < 1e-3, "{most}");
}

#[test]
fn what_cannot_be_shared_is_one_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let error = |ranks: usize, args: &[&str]| {
        let output = mpirun(at, ranks, args).output().unwrap();
        assert!(!output.status.success(), "{args:?}");
        let log = log(&output);
        let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(errors.len(), 1, "{log}");
        errors[0].to_owned()
    };
    let args = arguments("run");
    let problem = error(3, &small_with(&args, &["--set", "data.batch-size=16"]));
    assert!(problem.contains("data.batch-size: expected a multiple of the 3 ranks, found 16"), "{problem}");
    let problem = error(2, &["inspect", "mnist-5k"]);
    assert!(problem.contains("mpirun started 2 processes of this command, but only train"), "{problem}");
    assert!(!at.join("run").exists());
    // A rank whose data are others.
    for (name, color) in [("ours", 200u8), ("theirs", 100)] {
        std::fs::create_dir(at.join(name)).unwrap();
        for n in 0..24u8 {
            let picture = image::RgbImage::from_fn(28, 28, |x, _| image::Rgb([color, n, x as u8]));
            picture.save(at.join(name).join(format!("{n}.png"))).unwrap();
        }
    }
    let sets = ["--set", "data.name=folder", "--set", "model.channels=3", "--set", "train.health.every=0"];
    let mut command = mpirun(at, 1, &small_with(&args, &[&sets[..], &["--data-dir", "ours"]].concat()));
    command.args([":", "-n", "1", env!("CARGO_BIN_EXE_gan-cli"), "--threads", "1"]);
    command.args(small_with(&args, &[&sets[..], &["--data-dir", "theirs"]].concat()));
    let log = log(&command.output().unwrap());
    let problem = "rank 1: it has other data than rank 0: 24 images in ";
    assert_eq!(log.matches(problem).count(), 1, "{log}");
}

/// The processes that a command has started.
fn children(of: &Child) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", of.id())).unwrap();
    let lists = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    lists.flat_map(|list| list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>()).collect()
}

fn signal(process: u32, name: &str) {
    assert!(
        Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success()
    );
}

/// Waits until the run has a checkpoint, and then for some steps.
fn wait_for_training(run: &Path) {
    let start = Instant::now();
    while !run.join("checkpoints/step-00000005").exists() {
        assert!(start.elapsed() < Duration::from_mins(1), "no checkpoint");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
}

/// Waits until `mpirun` has ended, for at most half a minute, and returns what it wrote.
fn log_of_end(mut child: Child, what: &str) -> String {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            let _ = child.kill();
            panic!("{what}: a rank still waits");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    log(&child.wait_with_output().unwrap())
}

/// Lets a run go on for some steps from its newest checkpoint, which must be whole.
fn goes_on(at: &Path, out: &str) {
    let checkpoints = std::fs::read_dir(at.join(out).join("checkpoints")).unwrap();
    let steps = checkpoints
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_prefix("step-")?.parse::<u64>().ok());
    let steps = format!("train.steps={}", steps.max().unwrap() + 10);
    let sets = ["--set", "train.sample-every=1000", "--set", &steps, "--resume"];
    train(at, 2, &small_with(&arguments(out), &sets));
}

#[test]
fn all_ranks_end_soon_if_one_dies_or_falls_silent() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (name, victim) in [("KILL", 0), ("KILL", 1), ("STOP", 1)] {
        let out = format!("{name}-{victim}");
        let long = ["--set", "train.steps=1000000", "--set", "train.sample-every=1000"];
        let mut command = mpirun(at, 2, &small_with(&arguments(&out), &long));
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_for_training(&at.join(&out));
        let ranks = children(&child);
        assert_eq!(ranks.len(), 2);
        signal(ranks[victim], name);
        let log = log_of_end(child, &out);
        let expected = match name {
            "STOP" => "ERROR rank 1: no answer for 20 s".to_owned(),
            // mpirun says it.
            _ => format!("rank {victim}"),
        };
        assert!(log.contains(&expected), "{log}");
        goes_on(at, &out);
    }
}

#[test]
fn all_ranks_end_soon_if_the_network_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let Some(hosts) = Hosts::new(at) else {
        eprintln!("SKIPPED: a network that is cut. To test it, run this as root, with ip and unshare");
        return;
    };
    let long = ["--set", "train.steps=1000000", "--set", "train.sample-every=1000"];
    let args = arguments("run");
    let program = ["-wd", at.to_str().unwrap(), env!("CARGO_BIN_EXE_gan-cli"), "--threads", "1"];
    let mut command = hosts.mpirun(&[&program[..], &small_with(&args, &long)].concat());
    prepare(&mut command, at);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_for_training(&at.join("run"));
    hosts.cut();
    let log = log_of_end(child, "cut");
    let expected = ["lost communication with a remote daemon", &hosts.address(1)];
    assert!(expected.iter().all(|expected| log.contains(expected)), "{log}");
    goes_on(at, "run");
}
