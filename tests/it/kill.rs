//! Tests that an interrupted run continues as if it had not been interrupted.

use crate::program::{fail, gan_cli, ignores, run, small, small_with, succeed, without_clock};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn equal(a: &Path, b: &Path) {
    assert!(read(&a.join("generator.safetensors")) == read(&b.join("generator.safetensors")));
    for file in ["discriminator", "optimizer"] {
        let path = format!("checkpoints/step-00000040/{file}.safetensors");
        assert!(read(&a.join(&path)) == read(&b.join(&path)), "{file}");
    }
    assert_eq!(without_clock(a), without_clock(b));
    assert!(read(&a.join("samples/step-00000040.png")) == read(&b.join("samples/step-00000040.png")));
}

#[test]
fn a_run_killed_at_any_moment_ends_as_the_unbroken_one() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("unbroken");
    let start = Instant::now();
    succeed(at, &small_with(&args, &[]));
    let whole = start.elapsed();
    // There are 4 lines of losses, one about the data and two checks.
    assert_eq!(without_clock(&at.join("unbroken")).len(), 4 + if cfg!(feature = "fused") { 3 } else { 0 });

    let args = small("broken");
    let args = small_with(&args, &["--resume"]);
    let mut kills = 0;
    // Each kill comes a twentieth of a run later, so that kills happen during loading, training and
    // saving.
    for attempt in 0.. {
        let mut child = gan_cli(at, &args).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3) + whole / 20 * attempt);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "attempt {attempt}: {status}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills: the run is too short for this test");
    equal(&at.join("unbroken"), &at.join("broken"));
}

#[test]
fn a_run_in_two_parts_is_the_whole_one() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("whole"), &[]));
    // Step 25 is between two checkpoints, two lines and two grids.
    succeed(at, &small_with(&small("parts"), &["--set", "train.steps=25"]));
    succeed(at, &["train", "--out", "parts", "--resume", "--set", "train.steps=40"]);
    equal(&at.join("whole"), &at.join("parts"));
    // Another resume changes nothing.
    succeed(at, &["train", "--out", "parts", "--resume"]);
    equal(&at.join("whole"), &at.join("parts"));
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_exits_130() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for signal in ["INT", "TERM", "HUP", "USR1", "ALRM"].into_iter().filter(|signal| !ignores(signal)) {
        let out = format!("run-{signal}");
        let args = small(&out);
        let args = small_with(&args, &["--set", "train.steps=1000000", "--set", "train.checkpoint-every=0"]);
        let mut child = gan_cli(at, &args).stderr(Stdio::null()).spawn().unwrap();
        let metrics = at.join(&out).join("metrics.jsonl");
        // Before the first step, a signal ends the program at once.
        while !std::fs::read_to_string(&metrics).is_ok_and(|lines| lines.contains("d_loss")) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before its first line");
            std::thread::sleep(Duration::from_millis(5));
        }
        let args = [format!("-{signal}"), child.id().to_string()];
        assert!(std::process::Command::new("kill").args(args).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let newest = std::fs::read_dir(at.join(&out).join("checkpoints")).unwrap().next().unwrap().unwrap();
        assert!(newest.path().join("state.json").exists());
        assert!(at.join(&out).join("generator.safetensors").exists());
        // The run continues with the next step.
        let step: u64 = newest.file_name().to_str().unwrap()["step-".len()..].parse().unwrap();
        // The run without the interruption has no images of this step.
        let grid = at.join(&out).join(format!("samples/step-{step:08}.png"));
        assert_eq!(grid.exists(), step.is_multiple_of(20));
        let steps = format!("train.steps={}", step + 1);
        succeed(at, &["train", "--out", &out, "--resume", "--set", &steps]);
    }
}

/// A shell must understand the command that a run prints when it is interrupted.
#[cfg(unix)]
#[test]
fn the_command_that_goes_on_can_be_pasted() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let out = "it's $HOME/my run";
    let args = small(out);
    let args = small_with(&args, &["--set", "train.steps=1000000"]);
    let mut child = gan_cli(at, &args).stderr(Stdio::piped()).spawn().unwrap();
    while !at.join(out).join("generator.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = ["-TERM".to_owned(), child.id().to_string()];
    assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (_, command) = stderr.split_once("go on with: gan-cli ").unwrap_or_else(|| panic!("{stderr}"));
    let journal = at.join(out).join("checkpoints");
    let newest = || gan_files::entries(&journal).unwrap().pop().unwrap();
    let step: u64 = newest().to_str().unwrap().rsplit('-').next().unwrap().parse().unwrap();
    let steps = step + 10;
    let program = env!("CARGO_BIN_EXE_gan-cli");
    let command = format!("{program} {} --set train.steps={steps}", command.lines().next().unwrap());
    let status = std::process::Command::new("sh").args(["-c", &command]).current_dir(at).status().unwrap();
    assert!(status.success(), "{command}");
    assert!(newest().ends_with(format!("step-{steps:08}")), "{command}");
}

