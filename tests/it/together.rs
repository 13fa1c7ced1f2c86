//! Tests that files which belong together appear together, and that nothing is written over what somebody
//! put there in the meantime.

use crate::program::{fail, gan_cli, small, small_with, succeed};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn trained(at: &Path) {
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=10"]));
}

fn names(directory: &Path) -> Vec<String> {
    let entries = gan_files::entries(directory).unwrap();
    entries.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Runs a command on a disk on which no file can have a byte. Returns its line of error.
fn on_a_full_disk(at: &Path, args: &str) -> String {
    let command = format!("ulimit -f 0; exec {} {args}", env!("CARGO_BIN_EXE_gan-cli"));
    let output = Command::new("bash").args(["-c", &command]).current_dir(at).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args}: {stderr}");
    let lines: Vec<_> = stderr.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert!(lines.len() == 1 && lines[0].contains("File too large"), "{args}: {stderr}");
    lines[0].to_owned()
}

#[test]
fn a_full_disk_leaves_none_of_several_files_and_names_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    std::fs::create_dir(at.join("faces")).unwrap();
    image::RgbImage::new(64, 64).save(at.join("faces/a.png")).unwrap();
    let before = names(at);
    for (args, place) in [
        ("export run --format hub --out model", "model/generator.py"),
        ("export run --format pytorch --out deep/model/", "deep/model/generator.py"),
        ("walk run --frames 3 --out frames/", "frames/0.png"),
        ("timelapse run --out frames/", "frames/0.png"),
        ("sample run --count 3 --out pictures/", "pictures/0.png"),
        ("man --out pages", "pages/gan-cli.1"),
        ("data prepare faces --out set.zip", "set.zip"),
        ("project run faces/a.png --out x.npy", "x.npy"),
    ] {
        let error = on_a_full_disk(at, args);
        assert!(error.contains(&format!(" {place}: ")), "{args}: {error}");
        assert_eq!(names(at), before, "{args}");
    }
}

/// The second file cannot be written, in all places where that is possible.
#[test]
fn a_latent_and_its_picture_are_both_old_or_both_new() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    image::RgbImage::new(28, 28).save(at.join("a.png")).unwrap();
    let project = |seed: &'static str| {
        ["project", "run", "a.png", "--steps", "2", "--seed", seed, "--replace", "--out", "x.npy"]
    };
    let read = || ["x.npy", "x.png"].map(|name| std::fs::read(at.join(name)).unwrap());
    succeed(at, &project("1"));
    let old = read();
    let mut failures = 0;
    for operation in 1.. {
        let fault = format!("enospc@{operation}");
        let output = gan_cli(at, &project("2")).env("GAN_FILES_FAULT", fault).output().unwrap();
        if output.status.success() {
            break;
        }
        failures += 1;
        assert!(read() == old, "{operation}");
    }
    let new = read();
    assert!(failures >= 4 && new[0] != old[0] && new[1] != old[1], "{failures}");
}

#[test]
fn a_new_directory_appears_with_all_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    let mut child = gan_cli(at, &["sample", "run", "--count", "3000", "--out", "new/"]).spawn().unwrap();
    while !at.join("new").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended without them");
        std::thread::sleep(Duration::from_millis(1));
    }
    let found = names(&at.join("new")).len();
    assert!(child.wait().unwrap().success());
    assert_eq!((found, names(&at.join("new")).len()), (3000, 3000));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::create_dir(at.join("other")).unwrap();
        let mode = |name: &str| at.join(name).metadata().unwrap().mode();
        assert_eq!(mode("new"), mode("other"));
        assert_eq!(mode("run/checkpoints/step-00000010"), mode("other"));
    }
}

#[test]
fn pages_of_the_manual_are_replaced_all_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &["man", "--out", "pages"]);
    let all = names(&at.join("pages"));
    assert!(all.contains(&"gan-cli-sample.1".to_owned()), "{all:?}");
    std::fs::write(at.join("pages/gan-cli.1"), ".TH gan-cli old").unwrap();
    std::fs::write(at.join("pages/gan-cli-sample.1"), "mine").unwrap();
    std::fs::write(at.join("pages/notes"), "mine").unwrap();
    let error = fail(at, &["man", "--out", "pages"], 2);
    assert!(error.contains("pages/gan-cli-sample.1 exists, and gan-cli did not write it"), "{error}");
    assert_eq!(std::fs::read(at.join("pages/gan-cli.1")).unwrap(), b".TH gan-cli old");
    std::fs::remove_file(at.join("pages/gan-cli-sample.1")).unwrap();
    succeed(at, &["man", "--out", "pages"]);
    assert_eq!(names(&at.join("pages")).len(), all.len() + 1);
    assert_ne!(std::fs::read(at.join("pages/gan-cli.1")).unwrap(), b".TH gan-cli old");
}

/// A place that was free when a long command began.
#[test]
fn a_file_that_somebody_put_there_in_the_meantime_stays() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (name, shade) in [("a", 20), ("b", 200)] {
        std::fs::create_dir_all(at.join("faces").join(name)).unwrap();
        for n in 0..20 {
            let picture = image::RgbImage::from_pixel(28, 28, image::Rgb([shade + n; 3]));
            picture.save(at.join(format!("faces/{name}/{n}.png"))).unwrap();
        }
    }
    trained(at);
    let classifier = ["train-classifier", "--data-dir", "faces", "--data", "folder", "--size", "28"];
    for (args, out) in [
        ([&classifier[..], &["--epochs", "300"]].concat(), "x.safetensors"),
        (vec!["sample", "run", "--count", "100000"], "x.npy"),
        (vec!["walk", "run", "--count", "16", "--frames", "2000"], "x.gif"),
    ] {
        let args = [&args[..], &["--out", out]].concat();
        let child = gan_cli(at, &args).stderr(std::process::Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        std::fs::write(at.join(out), "mine").unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        // On a machine that is very busy, the command may begin after the file was put there.
        let expected = match output.status.code() {
            Some(2) => format!("--out{}", if out == "x.safetensors" { " " } else { ": " }),
            _ => format!("{out}: File exists (os error 17): it appeared while the command worked"),
        };
        assert!(stderr.contains(&expected) && !output.status.success(), "{stderr}");
        assert_eq!(std::fs::read(at.join(out)).unwrap(), b"mine");
    }
}

#[test]
fn the_place_of_the_second_file_may_be_taken_in_the_meantime() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at);
    image::RgbImage::new(28, 28).save(at.join("a.png")).unwrap();
    let args = ["project", "run", "a.png", "--steps", "20000", "--out", "x.npy"];
    let child = gan_cli(at, &args).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(at.join("x.png"), "mine").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!at.join("x.npy").exists() && std::fs::read(at.join("x.png")).unwrap() == b"mine");
}
