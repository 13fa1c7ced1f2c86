//! Tests numpy arrays that people give to the program: latents for `sample`, images for
//! `evaluate`.

use crate::program::{fail, run, small, small_with, succeed, without_checksums};
use half::f16;
use std::fmt::Display;
use std::path::Path;

/// Writes a `.npy` file with these values' bytes.
fn npy(path: &Path, descr: &str, fortran: &str, shape: impl Display, values: &[u8]) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let bytes = [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), values].concat();
    std::fs::write(path, bytes).unwrap();
}

fn bytes<T: Copy, const N: usize>(values: &[T], of: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| of(value)).collect()
}

fn trained(at: &Path, more: &[&str]) {
    succeed(at, &small_with(&small("run"), &[&["--set", "train.steps=2"], more].concat()));
}

/// The images that the run draws from a file of latents.
fn drawn(at: &Path, latents: &str, more: &[&str]) -> Vec<u8> {
    let sample = ["sample", "run", "--latents", latents, "--out", "drawn.npy"];
    succeed(at, &[&sample[..], more].concat());
    std::fs::read(at.join("drawn.npy")).unwrap()
}

#[test]
fn latents_may_be_any_floats_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at, &[]);
    // All of these are exact in f16.
    let z: Vec<f64> = (0..24).map(|i| f64::from(i) / 8. - 1.).collect();
    let columns: Vec<f64> = (0..24).map(|i| z[i % 3 * 8 + i / 3]).collect();
    let shape = "(3, 8)";
    npy(&at.join("f32.npy"), "<f4", "False", shape, &bytes(&z, |v| (v as f32).to_le_bytes()));
    npy(&at.join("f64.npy"), "<f8", "False", shape, &bytes(&z, f64::to_le_bytes));
    npy(&at.join("big.npy"), ">f8", "False", shape, &bytes(&z, f64::to_be_bytes));
    npy(&at.join("f16.npy"), "<f2", "False", shape, &bytes(&z, |v| f16::from_f64(v).to_le_bytes()));
    npy(&at.join("columns.npy"), "<f8", "True", shape, &bytes(&columns, f64::to_le_bytes));
    let expected = drawn(at, "f32.npy", &[]);
    for other in ["f64.npy", "big.npy", "f16.npy", "columns.npy"] {
        assert!(drawn(at, other, &[]) == expected, "{other}");
    }
    npy(&at.join("whole.npy"), "<i8", "False", shape, &[0; 192]);
    let error = fail(at, &["sample", "run", "--latents", "whole.npy", "--out", "a.npy"], 1);
    assert!(error.contains("--latents whole.npy: expected floats [N, 8], found i64 [3, 8]"), "{error}");
}

/// Writes an archive with this file in it, as `np.savez_compressed` does.
fn npz(path: &Path, file: &Path) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("arr_0.npy", options.compression_method(zip::CompressionMethod::Deflated)).unwrap();
    std::io::Write::write_all(&mut zip, &std::fs::read(file).unwrap()).unwrap();
    zip.finish().unwrap();
}

#[test]
fn an_archive_with_one_array_is_read_as_the_array() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at, &[]);
    let z: Vec<f32> = (0..24).map(|i| i as f32 / 8. - 1.).collect();
    npy(&at.join("z.npy"), "<f4", "False", "(3, 8)", &bytes(&z, f32::to_le_bytes));
    npz(&at.join("z.npz"), &at.join("z.npy"));
    assert!(drawn(at, "z.npz", &[]) == drawn(at, "z.npy", &[]));
    succeed(at, &["sample", "run", "--count", "70", "--out", "images.npy"]);
    npz(&at.join("images.npz"), &at.join("images.npy"));
    let evaluated = |file: &str| {
        let text = succeed(at, &["evaluate", "run", "--samples", file, "--json"]);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        report["generated"].clone()
    };
    assert_eq!(evaluated("images.npz"), evaluated("images.npy"));
}

