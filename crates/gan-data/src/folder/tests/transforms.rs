//! Tests cropping, backgrounds, and the report of progress.

use super::*;
use std::io::ErrorKind;
use std::sync::Mutex;

fn with(dir: &Path, transform: Transform, channels: usize) -> Result<Dataset> {
    super::super::load(dir, &Options { transform, ..Options::new(2, channels) })
}

#[test]
fn the_chosen_square_is_cut_out() {
    let dir = tempfile::tempdir().unwrap();
    GrayImage::from_fn(6, 4, |x, y| Luma([(x * 10 + y) as u8])).save(dir.path().join("a.png")).unwrap();
    let cut = |crop| with(dir.path(), Transform { crop, ..Transform::default() }, 1);
    assert_eq!(*cut(Crop::Side(2)).unwrap().image(0), [21, 31, 22, 32]);
    assert_eq!(*cut(Crop::Square { left: 4, top: 0, side: 2 }).unwrap().image(0), [40, 50, 41, 51]);
    GrayImage::new(9, 9).save(dir.path().join("b.png")).unwrap();
    for crop in [Crop::Side(5), Crop::Square { left: 5, top: 0, side: 2 }] {
        let error = cut(crop).unwrap_err().to_string();
        let expected = "1 of 2 pictures cannot be used: a.png: data.crop is not within its 6x4 pixels";
        assert!(error.ends_with(expected), "{error}");
    }
    assert_eq!(
        cut(Crop::Side(0)).unwrap_err().to_string(),
        "data.crop: expected a side of at least 1, found 0"
    );
}

#[test]
fn transparent_parts_get_the_background() {
    let dir = tempfile::tempdir().unwrap();
    // One pixel is opaque red, one is half transparent white, two are transparent.
    let pixels = [[200, 0, 0, 255], [255, 255, 255, 51], [9, 9, 9, 0], [9, 9, 9, 0]];
    let image = RgbaImage::from_fn(2, 2, |x, y| Rgba(pixels[(y * 2 + x) as usize]));
    image.save(dir.path().join("a.png")).unwrap();
    let red = |text: &str| {
        let background = Some(text.parse().unwrap());
        let data = with(dir.path(), Transform { background, ..Transform::default() }, 3).unwrap();
        (data.image(0)[..4].to_vec(), data.source().split(" (").nth(1).unwrap_or_default().to_owned())
    };
    assert_eq!(red("black"), (vec![200, 51, 0, 0], "1 with transparent parts, which are black)".into()));
    assert_eq!(red("white"), (vec![200, 255, 255, 255], "1 with transparent parts, which are white)".into()));
    assert_eq!(
        red("#640000"),
        (vec![200, 131, 100, 100], "1 with transparent parts, which are #640000)".into())
    );
    // Opacities of 1 and 0.2: red is (200 + 51) / 1.2, the others are 51 / 1.2.
    assert_eq!(
        red("mean"),
        (vec![200, 218, 209, 209], "1 with transparent parts, which are #d12b2b)".into())
    );
}

#[test]
fn gray_values_are_those_of_pillow() {
    let dir = tempfile::tempdir().unwrap();
    // Pillow: Image.new("RGB", (2, 2), color).convert("L") gives 76, 150, 29 and 124.
    let colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 100, 50]];
    RgbImage::from_fn(2, 2, |x, y| Rgb(colors[(y * 2 + x) as usize])).save(dir.path().join("a.png")).unwrap();
    assert_eq!(*with(dir.path(), Transform::default(), 1).unwrap().image(0), [76, 150, 29, 124]);
}

#[test]
fn every_picture_is_reported_once() {
    let image = photograph("png");
    let names: Vec<_> = (0..9).map(|n| format!("{n}.png")).collect();
    let dir = folder(&names.iter().map(|name| (name.as_str(), &image[..])).collect::<Vec<_>>());
    let seen = Mutex::new(vec![]);
    let progress = |done, all| seen.lock().unwrap().push((done, all));
    super::super::load(dir.path(), &Options { progress: &progress, ..Options::new(2, 3) }).unwrap();
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (1..=9).map(|done| (done, 9)).collect::<Vec<_>>());
}