#[cfg(unix)]
#[test]
fn a_signal_before_training_ends_the_program_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // The metrics of the real images take some seconds.
    let args = small("run");
    let sets = ["--set", "train.evaluate.every-kimg=0", "--set", "train.evaluate.count=2500"];
    let mut child = gan_cli(at, &small_with(&args, &sets)).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    let args = ["-TERM".to_owned(), child.id().to_string()];
    assert!(std::process::Command::new("kill").args(args).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(!at.join("run/config.toml").exists());
}

#[cfg(unix)]
#[test]
fn nohup_keeps_a_run_alive() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("run");
    let mut command = std::process::Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_gan-cli")).args(small_with(&args, &[])).current_dir(at);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let metrics = at.join("run/metrics.jsonl");
    while !metrics.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first line");
        std::thread::sleep(Duration::from_millis(5));
    }
    let args = ["-HUP".to_owned(), child.id().to_string()];
    std::process::Command::new("kill").args(args).status().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(at.join("run/checkpoints/step-00000040").exists());
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("whole"), &[]));
    succeed(at, &small_with(&small("hurt"), &[]));
    let file = at.join("hurt/checkpoints/step-00000040/optimizer.safetensors");
    let bytes = read(&file);
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let output = run(at, &["train", "--out", "hurt", "--resume"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("passing over a damaged checkpoint") && stderr.contains("after step 30"),
        "{stderr}"
    );
    equal(&at.join("whole"), &at.join("hurt"));
}

#[test]
fn a_run_is_not_overwritten_and_not_resumed_with_other_settings() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("run");
    succeed(at, &small_with(&args, &[]));
    let before = read(&at.join("run/generator.safetensors"));
    let error = fail(at, &small_with(&args, &[]), 2);
    assert!(error.contains("run already holds a run") && error.contains("--resume"), "{error}");
    for (set, expected) in [
        (
            "train.generator.lr=0.5",
            "train.generator.lr was 0.0002 in the run to resume, the configuration says 0.5",
        ),
        ("seed=9", "seed was 0 in the run to resume, the configuration says 9"),
        ("train.d-steps=2", "train.d-steps was unset in the run to resume, the configuration says 2"),
        ("model.latent-dim=9", "model.latent-dim was 8 in the run to resume, the configuration says 9"),
        ("data.batch-size=32", "data.batch-size was 16 in the run to resume, the configuration says 32"),
        (
            "data.name=mnist",
            "data.name was \"mnist-5k\" in the run to resume, the configuration says \"mnist\"",
        ),
    ] {
        let error = fail(at, &["train", "--out", "run", "--resume", "--set", set], 2);
        assert!(error.contains("checkpoints/step-00000040") && error.contains(expected), "{error}");
    }
    assert!(before == read(&at.join("run/generator.safetensors")));
    let error = fail(at, &["train", "--out", "nowhere", "--resume"], 2);
    assert!(error.contains("nowhere holds no config.toml to resume with"), "{error}");
    assert!(!at.join("nowhere").exists());
}

#[test]
fn threads_and_a_second_process_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for out in ["a", "b"] {
        succeed(at, &small_with(&small(out), &["--threads", "2"]));
    }
    equal(&at.join("a"), &at.join("b"));

    let args = small("held");
    let args = small_with(&args, &["--set", "train.steps=1000000"]);
    let mut child = gan_cli(at, &args).stderr(Stdio::null()).spawn().unwrap();
    while !at.join("held/metrics.jsonl").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first line");
        std::thread::sleep(Duration::from_millis(5));
    }
    let error = fail(at, &["train", "--out", "held", "--resume"], 2);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(error.contains("held is being trained by another process"), "{error}");
}

/// A run that somebody has deleted is not written again.
#[test]
fn a_run_without_its_configuration_ends() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let long = ["--set", "train.steps=1000000", "--set", "train.checkpoint-every=200"];
    let args = small("run");
    let training = gan_cli(at, &small_with(&args, &long)).stderr(Stdio::piped()).spawn().unwrap();
    let config = at.join("run/config.toml");
    while !at.join("run/generator.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::remove_file(config).unwrap();
    let output = training.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1), "{log}");
    assert!(log.contains("run/config.toml is gone: the run is not saved any more"), "{log}");
}
