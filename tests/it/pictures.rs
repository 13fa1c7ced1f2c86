//! Tests folders of people's pictures: what a run, `data info` and `evaluate` say about them.

use crate::golden::{Golden, fill};
use crate::program::{fail, gan_cli, run, small, small_with, succeed};
use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

/// Writes gray pictures of these sides that differ from each other.
fn write(directory: &Path, sides: &[u32]) {
    std::fs::create_dir_all(directory).unwrap();
    for (n, &side) in sides.iter().enumerate() {
        let image = GrayImage::from_fn(side, side, |x, y| Luma([(x * 5 + y * 3 + n as u32) as u8]));
        image.save(directory.join(format!("{n:03}.png"))).unwrap();
    }
}

/// The arguments that train a small network on a folder.
fn training<'a>(args: &'a [String], directory: &'a str) -> Vec<&'a str> {
    let folder = ["--data-dir", directory, "--set", "data.name=folder", "--set", "train.steps=2"];
    small_with(args, &[&folder[..], &["--set", "train.health.every=0"]].concat())
}

fn log(at: &Path, args: &[&str]) -> String {
    let output = run(at, args);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    log
}

#[test]
fn what_is_passed_over_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(&at.join("faces"), &[28; 20]);
    for file in ["a.txt", "b.txt", "c.gif", ".hidden.png"] {
        std::fs::write(at.join("faces").join(file), "").unwrap();
    }
    let text = succeed(at, &["data", "info", "--data", "folder", "--data-dir", "faces"]);
    assert!(text.contains("folder train: 20 images, 64x64 RGB\n"), "{text}");
    assert!(
        text.contains("from     20 images in faces; 3 other files passed over (txt 2, gif 1)\n"),
        "{text}"
    );
    let log = log(at, &training(&small("run"), "faces"));
    assert!(
        log.contains("INFO data: 20 images in ") && log.contains("faces; 3 other files passed over"),
        "{log}"
    );
    assert!(!log.contains("WARN"), "{log}");
}

#[test]
fn one_picture_is_enough_to_train_and_too_few_to_judge() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (name, side) in [("one", 28), ("dot", 1)] {
        write(&at.join(name), &[side]);
        let text = succeed(at, &["data", "info", "--data", "folder", "--data-dir", name]);
        assert!(text.contains(": 1 image, 64x64") && text.contains(&format!("1 of {side}x{side}")), "{text}");
        let run = format!("{name}-run");
        let args = small(&run);
        let error = fail(at, &training(&args, name), 2);
        assert!(
            error.contains("data.batch-size: expected 1..=1 (the images in folder), found 16"),
            "{error}"
        );
        let alone = [&training(&args, name)[..], &["--set", "data.batch-size=1"]].concat();
        let judged = ["--set", "train.evaluate.every-kimg=1", "--set", "train.evaluate.count=64"];
        let error = fail(at, &[&alone[..], &judged].concat(), 2);
        let expected = "train.evaluate: expected at least 64 held-out real images, found 1 image of folder";
        assert!(error.contains(expected) && !at.join(&run).exists(), "{error}");
        // A check of a single image tells nothing, so there is none.
        let log = log(at, &[&alone[..], &["--set", "train.health.every=1"]].concat());
        assert!(log.contains("training images, and there are 1 training image\n"), "{log}");
        succeed(at, &["sample", &run, "--count", "2", "--out", "two.png"]);
        let error = fail(at, &["evaluate", &run], 2);
        assert!(error.contains("expected at least 64 held-out images to compare with, found 1"), "{error}");
    }
}

#[test]
fn a_class_can_have_any_name() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for class in ["Größe", "кот", "日本", "🙂"] {
        write(&at.join("faces").join(class), &[28; 5]);
        let [from, to] = ["000.png", "bild-ä.png"].map(|name| at.join("faces").join(class).join(name));
        std::fs::rename(from, to).unwrap();
    }
    let text = succeed(at, &["data", "info", "--data", "folder", "--data-dir", "faces"]);
    assert!(text.contains("0 Größe: 5  1 кот: 5  2 日本: 5  3 🙂: 5\n"), "{text}");
    succeed(at, &[&training(&small("run"), "faces")[..], &["--set", "model.classes=4"]].concat());
    succeed(at, &["sample", "run", "--class", "日本", "--count", "2", "--out", "日本.png"]);
    assert!(at.join("日本.png").is_file());
}

