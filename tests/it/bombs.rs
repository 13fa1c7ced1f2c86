//! Tests that input which announces or unpacks to much more than it is takes little memory. The peak
//! of a process is read from `/proc`, which only Linux has.

use crate::program::{gan_cli, small, small_with, succeed};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The exit code, the messages, and the largest amount of memory in MiB that the process used.
struct Ended {
    code: Option<i32>,
    stderr: String,
    peak: u64,
}

fn run(at: &Path, threads: &str, args: &[&str]) -> Ended {
    let mut command = gan_cli(at, args);
    command.args(["--threads", threads]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        // A process that is ending has no memory any more.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        peak = kib.map_or(peak, |kib| kib.parse::<u64>().unwrap());
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    Ended { code: output.status.code(), stderr, peak: peak >> 10 }
}

/// What the program needs without any work is 60 MiB, of which most is its file.
const IDLE: u64 = 200;

#[test]
fn a_picture_that_announces_too_much_is_not_decoded() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // 256 million pixels in a megabyte.
    image::GrayImage::new(16_384, 16_384).save(at.join("black.png")).unwrap();
    let bytes = std::fs::metadata(at.join("black.png")).unwrap().len();
    assert!(bytes < 1 << 21, "{bytes}");
    let ended = run(at, "16", &["data", "info", "--data", "folder", "--data-dir", "."]);
    assert!(ended.code == Some(1) && ended.peak < IDLE, "{} MiB: {}", ended.peak, ended.stderr);
    assert!(ended.stderr.contains("black.png: it announces 16384x16384 pixels"), "{}", ended.stderr);
}

#[test]
fn pictures_share_a_gibibyte_while_they_are_decoded() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let picture = at.join("0.png");
    image::RgbImage::from_pixel(4000, 4000, image::Rgb([9, 8, 7])).save(&picture).unwrap();
    for n in 1..12 {
        std::fs::hard_link(&picture, at.join(format!("{n}.png"))).unwrap();
    }
    // Each thread decodes a picture of its own. Twelve at the same time would need 2 GiB.
    let ended = run(at, "16", &["data", "info", "--data", "folder", "--data-dir", "."]);
    assert!(ended.code == Some(0) && ended.peak < 1024 + IDLE, "{} MiB: {}", ended.peak, ended.stderr);
}

#[test]
fn large_pictures_become_numbers_a_few_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("large")).unwrap();
    let picture = at.join("large/0.png");
    image::GrayImage::from_fn(4000, 4000, |x, y| image::Luma([(x / 9 + y / 7) as u8]))
        .save(&picture)
        .unwrap();
    for n in 1..70 {
        std::fs::hard_link(&picture, at.join(format!("large/{n}.png"))).unwrap();
    }
    // All of them together are 1.1 GiB of pixels, which would be 4.2 GiB as numbers.
    let ended = run(at, "1", &["evaluate", "--samples", "large", "--count", "64"]);
    assert!(ended.code == Some(0) && ended.peak < 1300, "{} MiB: {}", ended.peak, ended.stderr);
}

#[test]
fn what_is_packed_is_unpacked_up_to_what_was_announced() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let header = |count: u32| [0x803, count, 28, 28].map(u32::to_be_bytes).concat();
    // 400 MB of zeros behind a header of 10 images, and 10 images behind one of 3 TB.
    for (name, count, zeros) in [("more", 10, 400_000_000), ("less", u32::MAX, 7840)] {
        let place = at.join(name);
        std::fs::create_dir(&place).unwrap();
        let file = std::fs::File::create(place.join("train-images-idx3-ubyte.gz")).unwrap();
        let mut gzip =
            Command::new("gzip").args(["-1", "-c"]).stdin(Stdio::piped()).stdout(file).spawn().unwrap();
        let mut unpacked = gzip.stdin.take().unwrap();
        unpacked.write_all(&header(count)).unwrap();
        let zeros: usize = zeros;
        let piece = vec![0; zeros.min(10_000_000)];
        (0..zeros / piece.len()).for_each(|_| unpacked.write_all(&piece).unwrap());
        drop(unpacked);
        assert!(gzip.wait().unwrap().success());
        let labels = [&[0x801, 10].map(u32::to_be_bytes).concat()[..], &[0; 10]].concat();
        std::fs::write(place.join("train-labels-idx1-ubyte"), labels).unwrap();
        let ended = run(at, "16", &["data", "info", "--data", "mnist", "--data-dir", name]);
        assert!(ended.code == Some(1) && ended.peak < IDLE, "{name}: {} MiB: {}", ended.peak, ended.stderr);
        assert!(ended.stderr.contains("train-images-idx3-ubyte.gz: "), "{}", ended.stderr);
    }
}

#[test]
fn a_device_without_an_end_is_not_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    std::fs::create_dir(at.join("data")).unwrap();
    for name in ["x.npy", "x.npz", "x.toml", "x.png", "data/train-images-idx3-ubyte", "data/a.png"] {
        std::os::unix::fs::symlink("/dev/zero", at.join(name)).unwrap();
    }
    for args in [
        &["sample", "/dev/zero"][..],
        &["sample", "run", "--latents", "x.npy"],
        &["evaluate", "--samples", "x.npy"],
        &["evaluate", "--samples", "x.npz"],
        &["evaluate", "run", "--features", "/dev/zero"],
        &["inspect", "x.toml"],
        &["data", "info", "--data", "mnist", "--data-dir", "data"],
        &["data", "info", "--data", "folder", "--data-dir", "data"],
    ] {
        let ended = run(at, "2", args);
        assert!(matches!(ended.code, Some(1 | 2)) && ended.peak < IDLE, "{args:?}: {} MiB", ended.peak);
    }
}
