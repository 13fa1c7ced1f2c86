//! Tests the animations: their frames, as other decoders read them, and what is refused.

use crate::program::{fail, run, small, small_with, succeed};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The frames of a GIF as RGB, and the time of each in hundredths of a second.
fn gif(path: &Path) -> Vec<(Vec<u8>, u16)> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(BufReader::new(File::open(path).unwrap())).unwrap();
    assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
    let mut frames = vec![];
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        let pixels = frame.buffer.as_chunks::<4>().0.iter();
        frames.push((pixels.flat_map(|&[red, green, blue, _]| [red, green, blue]).collect(), frame.delay));
    }
    frames
}

/// The frames of an animated PNG, and the time of each as a fraction of a second.
fn apng(path: &Path) -> Vec<(Vec<u8>, (u16, u16))> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let control = *reader.info().animation_control().unwrap();
    assert_eq!(control.num_plays, 0);
    let frame = |_| {
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let shown = *reader.info().frame_control().unwrap();
        (pixels, (shown.delay_num, shown.delay_den))
    };
    (0..control.num_frames).map(frame).collect()
}

fn as_rgb(gray: &[u8]) -> Vec<u8> {
    gray.iter().flat_map(|&gray| [gray; 3]).collect()
}

fn gray(path: &Path) -> Vec<u8> {
    image::open(path).unwrap().to_luma8().into_raw()
}

#[test]
fn a_walk_has_the_same_frames_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "model.classes=10"]));
    let walk = |out: &'static str, more: &[&'static str]| {
        succeed(at, &[&["walk", "run", "--count", "6", "--frames", "12", "--out", out], more].concat());
    };
    for (name, more) in [
        ("latents", &[][..]),
        ("classes", &["--along", "classes"]),
        ("two", &["--along", "2", "--class", "3"]),
    ] {
        walk("walk.gif", more);
        walk("walk.png", more);
        walk("frames/", &[more, &["--replace"]].concat());
        let frames: Vec<_> = (0..12).map(|frame| gray(&at.join(format!("frames/{frame:02}.png")))).collect();
        let [in_gif, in_png] =
            [gif(&at.join("walk.gif")), apng(&at.join("walk.png")).into_iter().map(as_gif).collect()];
        for (index, frame) in frames.iter().enumerate() {
            assert!(in_gif[index] == (as_rgb(frame), 5), "{name} {index}");
            assert!(in_png[index] == (as_rgb(frame), 5), "{name} {index}");
        }
        assert_eq!((in_gif.len(), in_png.len()), (12, 12));
        assert!(frames[0] != frames[3] && frames[3] != frames[9], "{name}");
        // Along a direction, an image passes each place twice.
        assert_eq!(frames[1] == frames[5] && frames[7] == frames[11], name == "two");
    }
    // The walk begins at what `sample` draws.
    walk("frames/", &["--replace", "--seed", "5"]);
    succeed(at, &["sample", "run", "--seed", "5", "--count", "6", "--out", "grid.png"]);
    assert!(gray(&at.join("frames/00.png")) == gray(&at.join("grid.png")));
    // By default, the frames of digits are grids of 64, and the file is small.
    succeed(at, &["walk", "run"]);
    assert_eq!(image_size(&at.join("walk.gif")), (92, 62));
    let length = std::fs::metadata(at.join("walk-2.gif")).unwrap().len();
    assert_eq!(image_size(&at.join("walk-2.gif")), (242, 242));
    assert!(length < 10_000_000, "{length}");
}

/// A frame as [`gif`] returns it.
fn as_gif((gray, (shown, of)): (Vec<u8>, (u16, u16))) -> (Vec<u8>, u16) {
    (as_rgb(&gray), 100 * shown / of)
}

fn image_size(path: &Path) -> (u16, u16) {
    let decoder = gif::Decoder::new(BufReader::new(File::open(path).unwrap())).unwrap();
    (decoder.width(), decoder.height())
}

