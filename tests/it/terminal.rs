//! Tests what reaches the terminal from files and arguments, and that a poor system gives errors
//! and no panics.

use crate::program::{fail, gan_cli, small, small_with, succeed, without_checksums};

#[test]
fn control_characters_of_files_and_names_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    let mut bytes = without_checksums(&std::fs::read(at.join("run/generator.safetensors")).unwrap());
    // The description is JSON inside JSON. The new name has a control sequence, a backslash and k.
    let place = bytes.windows(8).position(|name| name == b"mnist-5k").unwrap();
    bytes[place..place + 8].copy_from_slice(b"\\\\u009bk");
    std::fs::write(at.join("x.safetensors"), bytes).unwrap();
    let text = succeed(at, &["inspect", "x.safetensors"]);
    assert!(text.starts_with("trained on \\u009bk: 2 steps"), "{text}");
    for name in ["\u{1b}[31mred", "car\rriage", "bell\u{7}", "c1\u{9b}1m", "a\n   0: b"] {
        let output = gan_cli(at, &["inspect", name]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("ERROR") && !stderr.trim_end().contains(char::is_control), "{stderr:?}");
    }
}

/// A number that is not finite is found between two checks, so only the journal knows of it.
#[test]
fn a_verdict_is_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &[]));
    let journal = at.join("run/metrics.jsonl");
    let mut text = std::fs::read(&journal).unwrap();
    let last = text.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
    let line = serde_json::json!({ "step": 41, "verdict": {
        "failure": "divergence", "since": 41, "step": 41, "evidence": "\u{1b}[31mred\r\u{9b}",
    } });
    let line = gan_files::seal_after(gan_files::checksum(last).unwrap(), line.to_string().as_bytes());
    text.extend([&line[..], b"\n"].concat());
    std::fs::write(&journal, text).unwrap();
    let shown = succeed(at, &["diagnose", "run"]);
    assert!(shown.contains("\\u001b[31mred\\u000d\\u009b"), "{shown:?}");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    let shown = succeed(at, &["compare", "run"]);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
}

#[test]
fn results_are_escaped_too() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let name = "\u{1b}[31mred\nx";
    std::fs::create_dir(at.join(name)).unwrap();
    image::GrayImage::new(4, 4).save(at.join(name).join("a.png")).unwrap();
    let text = succeed(at, &["data", "info", "--data", "folder", "--data-dir", name]);
    assert!(text.contains("1 image in \\u001b[31mred\\u000ax\n"), "{text:?}");
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/mlp-001.toml"),
        at.join(name).join("x"),
    )
    .unwrap();
    let config = format!("{name}/x");
    let error = fail(at, &["train", "--config", &format!("{name}/none")], 2);
    assert!(error.contains("\\u000ax/none: "), "{error}");
    for json in [&[][..], &["--json"]] {
        let args = ["bench", "--config", &config, "--batch", "2", "--steps", "1", "--no-sampling"];
        let text = succeed(at, &[&args[..], json].concat());
        assert!(text.contains("\\u001b[31mred"), "{text:?}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
}

/// What the program writes to standard error if that is a terminal of this kind.
#[cfg(target_os = "linux")]
fn on_a_terminal(at: &std::path::Path, args: &[&str], kind: &str) -> String {
    use std::io::Read;
    use std::os::fd::FromRawFd;
    let (mut ours, mut theirs) = (0, 0);
    let (name, size) = (std::ptr::null_mut(), std::ptr::null());
    #[expect(unsafe_code, reason = "no safe function opens a terminal")]
    // SAFETY: the two numbers are written, and null asks for no name and no settings.
    let opened = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, name, std::ptr::null(), size) };
    assert_eq!(opened, 0);
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: nobody else owns the two files.
    let [mut ours, theirs] = [ours, theirs].map(|file| unsafe { std::fs::File::from_raw_fd(file) });
    let mut command = gan_cli(at, args);
    command.env("TERM", kind).env_remove("NO_COLOR").stdout(std::process::Stdio::null()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    // The last holder of the other end is the program.
    drop(command);
    let mut text = vec![];
    // The end of the program is an error of this end.
    let _ = ours.read_to_end(&mut text);
    assert!(child.wait().unwrap().success());
    String::from_utf8(text).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_dumb_terminal_gets_lines() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let dumb = on_a_terminal(at, &small_with(&small("dumb"), &[]), "dumb");
    assert!(!dumb.contains('\u{1b}') && !dumb.trim_end().replace("\r\n", "\n").contains('\r'), "{dumb:?}");
    assert!(dumb.contains("step 10/40  "), "{dumb:?}");
    let clever = on_a_terminal(at, &small_with(&small("clever"), &[]), "xterm");
    assert!(clever.contains('\u{1b}') && clever.contains("40/40"), "{clever:?}");
    assert!(!clever.contains("step 10/40  "), "{clever:?}");
}