#[test]
fn pictures_of_a_run_may_go_while_it_trains_but_a_resume_needs_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let faces = at.join("faces");
    write(&faces, &[28; 20]);
    let args = small("run");
    let mut run = gan_cli(at, &[&training(&args, "faces")[..], &["--set", "train.steps=400"]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once the run says that it trains, all pictures are in memory.
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("training 400 steps")));
    std::fs::rename(&faces, at.join("gone")).unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(run.wait().unwrap().success() && !rest.iter().any(|line| line.contains("WARN")), "{rest:?}");

    let more = ["train", "--out", "run", "--resume", "--set", "train.steps=401"];
    let error = fail(at, &more, 2);
    assert!(error.contains("faces: no such file or directory"), "{error}");
    std::fs::rename(at.join("gone"), &faces).unwrap();
    std::fs::remove_file(faces.join("007.png")).unwrap();
    let error = fail(at, &more, 2);
    assert!(error.contains("trained on 20 images, and there are other data now (19 images"), "{error}");
    write(&faces, &[28; 20]);
    succeed(at, &more);
}

#[test]
fn the_grids_of_runs_are_not_trained_on() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(&at.join("faces"), &[28; 20]);
    // The directory of the pictures is where people are when they start.
    succeed(at, &training(&small("faces/runs/a"), "faces"));
    succeed(at, &[&training(&small("faces/runs/a"), "faces")[..], &["--resume"]].concat());
    let text = succeed(at, &["data", "info", "--data", "folder", "--data-dir", "faces"]);
    assert!(text.contains("from     20 images in faces; a run of gan-cli passed over\n"), "{text}");
    for out in ["faces", "faces/runs"] {
        let error = fail(at, &training(&small(out), "faces"), 2);
        let expected =
            format!("--out {out} is a directory of the pictures to train on, which the run's grids");
        assert!(error.contains(&expected), "{error}");
    }
    succeed(at, &training(&small("faces/b"), "faces"));
    let text = succeed(at, &["data", "info", "--data", "folder", "--data-dir", "faces"]);
    assert!(text.contains("20 images in faces; 2 runs of gan-cli passed over\n"), "{text}");
}

#[test]
fn ink_on_a_transparent_ground_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("ink")).unwrap();
    for n in 0..140 {
        let is_ink = |x| (n % 28..=n % 28 + n / 28).contains(&x);
        let ink = RgbaImage::from_fn(28, 28, |x, _| Rgba([0, 0, 0, if is_ink(x) { 255 } else { 0 }]));
        ink.save(at.join(format!("ink/{n}.png"))).unwrap();
    }
    let expected = "all 140 images are one and the same colour (0): 140 of them have transparent parts, which \
                    become black (data.background = \"white\" makes them white)";
    let log = log(at, &training(&small("run"), "ink"));
    assert!(log.contains(&format!("WARN data: {expected}")), "{log}");
    let text = succeed(at, &["data", "info", "--data", "folder", "--data-dir", "ink"]);
    assert!(text.contains(&format!("WARNING  {}", expected.replace("(0)", "(0, 0, 0)"))), "{text}");
    // Samples are put on the same ground as the real pictures.
    succeed(at, &[&training(&small("white"), "ink")[..], &["--set", "data.background=white"]].concat());
    let output = run(at, &["evaluate", "white", "--samples", "ink", "--json"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        log.contains("--samples: 140 images in ink (140 with transparent parts, which are white)"),
        "{log}"
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // On black, they would be far away.
    assert!(report["generated"]["random_fd"].as_f64().unwrap() < 100., "{report}");
}

/// Values of 12 bits in pictures of 16 look dark. This is doubted, but it ends no run.
#[test]
fn dark_pictures_do_not_stop_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("dark")).unwrap();
    for n in 0..40_u32 {
        let value = |x: u32, y: u32| ((x * 97 + y * 61 + n * 331) % 4096) as u16;
        let image = image::ImageBuffer::from_fn(28, 28, |x, y| image::Luma([value(x, y)]));
        image::DynamicImage::ImageLuma16(image).save(at.join(format!("dark/{n}.png"))).unwrap();
    }
    let sets = ["train.steps=4", "train.health.every=1", "train.health.on-failure=stop"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let text = log(at, &[&training(&small("run"), "dark")[..], &sets].concat());
    assert!(text.contains("WARN data: the values of the 16-bit pictures end at 4095 of 65535"), "{text}");
    assert!(!text.contains("range mismatch"), "{text}");
    assert!(at.join("run/checkpoints/step-00000004").exists());
}