#[test]
fn latents_have_classes_in_their_rows_or_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at, &["--set", "model.classes=10"]);
    let z: Vec<f32> = (0..16).map(|i| i as f32 / 8. - 1.).collect();
    npy(&at.join("z.npy"), "<f4", "False", "(2, 8)", &bytes(&z, f32::to_le_bytes));
    let with_class = |class: usize| -> Vec<f32> {
        let label = |i| if i == class { 1. } else { 0. };
        z.chunks(8).flat_map(|row| row.iter().copied().chain((0..10).map(label))).collect()
    };
    npy(&at.join("seven.npy"), "<f4", "False", "(2, 18)", &bytes(&with_class(7), f32::to_le_bytes));
    let all: Vec<f32> = (0..10).flat_map(with_class).collect();
    npy(&at.join("all.npy"), "<f4", "False", "(20, 18)", &bytes(&all, f32::to_le_bytes));
    assert!(drawn(at, "z.npy", &["--class", "7"]) == drawn(at, "seven.npy", &[]));
    assert!(drawn(at, "z.npy", &["--class", "all"]) == drawn(at, "all.npy", &[]));
    let sample = |latents: &str, more: &[&str], code| {
        fail(at, &[&["sample", "run", "--latents", latents, "--out", "a.npy"][..], more].concat(), code)
    };
    let turned = |row: &[f32]| [&row[8..], &row[..8]].concat();
    let two: Vec<f32> = (0..10).map(|i| if i < 2 { 1. } else { 0. }).collect();
    let soft: Vec<f32> = (0..10).map(|i| if i < 2 { 0.4 } else { 0. }).collect();
    let first = with_class(7)[..18].to_vec();
    for (second, found) in [
        (turned(&first), "found -1"),
        ([&first[..8], &two].concat(), "found 2 ones"),
        ([&first[..8], &soft].concat(), "found 0.4"),
        ([&first[..8], &[0.; 10]].concat(), "found zeros only"),
    ] {
        let rows = [&first[..], &second].concat();
        npy(&at.join("bad.npy"), "<f4", "False", "(2, 18)", &bytes(&rows, f32::to_le_bytes));
        let error = sample("bad.npy", &[], 2);
        let expected = format!(
            "--latents bad.npy: row 1 (from 0): expected a single 1 and zeros in the last 10 values, {found} (\
             the latent comes first, then the class, or shares of classes that add up to 1; [N, 8] with --class is \
             simpler)"
        );
        assert!(error.ends_with(&expected), "{error}");
    }
    let mixed: Vec<f32> = (0..10)
        .map(|i| {
            if i == 2 {
                0.75
            } else if i == 5 {
                0.25
            } else {
                0.
            }
        })
        .collect();
    npy(
        &at.join("mixed.npy"),
        "<f4",
        "False",
        "(1, 18)",
        &bytes(&[&first[..8], &mixed].concat(), f32::to_le_bytes),
    );
    succeed(at, &["sample", "run", "--latents", "mixed.npy", "--out", "mixed.png"]);
    let error = sample("z.npy", &[], 1);
    let expected = "expected floats [N, 18], the last 10 a 1 for the class and zeros, or [N, 8] with --class, \
                    found f32 [2, 8]";
    assert!(error.contains(expected), "{error}");
    let error = sample("seven.npy", &["--class", "7"], 1);
    assert!(error.contains("expected floats [N, 8] with --class, found f32 [2, 18]"), "{error}");
    let error = sample("z.npy", &["--class", "all", "--count", "3"], 2);
    assert!(error.contains("--count 3, but --latents holds 2"), "{error}");
}

