//! Tests where `sample` writes: what it creates, what it refuses to overwrite, and what is left
//! after a signal or a full disk.

use crate::program::{fail, gan_cli, run, small, small_with, succeed};
use std::path::Path;
#[cfg(unix)]
use std::process::Output;

fn trained(at: &Path) {
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=10"]));
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn the_files_of_a_run_are_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    std::fs::copy(at.join("run/generator.safetensors"), at.join("copy.safetensors")).unwrap();
    std::os::unix::fs::symlink("run", at.join("link")).unwrap();
    std::os::unix::fs::symlink("run/checkpoints", at.join("inner")).unwrap();
    for out in [
        "run/generator.safetensors",
        "run/ema.safetensors",
        "link/generator.safetensors",
        "inner/step-00000010/generator.safetensors",
        "inner/new/../x.npy",
        "run/checkpoints/x.png",
        "run/checkpoints/",
        "inner",
        "run/best/x.npy",
        "run/samples/step-00000010.png",
        "run/samples/mine.png",
        "run/samples/",
        "run/samples/new/",
        "run/samples/../ema.safetensors",
        "run",
        "run/",
        "link",
        "run/new/../",
    ] {
        let error = fail(at, &["sample", "copy.safetensors", "--count", "1", "--out", out], 2);
        assert!(error.contains(&format!("--out: {out} belongs to the run ")), "{error}");
    }
    assert!(!at.join("run/best").exists() && !at.join("run/ema.safetensors").exists());
    assert_eq!(names(&at.join("run/checkpoints")), ["step-00000010"]);
    let in_run = [".lock", "checkpoints", "config.toml", "generator.safetensors", "metrics.jsonl", "samples"];
    assert_eq!(names(&at.join("run")), in_run);
    // Neither is a run trained there, or continued.
    for (out, more) in [("run/best", &[][..]), ("run/checkpoints/new", &[]), ("inner/x", &["--resume"])] {
        let args = small(out);
        let error = fail(at, &small_with(&args, more), 2);
        assert!(error.contains(&format!("{out} belongs to the run ")), "{error}");
    }
    assert_eq!(names(&at.join("run")), in_run);
    let error = fail(at, &["sample", "run", "--out", "link/generator.safetensors"], 2);
    assert!(error.contains("is the generator itself"), "{error}");
    succeed(at, &["sample", "run", "--count", "1", "--out", "z.npy"]);
    let error = fail(at, &["sample", "run", "--latents", "z.npy", "--out", "./z.npy"], 2);
    assert!(error.contains("is the file of --latents"), "{error}");
    // These are no files of the run, and neither is a file with such a name elsewhere.
    for out in ["run/mine.png", "run/mine/", "link/new/mine.npy", "samples/mine.png", "ema.safetensors"] {
        succeed(at, &["sample", "run", "--count", "1", "--out", out]);
        assert!(at.join(out).exists());
    }
    succeed(at, &["inspect", "run"]);
}

#[test]
fn a_directory_with_images_is_replaced_only_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    let sample = |count: &'static str, more: &'static [&'static str]| {
        [&["sample", "run", "--count", count, "--out", "d/"], more].concat()
    };
    succeed(at, &sample("12", &[]));
    std::fs::write(at.join("d/mine.png"), "mine").unwrap();
    std::fs::write(at.join("d/7.jpg"), "mine").unwrap();
    let error = fail(at, &sample("3", &[]), 2);
    assert!(
        error.contains("d/ already holds 12 numbered images (00.png): --replace deletes them"),
        "{error}"
    );
    assert_eq!(names(&at.join("d")).len(), 14);
    succeed(at, &sample("3", &["--replace"]));
    assert_eq!(names(&at.join("d")), ["0.png", "1.png", "2.png", "7.jpg", "mine.png"]);
    assert_eq!(image::image_dimensions(at.join("d/2.png")).unwrap(), (28, 28));
    let error = fail(at, &["sample", "run", "--out", "x.png", "--replace"], 2);
    assert!(error.contains("--replace: expected --out DIR/, X.npy or X.safetensors, found x.png"), "{error}");
}