#[test]
fn broken_pictures_are_one_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(&at.join("faces"), &[28; 20]);
    let whole = std::fs::read(at.join("faces/003.png")).unwrap();
    std::fs::write(at.join("faces/003.png"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(at.join("faces/011.png"), "<html>").unwrap();
    let error = fail(at, &training(&small("run"), "faces"), 1);
    assert!(error.contains("2 of 20 pictures cannot be used: 003.png: it is cut off"), "{error}");
    assert!(error.contains("; 011.png: its format is not PNG, JPEG or WebP"), "{error}");
    let error = fail(at, &training(&small("run"), "faces/001.png"), 2);
    assert!(error.contains("001.png: expected a directory, found a file"), "{error}");
    let error = fail(at, &["evaluate", "--samples", "faces/001.png"], 2);
    assert!(
        error.contains(
            "--samples faces/001.png: expected a .npy file, or a directory or .zip file of pictures"
        ),
        "{error}"
    );
    assert!(!at.join("run").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_need_not_be_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let faces = OsStr::from_bytes(b"caf\xe9");
    write(&at.join(faces), &[28; 20]);
    let args = small("run");
    let mut command = crate::program::gan_cli(at, &training(&args, "here")[..args.len()]);
    command.args(["--set", "data.name=folder", "--set", "train.health.every=0", "--data-dir"]).arg(faces);
    let output = command.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && log.contains("caf\u{fffd}"), "{log}");
    // The directory cannot be written to TOML, so a resume must name it.
    let error = fail(at, &["train", "--out", "run", "--resume"], 2);
    assert!(error.contains("data.dir: expected a directory for name = \"folder\""), "{error}");
    let mut command = crate::program::gan_cli(at, &["train", "--out", "run", "--resume", "--data-dir"]);
    assert!(command.arg(faces).output().unwrap().status.success());
}

#[test]
fn samples_of_mixed_sizes_are_judged_at_the_most_common_one() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // The first file by name has another size than most.
    write(&at.join("fakes"), &[[32].repeat(10), [28].repeat(60)].concat());
    let evaluate = ["evaluate", "--samples", "fakes", "--json"];
    let text = log(at, &evaluate);
    assert!(
        text.contains("INFO --samples fakes: 60 of side 28, 10 of side 32: all are judged as 28x28 gray"),
        "{text}"
    );
    RgbImage::from_pixel(28, 28, Rgb([200, 0, 0])).save(at.join("fakes/z.png")).unwrap();
    let text = log(at, &evaluate);
    assert!(text.contains("10 of side 32, 70 gray and 1 RGB: all are judged as 28x28 RGB"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&succeed(at, &evaluate)).unwrap();
    assert_eq!((&report["channels"], &report["generated"]["count"]), (&3.into(), &71.into()));
}

/// Colour pictures in class folders: red ones in `apple`, blue ones in `sky blue`.
fn classes(directory: &Path) {
    for (n, (name, color)) in [("sky blue", [20, 40, 230]), ("apple", [220, 30, 20])].into_iter().enumerate()
    {
        let class = directory.join(name);
        std::fs::create_dir_all(&class).unwrap();
        for i in 0..20 {
            let shade = |x: u32, y: u32| ((x * 3 + y * 5 + i * 7 + n as u32) % 23) as u8;
            let image = RgbImage::from_fn(30, 40, |x, y| Rgb(color.map(|c| c + shade(x, y))));
            image.save(class.join(format!("{i}.png"))).unwrap();
        }
    }
}

#[test]
fn folders_of_classes_train_and_are_drawn_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    classes(&at.join("things"));
    let text =
        succeed(at, &["data", "info", "--name", "folder", "--data-dir", "things", "--out", "grid.png"]);
    for part in [
        "sizes    40 of 30x40\n",
        "stored   40 RGB\n",
        "classes  0 apple: 20  1 sky blue: 20\n",
        "grid     40 of them, evenly spaced, in grid.png\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let grid = image::open(at.join("grid.png")).unwrap().into_rgb8();
    assert_eq!(grid.dimensions(), (7 * 66 + 2, 6 * 66 + 2));
    assert!(grid.get_pixel(30, 30).0[0] > 200 && grid.get_pixel(30 + 66 * 4, 30 + 66 * 5).0[2] > 200);

    let inside = ["data", "info", "--name", "folder", "--data-dir", "things", "--out", "things/apple/0.png"];
    let error = fail(at, &inside, 2);
    assert!(error.contains("--out things/apple/0.png is among the data"), "{error}");

    let log = log(at, &["data", "prepare", "things", "--size", "28", "--out", "things.zip"]);
    assert!(log.contains("40 pictures of 2 classes in things.zip"), "{log}");
    let again = fail(at, &["data", "prepare", "things", "--size", "28", "--out", "things.zip"], 2);
    assert!(again.contains("--out things.zip: exists already"), "{again}");

    let conditional = ["--set", "model.classes=2", "--set", "model.channels=3", "--set", "data.flip=true"];
    succeed(at, &[&training(&small("a"), "things")[..], &conditional].concat());
    succeed(at, &[&training(&small("b"), "things.zip")[..], &conditional].concat());
    let weights = |run: &str| std::fs::read(at.join(run).join("generator.safetensors")).unwrap();
    assert!(weights("a") == weights("b"));
    assert!(succeed(at, &["inspect", "a"]).contains("\nclasses, from 0: apple, sky blue\n"));
    for (class, file) in
        [("sky blue", "name.npy"), ("1", "number.npy"), ("Sky Blue", "case.npy"), ("apple", "other.npy")]
    {
        succeed(at, &["sample", "a", "--class", class, "--count", "4", "--out", file]);
    }
    let bytes = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert!(bytes("name.npy") == bytes("number.npy") && bytes("name.npy") == bytes("case.npy"));
    assert!(bytes("name.npy") != bytes("other.npy"));
    for (class, order) in [
        (&["--class", "all"][..], "20 images in x.png, 10 images of each class: apple, sky blue\n"),
        (&[], "64 images in x.png, the classes in turn: apple, sky blue\n"),
        (&["--class", "apple"], "64 images in x.png\n"),
    ] {
        let output = run(at, &[&["sample", "a", "--out", "x.png"][..], class].concat());
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(log.ends_with(order), "{log}");
    }
    let error = fail(at, &["sample", "a", "--out", "things/apple/new.png"], 2);
    assert!(error.contains("--out things/apple/new.png is among the data"), "{error}");
    for args in [
        &["sample", "a", "--out", "things/new/deep/x.png"][..],
        &["sample", "a", "--count", "2", "--out", "things/new/"],
        &["walk", "a", "--frames", "2", "--out", "things/new/deep/"],
        &["timelapse", "a", "--out", "things/x.png"],
        &["timelapse", "a", "--out", "things/apple/", "--replace"],
        &["export", "a", "--format", "hub", "--out", "things"],
        &["export", "a", "--format", "hub", "--out", "things/new"],
        &["project", "a", "things/apple/0.png", "--out", "things/new/x.npy"],
    ] {
        let error = fail(at, args, 2);
        assert!(error.contains(" is among the data: choose a place outside"), "{args:?}: {error}");
    }
    assert!(!at.join("things/new").exists());
    for args in [
        &["data", "prepare", "things", "--out", "a/samples/x.zip"][..],
        &["train-classifier", "--data", "folder", "--data-dir", "things", "--out", "a/ema.safetensors"],
    ] {
        let error = fail(at, args, 2);
        assert!(error.contains("belongs to the run "), "{args:?}: {error}");
    }
    let info =
        ["data", "info", "--data", "folder", "--data-dir", "things", "--out", "a/samples/step-00000002.png"];
    assert!(fail(at, &info, 2).contains("step-00000002.png belongs to the run "));
    let error = fail(at, &["sample", "a", "--class", "pear"], 2);
    assert!(error.contains("--class pear: expected apple, sky blue, 0 to 1, or `all`"), "{error}");
    let unequal = ["--set", "model.classes=3", "--set", "model.channels=3"];
    let error = fail(at, &[&training(&small("c"), "things")[..], &unequal].concat(), 2);
    assert!(error.contains("model.classes: expected 2, the classes of folder, found 3"), "{error}");
}

#[test]
fn only_folders_have_crops_and_backgrounds() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for set in ["data.crop=20", "data.background=white"] {
        let key = set.split('=').next().unwrap();
        let error = fail(at, &small_with(&small("a"), &["--set", set]), 2);
        assert!(error.contains(&format!("{key}: expected no such key for mnist-5k")), "{error}");
    }
    write(&at.join("faces"), &[28; 20]);
    let error =
        fail(at, &[&training(&small("a"), "faces")[..], &["--set", "data.background=red"]].concat(), 2);
    assert!(
        error.contains("expected \"black\", \"white\", \"mean\" or a colour such as \"#ff8000\""),
        "{error}"
    );
    let error = fail(at, &[&training(&small("a"), "faces")[..], &["--set", "data.crop=29"]].concat(), 1);
    assert!(
        error.contains("20 of 20 pictures cannot be used: 000.png: data.crop is not within its 28x28 pixels")
    );
}

#[test]
fn images_are_reduced_as_pillow_does() {
    let golden = Golden::open("pillow");
    for (side, to) in [(53, 16), (64, 28), (37, 64)] {
        let values = fill(&format!("pillow.{side}"), &[side * side], 1., 0.).to_vec1::<f32>().unwrap();
        let pixels = values.into_iter().map(gan_data::normalize::from_unit).collect();
        let data = gan_data::Dataset::new("test", "", pixels, 1, side).unwrap().resize(to).unwrap();
        let expected = golden.values(&format!("{side}.{to}"));
        let image = data.image(0);
        assert_eq!(expected.len(), image.len() + 1);
        let most = image.iter().zip(expected).map(|(a, b)| (f32::from(*a) - b).abs()).fold(0., f32::max);
        assert!(most <= 1., "{side} to {to}: {most}");
    }
}