/// A stack that is larger than any memory: then no thread can start.
#[cfg(target_os = "linux")]
const NO_THREAD: (&str, &str) = ("RUST_MIN_STACK", "100000000000000000");

#[cfg(target_os = "linux")]
#[test]
fn a_system_without_any_thread_trains_evaluates_and_hears_signals() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let args = small("run");
    let sets = ["--set", "train.evaluate.every-kimg=0", "--set", "train.evaluate.count=64"];
    let (name, stack) = NO_THREAD;
    let output = gan_cli(at, &small_with(&args, &sets)).env(name, stack).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && stderr.contains("the system refuses to start threads"), "{stderr}");
    assert!(at.join("run/best/generator.safetensors").exists());

    let args = small("endless");
    let sets = ["--set", "train.steps=1000000", "--set", "train.checkpoint-every=0"];
    let mut child = gan_cli(at, &small_with(&args, &sets))
        .env(name, stack)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let metrics = at.join("endless/metrics.jsonl");
    while !std::fs::read_to_string(&metrics).is_ok_and(|text| text.contains("d_loss")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first line");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let args = ["-TERM".to_owned(), child.id().to_string()];
    assert!(std::process::Command::new("kill").args(args).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(at.join("endless/generator.safetensors").exists());
}

#[cfg(unix)]
#[test]
fn a_system_without_threads_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    let program = env!("CARGO_BIN_EXE_gan-cli");
    // The stacks of so many threads do not fit the limit of the address space.
    let command = format!(
        "ulimit -v 1500000; export RAYON_NUM_THREADS=1000; \
         {program} sample run --out x.png && {program} evaluate run --count 64 --json"
    );
    let output = std::process::Command::new("bash").args(["-c", &command]).current_dir(at).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("the system refuses to start threads: working on one"), "{stderr}");
    assert!(at.join("x.png").exists());
}

#[test]
fn text_that_is_not_utf_8_is_called_so() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (bytes, expected) in [
        ([&b"\xff\xfe"[..], &wide("seed = 1")].concat(), "is UTF-16 text: save it as UTF-8"),
        (wide("seed = 1"), "is UTF-16 text: save it as UTF-8"),
        (b"seed = 1 # caf\xe9\n".to_vec(), "is not UTF-8 text (byte 14): save it as UTF-8"),
        (vec![b' '; (1 << 20) + 1], "expected at most 1 MiB of TOML, found more"),
    ] {
        std::fs::write(at.join("x.toml"), bytes).unwrap();
        let error = fail(at, &["inspect", "x.toml"], 2);
        assert!(error.contains(&format!("x.toml: {expected}")), "{error}");
        // The name is right, so the names of others do not help.
        assert!(!error.contains("mnist-5k"), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_not_utf_8_works_and_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.steps=2"]));
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::rename(at.join("run"), at.join(name)).unwrap();
    let out = std::ffi::OsStr::from_bytes(b"\xe9.png");
    let output = gan_cli(at, &["sample", "--count", "1", "--out"]).arg(out).arg(name).output().unwrap();
    assert!(output.status.success() && at.join(out).exists(), "{output:?}");
    let output = gan_cli(at, &["sample"]).arg(std::ffi::OsStr::from_bytes(b"\xe9")).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("\u{fffd}: no such file"), "{stderr}");
    // The names of a run's files are compared before the part that is not UTF-8.
    let inside = std::ffi::OsStr::from_bytes(b"caf\xe9/checkpoints/\xe9.png");
    let output = gan_cli(at, &["sample", "--out"]).arg(inside).arg(name).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_generator_is_a_regular_file() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["sample", "inspect"] {
        let error = fail(directory.path(), &[command, "/dev/zero"], 1);
        assert!(
            error.contains("/dev/zero: expected a regular file, found a pipe, a socket or a device"),
            "{error}"
        );
    }
    let error = fail(directory.path(), &["train", "--config", "/dev/zero"], 2);
    assert!(error.contains("/dev/zero: expected at most 1 MiB of TOML, found more"), "{error}");
    // A shell's `<(...)` is a pipe.
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/mlp-001.toml");
    let program = env!("CARGO_BIN_EXE_gan-cli");
    let command = format!(
        "{program} train --config <(cat {config}) --set train.generator.lr=-1; \
         cat {config} | {program} train --config /dev/stdin --set train.generator.lr=-1"
    );
    let output = std::process::Command::new("bash").args(["-c", &command]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = ": train.generator.lr: expected a positive number, found -1";
    assert_eq!(stderr.matches(expected).count(), 2, "{stderr}");
}

/// Scripts read the help and the version, too.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_by_help_and_version() {
    let directory = tempfile::tempdir().unwrap();
    for args in [&["--version"][..], &["--help"], &["sample", "--help"], &["man"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = gan_cli(directory.path(), args).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        assert!(stderr.contains("standard output: No space left on device"), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