#[test]
fn a_file_of_something_else_is_overwritten_only_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    std::fs::copy(at.join("run/generator.safetensors"), at.join("x.safetensors")).unwrap();
    std::fs::write(at.join("x.npy"), "\u{93}NUMPY").unwrap();
    std::fs::write(at.join("empty.npy"), "").unwrap();
    let sample = |out: &'static str, more: &[&'static str]| {
        [&["sample", "run", "--count", "2", "--out", out], more].concat()
    };
    succeed(at, &sample("empty.npy", &[]));
    for out in ["x.safetensors", "x.npy"] {
        let before = std::fs::read(at.join(out)).unwrap();
        let error = fail(at, &sample(out, &[]), 2);
        let expected = format!("--out: {out} holds no images of this program: --replace overwrites it");
        assert!(error.contains(&expected), "{error}");
        assert_eq!(std::fs::read(at.join(out)).unwrap(), before);
        succeed(at, &sample(out, &["--replace"]));
        // Now it has images, of other seeds and numbers too.
        succeed(at, &sample(out, &["--seed", "3"]));
    }
    let error = fail(at, &sample("x.npy", &["--columns", "2"]), 2);
    assert!(error.contains("--columns: expected --out X.png, which is a grid, found x.npy"), "{error}");
}

#[test]
fn a_place_is_made_and_no_file_is_overwritten_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    succeed(at, &["sample", "run", "--count", "1", "--out", "new/deep/x.npy"]);
    assert!(at.join("new/deep/x.npy").exists());
    let error = fail(at, &["sample", "run", "--out", "grid"], 2);
    assert!(error.ends_with("DIR/, found grid (try grid.png or grid/)"), "{error}");
    for expected in ["samples.png", "samples-2.png", "samples-3.png"] {
        let output = run(at, &["sample", "run", "--count", "1"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(&format!("1 image in {expected}")), "{stderr}");
        assert!(at.join(expected).exists());
    }
}

#[test]
fn a_number_of_images_beyond_the_budget_is_refused_before_any_is_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    for (out, expected) in [
        ("x.png", "--count: expected at most 1073741824 bytes in a grid (X.npy holds more), found 3865"),
        ("x.npy", "--count: expected at most 68719476736 bytes in a file, found 13469"),
        ("x.safetensors", "--count: expected at most 68719476736 bytes in a file, found 13469"),
        (
            "x/",
            "--count: expected at most 1000000 images in a directory (X.npy holds more), found 4294967295",
        ),
    ] {
        let error = fail(at, &["sample", "run", "--count", "4294967295", "--out", out], 2);
        assert!(error.contains(expected), "{error}");
        assert!(!at.join(out).exists());
    }
}

#[cfg(unix)]
mod signals {
    use super::{names, trained};
    use crate::program::{gan_cli, ignores};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    /// Waits until `directory` holds an unfinished file or directory.
    fn wait_for_unfinished(directory: &Path) {
        let start = Instant::now();
        while !directory.exists() || !names(directory).iter().any(|name| name.starts_with('.')) {
            assert!(start.elapsed() < Duration::from_mins(1), "nothing was begun");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn send(signal: &str, child: &Child) {
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    #[test]
    fn each_leaves_nothing_unfinished() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        trained(at);
        std::fs::create_dir(at.join("out")).unwrap();
        for (signal, out) in [
            ("INT", "out/x.npy"),
            ("TERM", "out/x.safetensors"),
            ("HUP", "out/x.npy"),
            ("TERM", "out/pictures/"),
            ("QUIT", "out/x.npy"),
            ("USR1", "out/x.npy"),
            ("ALRM", "out/x.npy"),
        ] {
            if ignores(signal) {
                continue;
            }
            let args = ["sample", "run", "--count", "900000", "--out", out];
            let mut child = gan_cli(at, &args).stderr(Stdio::null()).spawn().unwrap();
            wait_for_unfinished(&at.join("out"));
            send(signal, &child);
            let sent = Instant::now();
            let status = child.wait().unwrap();
            assert_eq!(status.code(), Some(130), "{signal}");
            assert!(sent.elapsed() < Duration::from_secs(10), "{signal}: {:?}", sent.elapsed());
            assert!(names(&at.join("out")).is_empty(), "{signal}: {:?}", names(&at.join("out")));
        }
    }

    #[test]
    fn an_ignored_hangup_stays_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        trained(at);
        std::fs::create_dir(at.join("out")).unwrap();
        let program = env!("CARGO_BIN_EXE_gan-cli");
        let command = format!("trap '' HUP; exec {program} sample run --count 20000 --out out/x.npy");
        let mut child = Command::new("bash")
            .args(["-c", &command])
            .current_dir(at)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_unfinished(&at.join("out"));
        send("HUP", &child);
        assert!(child.wait().unwrap().success());
        assert_eq!(names(&at.join("out")), ["x.npy"]);
    }

    #[test]
    fn the_limit_of_a_files_size_is_an_error_like_any_other() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        trained(at);
        let program = env!("CARGO_BIN_EXE_gan-cli");
        let command = format!("ulimit -f 8; exec {program} sample run --count 200 --out out/x.npy");
        let output = Command::new("bash").args(["-c", &command]).current_dir(at).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("out/x.npy: File too large"), "{stderr}");
        assert!(names(&at.join("out")).is_empty());
    }
}