#[test]
fn an_overflow_writes_nothing_and_names_the_input() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at, &[]);
    // The rows after the 70th, in the second chunk, have the largest numbers in every combination of
    // signs. For some of them the sums in two neurons overflow, and inf - inf is NaN.
    let mut z = vec![0.5f32; 70 * 8];
    z.extend(
        (0..256).flat_map(|signs| (0..8).map(move |i| if signs >> i & 1 > 0 { f32::MAX } else { f32::MIN })),
    );
    npy(&at.join("z.npy"), "<f4", "False", "(326, 8)", &bytes(&z, f32::to_le_bytes));
    for out in ["a.npy", "a.png", "a.safetensors", "a/"] {
        let error = fail(at, &["sample", "run", "--latents", "z.npy", "--out", out], 1);
        let (_, row) = error.split_once("--latents: row ").unwrap();
        let (row, problem) = row.split_once(' ').unwrap();
        assert!(row.parse::<usize>().unwrap() >= 70, "{error}");
        assert_eq!(problem, "(from 0) overflows in the generator: its values reach 3.4028235e38");
        assert!(!at.join(out).exists());
    }
    let mut weights = without_checksums(&std::fs::read(at.join("run/generator.safetensors")).unwrap());
    let length = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    for weight in weights[8 + length..].chunks_exact_mut(4) {
        weight.copy_from_slice(&3e38f32.to_le_bytes());
    }
    std::fs::write(at.join("huge.safetensors"), weights).unwrap();
    let half = vec![0.5f32; 8];
    npy(&at.join("z.npy"), "<f4", "False", "(1, 8)", &bytes(&half, f32::to_le_bytes));
    for latents in [&[][..], &["--latents", "z.npy"]] {
        let sample = ["sample", "huge.safetensors", "--out", "a.npy"];
        let error = fail(at, &[&sample[..], latents].concat(), 1);
        let expected = "image 0 overflows: the generator's tensor model.0.weight reaches 3e38";
        assert!(error.contains(expected), "{error}");
    }
    assert!(!at.join("a.npy").exists());
}

#[test]
fn images_may_be_integers_booleans_and_floats() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let report = |path: &str, more: &[&str]| {
        let evaluate = ["-q", "evaluate", "--json", "--samples", path];
        let report = succeed(at, &[&evaluate[..], more].concat());
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        report["generated"].clone()
    };
    let data = gan_data::mnist_5k().unwrap();
    let images: Vec<u8> = (0..70).flat_map(|i| data.image(i * 50).into_owned()).collect();
    let columns: Vec<u8> = (0..images.len()).map(|i| images[i % 70 * 784 + i / 70]).collect();
    let shape = "(70, 28, 28)";
    npy(&at.join("u8.npy"), "|u1", "False", shape, &images);
    npy(&at.join("i64.npy"), "<i8", "False", shape, &bytes(&images, |v| i64::from(v).to_le_bytes()));
    npy(&at.join("u16.npy"), ">u2", "False", shape, &bytes(&images, |v| u16::from(v).to_be_bytes()));
    // With the pixels of an image in Fortran's order, the images would be transposed, so the order
    // of the two last axes is exchanged here.
    let transposed: Vec<u8> = (0..70)
        .flat_map(|n| (0..784).map(move |i| n * 784 + i % 28 * 28 + i / 28))
        .map(|i| images[i])
        .collect();
    let turned: Vec<u8> = (0..columns.len()).map(|i| transposed[i % 70 * 784 + i / 70]).collect();
    npy(&at.join("fortran.npy"), "|u1", "True", shape, &turned);
    let expected = report("u8.npy", &[]);
    for other in ["i64.npy", "u16.npy", "fortran.npy"] {
        assert_eq!(report(other, &[]), expected, "{other}");
    }
    // Black and white images, as booleans, bytes and floats.
    let black: Vec<u8> = images.iter().map(|&v| u8::from(v > 127)).collect();
    npy(&at.join("bool.npy"), "|b1", "False", shape, &black);
    npy(&at.join("bytes.npy"), "|u1", "False", shape, &bytes(&black, |v| [v * 255]));
    npy(&at.join("half.npy"), "<f2", "False", shape, &bytes(&black, |v| f16::from(v).to_le_bytes()));
    assert_eq!(report("bool.npy", &[]), report("bytes.npy", &[]));
    assert_eq!(report("half.npy", &["--range", "zero-one"]), report("bytes.npy", &[]));

    npy(&at.join("ones.npy"), "|u1", "False", shape, &black);
    npy(&at.join("large.npy"), "<i4", "False", shape, &bytes(&images, |v| (i32::from(v) * 2).to_le_bytes()));
    npy(&at.join("signed.npy"), "|i1", "False", shape, &vec![0xff; 70 * 784]);
    npy(&at.join("last.npy"), "|u1", "False", "(70, 28, 28, 3)", &images.repeat(3));
    npy(&at.join("complex.npy"), "<c8", "False", "(1, 28, 28)", &[0; 784 * 8]);
    for (args, code, expected) in [
        (&["ones.npy"][..], 2, "the largest value is 1: expected 0 to 255"),
        (&["large.npy"], 2, "expected values in [0, 255], found 0 to 510"),
        (&["signed.npy"], 2, "expected values in [0, 255], found -1 to -1"),
        (&["bool.npy", "--range", "zero-one"], 2, "booleans have no --range"),
        (&["i64.npy", "--range", "zero-one"], 2, "bytes are in 0..=255, not in --range"),
        (&["last.npy"], 1, "found u8 [70, 28, 28, 3]; numpy.moveaxis(x, -1, 1) puts channels first"),
        (&["complex.npy"], 1, "found numpy's type \"<c8\""),
    ] {
        let error = fail(at, &[&["evaluate", "--samples"][..], args].concat(), code);
        assert!(error.contains(args[0]) && error.contains(expected), "{error}");
    }
}

