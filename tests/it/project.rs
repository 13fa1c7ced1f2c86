//! Tests the search for the latent of a picture.

use crate::program::{fail, run, small, small_with, succeed};

#[test]
fn a_picture_has_a_latent_that_draws_its_like() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "model.classes=10"]));
    succeed(at, &["sample", "run", "--class", "3", "--count", "1", "--seed", "7", "--out", "one/"]);
    let picture = std::fs::read_dir(at.join("one")).unwrap().next().unwrap().unwrap().path();
    let picture = picture.to_str().unwrap();
    let output = run(at, &["project", "run", picture, "--steps", "100", "--out", "z.npy"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && log.contains(", class 3\n"), "{log}");
    let number = |mark: &str| -> f64 {
        let (_, rest) = log.split_once(mark).unwrap();
        rest.split_once(' ').unwrap().0.parse().unwrap()
    };
    let (before, after) = (number("255; "), number("differs by "));
    assert!(after < before / 2., "{log}");
    // The picture is beside the image of the latent.
    succeed(at, &["sample", "run", "--latents", "z.npy", "--out", "again.png"]);
    let (both, again) = (image::open(at.join("z.png")).unwrap(), image::open(at.join("again.png")).unwrap());
    let (both, again) = (both.into_luma8(), again.into_luma8());
    assert_eq!((both.dimensions(), again.dimensions()), ((62, 32), (32, 32)));
    assert!((0..28).all(|y| (0..28).all(|x| both.get_pixel(32 + x, 2 + y) == again.get_pixel(2 + x, 2 + y))));
    let given = image::open(picture).unwrap().into_luma8();
    assert!((0..28).all(|y| (0..28).all(|x| both.get_pixel(2 + x, 2 + y) == given.get_pixel(x, y))));

    // Nothing is overwritten, and what is no picture is an error.
    let error = fail(at, &["project", "run", picture, "--out", "z.npy"], 2);
    assert!(error.contains("--out: z.npy exists already: --replace overwrites it"), "{error}");
    succeed(at, &["project", "run", picture, "--steps", "1", "--out", "z.npy", "--replace"]);
    succeed(at, &["project", "run", picture, "--steps", "1", "--class", "4"]);
    assert!(at.join("projected.npy").exists() && at.join("projected.png").exists());
    // A number is added if one of the two files exists, also if it is the picture itself.
    std::fs::remove_file(at.join("projected.npy")).unwrap();
    succeed(at, &["project", "run", "projected.png", "--steps", "1"]);
    assert!(at.join("projected-2.npy").exists() && !at.join("projected.npy").exists());
    let error = fail(at, &["project", "run", "run/config.toml"], 1);
    assert!(error.contains("config.toml"), "{error}");
    for (more, expected) in [
        (&["--class", "all"][..], "--class all: expected one class, or no --class"),
        (&["--class", "11"], "--class 11: expected "),
        (&["--out", "z.png"], "--out: expected X.npy, found z.png"),
        (&["--out", "run/samples/z.npy"], "belongs to the run "),
    ] {
        let error = fail(at, &[&["project", "run", picture][..], more].concat(), 2);
        assert!(error.contains(expected), "{error}");
    }
}

/// One picture does not tell the mean colour of the training pictures.
#[test]
fn a_picture_gets_the_ground_of_the_training_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::create_dir(at.join("things")).unwrap();
    for n in 0..20u8 {
        // Half of each picture is of one colour, and the rest is transparent.
        let color = if n < 10 { [200, 40, 40, 255] } else { [40, 40, 200, 255] };
        let at = at.join(format!("things/{n:02}.png"));
        let pixel = |x, _| if x < 14 { image::Rgba(color) } else { image::Rgba([0; 4]) };
        image::RgbaImage::from_fn(28, 28, pixel).save(at).unwrap();
    }
    let folder = ["--data-dir", "things", "--set", "data.name=folder", "--set", "data.background=mean"];
    let more = ["--set", "model.channels=3", "--set", "train.steps=2", "--set", "train.health.every=0"];
    let log = run(at, &small_with(&small("run"), &[&folder[..], &more].concat()));
    assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
    succeed(at, &["project", "run", "things/00.png", "--steps", "1", "--out", "z.npy"]);
    let shown = image::open(at.join("z.png")).unwrap().into_rgb8();
    assert_eq!(shown.get_pixel(2 + 20, 2 + 14).0, [120, 40, 120]);
    // So do the pictures of `--samples`, which are then the training pictures.
    std::fs::create_dir(at.join("red")).unwrap();
    for n in 0..10 {
        std::fs::copy(at.join(format!("things/{n:02}.png")), at.join(format!("red/{n:02}.png"))).unwrap();
    }
    let samples = ["evaluate", "--samples", "red", "--data", "folder", "--data-dir", "things"];
    let output = run(at, &[&samples[..], &["--background", "mean", "--count", "10"]].concat());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("10 with transparent parts, which are #782878"), "{log}");
    // An archive of prepared pictures knows its colour and its crop.
    let prepare = ["data", "prepare", "things", "--size", "28", "--crop", "26", "--background", "mean"];
    succeed(at, &[&prepare[..], &["--out", "t.zip"]].concat());
    let folder = ["--data-dir", "t.zip", "--set", "data.name=folder"];
    let log = run(at, &small_with(&small("prepared"), &[&folder[..], &more].concat()));
    assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
    let output = run(at, &["project", "prepared", "things/00.png", "--steps", "1", "--out", "y.npy"]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("the training pictures were cut by `data prepare --crop 26`"), "{log}");
    let shown = image::open(at.join("y.png")).unwrap().into_rgb8();
    assert_eq!(shown.get_pixel(2 + 20, 2 + 14).0, [120, 40, 120]);
    let samples =
        ["evaluate", "--samples", "red", "--data", "folder", "--data-dir", "t.zip", "--count", "10"];
    let log = String::from_utf8(run(at, &samples).stderr).unwrap();
    assert!(log.contains("10 with transparent parts, which are #782878"), "{log}");
    // The file says so elsewhere too.
    std::fs::copy(at.join("prepared/generator.safetensors"), at.join("g.safetensors")).unwrap();
    let file = ["evaluate", "g.safetensors", "--data", "folder", "--data-dir", "things", "--count", "10"];
    let log = String::from_utf8(run(at, &file).stderr).unwrap();
    assert!(log.contains("`data prepare --crop 26` had cut"), "{log}");
    succeed(at, &["train", "--resume", "--out", "prepared", "--set", "train.steps=3"]);
    succeed(at, &["sample", "prepared", "--out", "grid.png"]);
}