#[test]
fn colours_of_a_walk_are_near_those_of_the_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "model.channels=3"]));
    let walk = ["walk", "run", "--count", "4", "--frames", "6", "--out"];
    succeed(at, &[&walk[..], &["walk.gif"]].concat());
    succeed(at, &[&walk[..], &["walk.png"]].concat());
    let (dithered, exact) = (gif(&at.join("walk.gif")), apng(&at.join("walk.png")));
    assert_eq!((dithered.len(), exact.len()), (6, 6));
    for ((dithered, _), (exact, _)) in dithered.iter().zip(&exact) {
        let differences = dithered.iter().zip(exact).map(|(a, b)| f64::from(a.abs_diff(*b)));
        let mean = differences.sum::<f64>() / exact.len() as f64;
        // Dithering keeps the colour of an area, so the sums agree better than the pixels.
        let sums = [dithered, exact].map(|pixels| pixels.iter().map(|&value| f64::from(value)).sum::<f64>());
        assert!(mean < 24. && (sums[0] / sums[1] - 1.).abs() < 0.02, "{mean} {sums:?}");
    }
}

#[test]
fn a_timelapse_shows_the_grids_of_a_run_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &["--set", "train.sample-every=10"]));
    let steps = [10, 20, 30, 40];
    let grids: Vec<_> = steps.map(|step| gray(&at.join(format!("run/samples/step-{step:08}.png")))).into();
    // Other files among them are passed over.
    std::fs::write(at.join("run/samples/step-00000050.txt"), "").unwrap();
    std::fs::copy(at.join("run/samples/step-00000010.png"), at.join("run/samples/step-9.png")).unwrap();
    succeed(at, &["timelapse", "run"]);
    let frames = gif(&at.join("timelapse.gif"));
    assert_eq!(frames.iter().map(|(_, delay)| *delay).collect::<Vec<_>>(), [13, 12, 13, 212]);
    assert!(frames.iter().zip(&grids).all(|((frame, _), grid)| *frame == as_rgb(grid)));
    succeed(at, &["timelapse", "run", "--frames", "3", "--fps", "5", "--out", "three.png"]);
    let three = apng(&at.join("three.png"));
    assert!(three == [(grids[0].clone(), (1, 5)), (grids[1].clone(), (1, 5)), (grids[3].clone(), (11, 5))]);
    // A run with other settings may have drawn some of them.
    image::GrayImage::new(5, 5).save(at.join("run/samples/step-00000010.png")).unwrap();
    let output = run(at, &["timelapse", "run", "--out", "rest.gif"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("WARN 1 grid of another size passed over"));
    assert_eq!(gif(&at.join("rest.gif")).len(), 3);
    std::fs::write(at.join("run/samples/step-00000020.png"), "no picture").unwrap();
    let error = fail(at, &["timelapse", "run", "--out", "none.gif"], 1);
    assert!(error.contains("run/samples/step-00000020.png: ") && !at.join("none.gif").exists(), "{error}");
}

#[test]
fn what_cannot_be_animated_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    succeed(at, &small_with(&small("run"), &[]));
    for (args, expected) in [
        (&["walk", "run", "--out", "walk.mp4"][..], "--out: expected X.gif, X.png or DIR/, found walk.mp4"),
        (&["walk", "run", "--out", "run/samples/x.gif"], "--out: run/samples/x.gif belongs to the run "),
        (&["walk", "run", "--along", "classes"], "this generator was trained without classes"),
        (&["walk", "run", "--class", "3"], "this generator was trained without classes"),
        (
            &["walk", "run", "--along", "101"],
            "--along 101: expected latents, classes, or a direction from 1 to ",
        ),
        (&["walk", "run", "--along", "1", "--stops", "3"], "--stops: expected --along latents with it"),
        (&["walk", "run", "--strength", "3"], "--strength: expected --along N with it, a direction"),
        (&["walk", "run", "--replace"], "--replace: expected --out DIR/, found walk.gif"),
        (
            &["walk", "run", "--count", "100000", "--frames", "10000"],
            "--frames: expected at most 1073741824 bytes",
        ),
        (
            &["walk", "run", "--count", "2500", "--columns", "2500", "--frames", "2", "--out", "wide.gif"],
            "--out: a GIF has at most 65535 pixels a side, found 75002x32",
        ),
        (&["walk", "run", "--count", "4000000000"], "--frames: expected at most 1073741824 bytes"),
        (&["timelapse", "none"], "none: no such file or directory"),
        (&["timelapse", "."], ". has no grids: expected the directory of a run with samples/step-*.png"),
    ] {
        let error = fail(at, args, 2);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    assert!(!at.join("walk.gif").exists());
}