#[test]
fn a_file_that_a_killed_command_left_is_swept() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    std::fs::create_dir(at.join("out")).unwrap();
    let sample = ["sample", "run", "--count", "2", "--out"];
    for place in ["out", "."] {
        let left = at.join(place).join(".gan-unfinished-aB3dE6");
        for out in ["x.npy", "x.png"] {
            std::fs::write(&left, "half a file").unwrap();
            let out = if place == "." { out.to_owned() } else { format!("{place}/{out}") };
            succeed(at, &[&sample[..], &[&out]].concat());
            assert!(!left.exists(), "{out}");
        }
    }
    assert_eq!(names(&at.join("out")), ["x.npy", "x.png"]);
}

/// The names of all files and directories below a directory.
#[cfg(unix)]
fn tree(directory: &Path) -> Vec<String> {
    let mut found = vec![];
    for path in gan_files::entries(directory).unwrap() {
        found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        if path.is_dir() {
            found.extend(tree(&path));
        }
    }
    found
}

/// Asserts that a command ended with one line of error, and that nothing unfinished is left.
#[cfg(unix)]
fn ended_cleanly(at: &Path, output: &Output, stage: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stage}: {stderr}");
    assert_eq!(stderr.matches("ERROR").count(), 1, "{stage}: {stderr}");
    let left: Vec<_> = tree(at).into_iter().filter(|name| name.starts_with(".gan-")).collect();
    assert!(left.is_empty(), "{stage}: {left:?}");
}

#[cfg(unix)]
#[test]
fn a_program_that_aborts_leaves_nothing_unfinished() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    let args = small("new");
    let train = small_with(&args, &["--set", "train.steps=1"]);
    for command in [
        train,
        vec!["sample", "run", "--out", "new.npy", "--count", "3000"],
        vec!["sample", "run", "--out", "new/", "--count", "3"],
    ] {
        for place in 1.. {
            let output = gan_cli(at, &command).env("GAN_FILES_FAULT", format!("abort@{place}")).output();
            let output = output.unwrap();
            let _ = std::fs::remove_dir_all(at.join("new"));
            if output.status.success() {
                assert!(place > 3, "{command:?} has {place} operations");
                break;
            }
            ended_cleanly(at, &output, &format!("{command:?} at {place}"));
        }
    }
}

/// The first limits are too small for the work, and the last one is not.
#[cfg(target_os = "linux")]
#[test]
fn exhausted_memory_is_one_error_and_leaves_nothing_unfinished() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let program = env!("CARGO_BIN_EXE_gan-cli");
    let train = small_with(&small("new"), &["--threads", "1", "--set", "train.steps=2"]).join(" ");
    let mut aborted = 0;
    for limit in (24_000..200_000).step_by(2_000) {
        let command = format!("ulimit -v {limit}; exec {program} {train}");
        let output = std::process::Command::new("bash").args(["-c", &command]).current_dir(at).output();
        let output = output.unwrap();
        if output.status.success() {
            break;
        }
        if matches!(output.status.code(), None | Some(127)) {
            // There is not even enough for the loader, or for the beginning of `main`.
            assert!(aborted == 0 && !at.join("new").exists(), "limit {limit}");
            continue;
        }
        ended_cleanly(at, &output, &format!("limit {limit}"));
        aborted += usize::from(String::from_utf8_lossy(&output.stderr).contains("memory allocation of"));
        let _ = std::fs::remove_dir_all(at.join("new"));
    }
    assert!(aborted > 0);
    assert!(at.join("new/generator.safetensors").exists());
}