#[test]
fn images_in_a_doubtful_range_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let data = gan_data::mnist_5k().unwrap();
    let images: Vec<u8> = (0..70).flat_map(|i| data.image(i * 50).into_owned()).collect();
    let shape = "(70, 28, 28)";
    let write = |name: &str, of: &dyn Fn(f32) -> f32| {
        let values = bytes(&images, |v| of(f32::from(v) / 255.).to_le_bytes());
        npy(&at.join(name), "<f4", "False", shape, &values);
    };
    write("noise.npy", &|v| if v == 0. { -1e-3 } else { v });
    write("half.npy", &|v| v - 0.5);
    write("right.npy", &|v| v * 2. - 1.);
    npy(&at.join("i8.npy"), "|i1", "False", shape, &bytes(&images, |v| [v / 2]));
    npy(&at.join("levels.npy"), "|u1", "False", shape, &bytes(&images, |v| [v / 85]));
    npy(&at.join("u8.npy"), "|u1", "False", shape, &images);
    let warnings = |path: &str, more: &[&str]| {
        let output = run(at, &[&["-q", "evaluate", "--samples", path][..], more].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        stderr
    };
    let range = "are judged as [-1, 1], where black is -1: if the images are in [0, 1], say --range zero-one";
    for (path, found) in [("noise.npy", "[-0.001, 1]"), ("half.npy", "[-0.5, 0.5]")] {
        let said = warnings(path, &[]);
        assert!(said.contains(&format!("--samples {path}: values in {found} {range}")), "{said}");
    }
    let said = warnings("levels.npy", &[]);
    assert!(said.contains("values in [0, 3] are judged as [0, 255]: all images are nearly black"), "{said}");
    let said = warnings("i8.npy", &[]);
    assert!(said.contains("--samples i8.npy: int8 ends at 127, so no image is brighter than gray"), "{said}");
    for (path, more) in [("right.npy", &[][..]), ("u8.npy", &[]), ("half.npy", &["--range", "minus-one-one"])]
    {
        assert_eq!(warnings(path, more), "", "{path}");
    }
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_opened() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    trained(at, &[]);
    assert!(std::process::Command::new("mkfifo").arg(at.join("pipe")).status().unwrap().success());
    for path in ["pipe", "/dev/zero"] {
        let error = fail(at, &["sample", "run", "--latents", path, "--out", "a.npy"], 1);
        assert!(error.contains(&format!("--latents {path}: is not a regular file")), "{error}");
        let error = fail(at, &["evaluate", "--samples", path], 1);
        assert!(error.contains(&format!("--samples {path}: is not a regular file")), "{error}");
    }
    let error = fail(at, &["sample", "run", "--latents", "run", "--out", "a.npy"], 1);
    assert!(error.contains("--latents run: is not a regular file"), "{error}");
}