#[test]
fn a_prepared_archive_holds_what_is_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    for (n, name) in ["owl/a.jpg", "cat/b.png", "owl/c.png"].into_iter().enumerate() {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shade = |x: u32, y: u32| (x * 20 + y * 9 + n as u32 * 40) as u8;
        RgbImage::from_fn(7, 5, |x, y| Rgb([shade(x, y), 9, 200])).save(path).unwrap();
    }
    std::fs::write(dir.path().join("owl/notes.txt"), "").unwrap();
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("set.zip");
    for channels in [1, 3] {
        let options = Options::new(4, channels);
        let write = || prepare(dir.path(), &options, &out, || Ok::<_, DataError>(())).unwrap();
        let passed_over = Some("1 other file passed over (txt 1)".to_owned());
        let _ = std::fs::remove_file(&out);
        assert_eq!(write(), Prepared { count: 3, classes: Some(2), passed_over });
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        write();
        assert!(bytes == std::fs::read(&out).unwrap());
        let [before, after] = [dir.path(), &out].map(|path| super::super::load(path, &options).unwrap());
        assert_eq!(before.fingerprint(), after.fingerprint());
        assert_eq!(
            (after.labels(), after.class_names()),
            (Some(&[0, 1, 1][..]), &["cat".into(), "owl".into()][..])
        );
    }
    std::fs::remove_file(&out).unwrap();
    // What somebody put there in the meantime stays.
    let put = || {
        std::fs::write(&out, "mine").unwrap();
        Ok::<_, DataError>(())
    };
    let error = prepare(dir.path(), &Options::new(4, 3), &out, put).unwrap_err();
    assert!(matches!(&error, DataError::Write { source, .. } if source.kind() == ErrorKind::AlreadyExists));
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    // Errors leave the file as it was, and nothing beside it.
    let bytes = std::fs::read(&out).unwrap();
    let stopped = || Err(DataError::NotEmbedded);
    assert!(matches!(prepare(dir.path(), &Options::new(4, 3), &out, stopped), Err(DataError::NotEmbedded)));
    std::fs::write(dir.path().join("owl/d.png"), "x").unwrap();
    let error = prepare(dir.path(), &Options::new(4, 3), &out, || Ok::<_, DataError>(())).unwrap_err();
    assert!(error.to_string().contains("1 of 4 pictures cannot be used: owl/d.png"), "{error}");
    assert!(bytes == std::fs::read(&out).unwrap());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn pictures_are_not_cut_twice() {
    let dir = tempfile::tempdir().unwrap();
    GrayImage::from_fn(8, 8, |x, y| Luma([(x * 10 + y) as u8])).save(dir.path().join("a.png")).unwrap();
    let cut = |side| Transform { crop: Crop::Side(side), ..Transform::default() };
    let out = |name: &str| dir.path().join(name);
    let prepare = |from: &Path, transform, name: &str| {
        let options = Options { transform, ..Options::new(4, 1) };
        prepare(from, &options, out(name), || Ok::<_, DataError>(())).unwrap()
    };
    prepare(dir.path(), cut(4), "cut.zip");
    // The archive of an archive says it too.
    prepare(&out("cut.zip"), Transform::default(), "again.zip");
    prepare(dir.path(), Transform::default(), "whole.zip");
    for name in ["cut.zip", "again.zip"] {
        assert_eq!(with(&out(name), Transform::default(), 1).unwrap().len(), 1);
        let error = with(&out(name), cut(2), 1).unwrap_err().to_string();
        assert!(
            error.starts_with("data.crop: expected \"centre\", because the pictures of ")
                && error.ends_with(&format!("{name} were cut with data prepare --crop, found 2")),
            "{error}"
        );
    }
    assert!(with(&out("whole.zip"), cut(2), 1).is_ok());
    // The images say what happened to them, whenever it did.
    let of = |path: &Path, transform| with(path, transform, 1).unwrap().transform().unwrap();
    for path in [out("cut.zip"), out("again.zip")] {
        assert_eq!(of(&path, Transform::default()), cut(4));
    }
    // Without transparent parts, the background does not matter.
    let white = Transform { background: Some(Background::Color([255; 3])), ..Transform::default() };
    let opaque = tempfile::tempdir().unwrap();
    std::fs::copy(out("a.png"), opaque.path().join("a.png")).unwrap();
    assert_eq!(of(opaque.path(), white), Transform::default());
    image::RgbaImage::new(8, 8).save(opaque.path().join("b.png")).unwrap();
    assert_eq!(of(opaque.path(), white), white);
    prepare(opaque.path(), white, "white.zip");
    assert_eq!(of(&out("white.zip"), Transform::default()), white);
    assert_eq!(of(&out("white.zip"), white), white);
    // Black is the default, but whoever says it wants it.
    let black = Transform { background: Some(Background::default()), ..Transform::default() };
    let error = with(&out("white.zip"), black, 1).unwrap_err().to_string();
    assert!(error.contains("expected \"white\" or no value") && error.ends_with("found black"), "{error}");
}
