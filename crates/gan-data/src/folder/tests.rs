//! Tests which files of a folder are read, and what is said about them.

mod labels;
mod pictures;
mod transforms;

use super::*;
use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};

fn load(path: impl AsRef<Path>, size: usize, channels: usize) -> Result<Dataset> {
    super::load(path, &Options::new(size, channels))
}

fn load_error(dir: &Path) -> String {
    load(dir, 4, 1).unwrap_err().to_string()
}

/// A directory with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// A picture that is red above and blue below, with some detail, in a format by its extension.
fn photograph(extension: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a").with_extension(extension);
    let shade = |x: u32, y: u32| (x * 7 + y * 3) as u8 % 32;
    let image = RgbImage::from_fn(64, 64, |x, y| {
        if y < 32 { Rgb([223 + shade(x, y), 0, 0]) } else { Rgb([0, 0, 223 + shade(y, x)]) }
    });
    image.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// A file can be deleted, replaced or rewritten after the search has found it.
#[test]
fn pictures_that_change_after_the_search_are_reported() {
    let files: Vec<_> =
        ["a.png", "b.png", "c.png", "d.png", "e.png"].map(|name| (name, photograph("png"))).into();
    let dir = folder(&files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect::<Vec<_>>());
    let found = find::pictures(dir.path()).unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::remove_file(at("a.png")).unwrap();
    std::fs::remove_file(at("b.png")).unwrap();
    std::fs::create_dir(at("b.png")).unwrap();
    std::fs::write(at("c.png"), "<html>").unwrap();
    std::fs::write(at("d.png"), &photograph("png")[..100]).unwrap();
    let fit = |found: &Found| {
        let mut pixels = vec![0; found.pictures.len() * 16];
        fit_all(dir.path(), found, &Options::new(4, 1), [0; 3], &mut pixels).map(|_| pixels)
    };
    let error = fit(&found).err().unwrap().to_string();
    for expected in [
        ": 4 of 5 pictures cannot be used: a.png: cannot read it (",
        "; b.png: it is not a regular file; c.png: its format is not PNG, JPEG or WebP; d.png: it is cut off",
    ] {
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    // A whole picture in place of another is read as it is now.
    for name in ["a.png", "c.png", "d.png", "e.png"] {
        GrayImage::from_pixel(9, 9, Luma([7])).save(at(name)).unwrap();
    }
    std::fs::remove_dir(at("b.png")).unwrap();
    GrayImage::from_pixel(1, 1, Luma([7])).save(at("b.png")).unwrap();
    assert_eq!(fit(&found).unwrap(), [7; 80]);
}

#[cfg(unix)]
#[test]
fn a_picture_that_may_not_be_read_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder(&[("a.png", &photograph("png")), ("b.png", &photograph("png"))]);
    let path = dir.path().join("a.png");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    if std::fs::File::open(&path).is_err() {
        let error = load_error(dir.path());
        assert!(
            error.contains("1 of 2 pictures cannot be used: a.png: cannot read it (Permission"),
            "{error}"
        );
    }
}

#[test]
fn images_of_every_kind_come_in_the_order_of_their_paths() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("c");
    std::fs::create_dir(&below).unwrap();
    GrayImage::from_pixel(9, 5, Luma([10])).save(dir.path().join("b.PNG")).unwrap();
    RgbImage::from_pixel(6, 6, Rgb([20, 20, 20])).save(dir.path().join("d.jpeg")).unwrap();
    RgbaImage::from_pixel(5, 8, Rgba([200, 100, 50, 51])).save(below.join("a.png")).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "no image").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.path(), below.join("loop")).unwrap();

    let data = load(dir.path(), 4, 3).unwrap();
    assert_eq!((data.len(), data.channels(), data.size(), data.labels()), (3, 3, 4, None));
    assert_eq!(*data.image(0), [10; 48]);
    // The colour has an opacity of one fifth, over black.
    assert_eq!(data.image(1), [[40; 16], [20; 16], [10; 16]].concat());
    assert_eq!(*data.image(2), [20; 48]);
    let source = format!(
        "3 images in {} (1 with transparent parts, which are black); 1 other file passed over (txt 1)",
        dir.path().display()
    );
    assert_eq!((data.source(), data.doubt()), (&*source, None));

    let gray = load(dir.path(), 4, 1).unwrap();
    assert_eq!((&*gray.image(0), &*gray.image(2)), (&[10; 16][..], &[20; 16][..]));
}

#[test]
fn broken_images_and_empty_directories_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = load_error(dir.path());
    assert!(error.contains(&dir.path().display().to_string()) && error.contains("png, jpg, jpeg"), "{error}");
    std::fs::write(dir.path().join("anim.gif"), "GIF89a").unwrap();
    assert!(load_error(dir.path()).ends_with("found neither (1 other file passed over (gif 1))"));
    std::fs::write(dir.path().join("broken.jpg"), [0xff, 0xd8, 0xff, 0]).unwrap();
    assert!(load_error(dir.path()).contains("broken.jpg"));
    assert!(load_error(&dir.path().join("absent")).contains("absent"));
    let file = dir.path().join("anim.gif");
    assert_eq!(load_error(&file), format!("{}: expected a directory, found a file", file.display()));
    assert!(load(dir.path(), 0, 1).is_err() && load(dir.path(), 4, 2).is_err());
}

#[test]
fn all_broken_images_are_counted_and_ten_are_named_by_path() {
    let good = photograph("png");
    let dir = folder(&[("good.png", &good)]);
    for n in 0..12 {
        std::fs::write(dir.path().join(format!("{n:02}.png")), "<html>").unwrap();
    }
    for _ in 0..3 {
        let error = load_error(dir.path());
        let start =
            format!("{}: 12 of 13 pictures cannot be used: 00.png: its format is not", dir.path().display());
        assert!(error.starts_with(&start), "{error}");
        let named: Vec<_> = error.split("; ").skip(1).map(|part| part.split(':').next().unwrap()).collect();
        let expected: Vec<_> =
            (1..10).map(|n| format!("{n:02}.png")).chain(["and 2 more".to_owned()]).collect();
        assert_eq!(named, expected);
    }
    let error = survey(dir.path()).unwrap_err().to_string();
    assert!(error.contains("12 of 13 pictures"), "{error}");
}

#[test]
fn hidden_files_are_not_seen_and_other_files_are_counted() {
    let image = photograph("png");
    let dir = folder(&[
        ("a.png", &image),
        ("._a.png", b"metadata"),
        (".DS_Store", b""),
        ("one.txt", b""),
        ("two.TXT", b""),
        ("labels.json", b""),
        ("README", b""),
    ]);
    for hidden in ["__MACOSX", ".ipynb_checkpoints"] {
        std::fs::create_dir(dir.path().join(hidden)).unwrap();
        std::fs::write(dir.path().join(hidden).join("a.png"), "no picture").unwrap();
    }
    let source = load(dir.path(), 4, 1).unwrap().source().to_owned();
    assert!(source.ends_with("; 4 other files passed over (txt 2, json 1, without extension 1)"), "{source}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_only_regular_files_are_opened() {
    use std::os::unix::fs::symlink;
    let (classes, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cats = classes.path().join("cats");
    std::fs::create_dir(&cats).unwrap();
    std::fs::write(cats.join("a.png"), photograph("png")).unwrap();
    symlink(&cats, dir.path().join("cats")).unwrap();
    symlink(&cats, dir.path().join("cats-again")).unwrap();
    symlink(dir.path(), cats.join("loop")).unwrap();
    symlink(cats.join("a.png"), dir.path().join("b.png")).unwrap();
    symlink(classes.path().join("dogs"), dir.path().join("dogs")).unwrap();
    let pipe = dir.path().join("pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let data = load(dir.path(), 4, 1).unwrap();
    assert_eq!(data.len(), 2);
    let expected = "; 2 other files passed over (png 1, without extension 1); 2 links passed over, because their \
                    directories were read already (cats-again); the link dogs passed over, because it leads \
                    nowhere";
    assert!(data.source().ends_with(expected), "{}", data.source());

    symlink(classes.path().join("gone.png"), dir.path().join("c.png")).unwrap();
    let error = load_error(dir.path());
    assert!(error.contains("1 of 3 pictures cannot be used: c.png: cannot read it (No such file"), "{error}");
}

/// Classes are called after directories, and not after links to them.
#[cfg(unix)]
#[test]
fn a_link_takes_no_class_away() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["cat", "dog", "zoo"] {
        std::fs::create_dir(dir.path().join(class)).unwrap();
        std::fs::write(dir.path().join(class).join("a.png"), photograph("png")).unwrap();
    }
    std::os::unix::fs::symlink("../zoo", dir.path().join("cat/more")).unwrap();
    std::os::unix::fs::symlink("zoo", dir.path().join("all")).unwrap();
    let data = load(dir.path(), 4, 1).unwrap();
    assert_eq!((data.labels(), data.class_names().concat().as_str()), (Some(&[0, 1, 2][..]), "catdogzoo"));
    assert!(
        data.source().ends_with("; 2 links passed over, because their directories were read already (all)")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn paths_need_not_be_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join(OsStr::from_bytes(b"\xff.png")), photograph("png")).unwrap();
    std::fs::write(below.join(OsStr::from_bytes(b"a.\xff")), "").unwrap();
    let source = load(&below, 4, 1).unwrap().source().to_owned();
    assert!(source.contains("caf\u{fffd}; 1 other file passed over (\u{fffd} 1)"), "{source}");
    std::fs::write(below.join(OsStr::from_bytes(b"\xfe.png")), "").unwrap();
    let error = load_error(&below);
    assert!(error.contains("1 of 2 pictures cannot be used: \u{fffd}.png: it is empty"), "{error}");
    // Two classes would become one.
    std::fs::write(below.join(OsStr::from_bytes(b"\xfe.png")), photograph("png")).unwrap();
    let twin = dir.path().join(OsStr::from_bytes(b"caf\xe8"));
    std::fs::create_dir(&twin).unwrap();
    std::fs::write(twin.join("a.png"), photograph("png")).unwrap();
    let expected = format!(
        "data.dir: expected names of directories that differ as Unicode, found two that are both caf\u{fffd} in {}",
        dir.path().display()
    );
    assert_eq!(load_error(dir.path()), expected);
}

#[test]
fn data_of_a_single_colour_are_doubted() {
    let dir = tempfile::tempdir().unwrap();
    // Black ink on a transparent ground.
    for n in 0..3 {
        let ink = RgbaImage::from_fn(8, 8, |x, _| Rgba([0, 0, 0, if x == n { 255 } else { 0 }]));
        ink.save(dir.path().join(format!("{n}.png"))).unwrap();
    }
    let doubt = load(dir.path(), 4, 3).unwrap().doubt().unwrap();
    assert!(
        doubt.starts_with("all 3 images are one and the same colour (0, 0, 0): 3 of them have trans"),
        "{doubt}"
    );
    assert!(doubt.contains("become black (data.background = \"white\" makes them white)"), "{doubt}");
    for n in 0..3 {
        RgbImage::from_pixel(8, 8, Rgb([99, 8, 7])).save(dir.path().join(format!("{n}.png"))).unwrap();
    }
    let doubt = load(dir.path(), 4, 3).unwrap().doubt();
    assert_eq!(doubt.as_deref(), Some("all 3 images are one and the same colour (99, 8, 7)"));
    RgbImage::from_pixel(8, 8, Rgb([99, 8, 6])).save(dir.path().join("2.png")).unwrap();
    assert_eq!(load(dir.path(), 4, 3).unwrap().doubt(), None);
}

#[test]
fn values_of_12_bits_in_pictures_of_16_are_doubted() {
    let dir = tempfile::tempdir().unwrap();
    let save = |name: &str, most: u16| {
        let deep = image::ImageBuffer::from_fn(8, 8, |x, _| Rgba([most, 0, x as u16, u16::MAX]));
        image::DynamicImage::ImageRgba16(deep).save(dir.path().join(name)).unwrap();
    };
    save("a.png", 4095);
    save("b.png", 9);
    RgbImage::from_pixel(8, 8, Rgb([200, 0, 0])).save(dir.path().join("c.png")).unwrap();
    let doubt = load(dir.path(), 4, 3).unwrap().doubt().unwrap();
    assert!(doubt.starts_with("the values of the 16-bit pictures end at 4095 of 65535"), "{doubt}");
    // One picture uses more bits, so the others are dark.
    save("b.png", 4096);
    assert_eq!(load(dir.path(), 4, 3).unwrap().doubt(), None);
}

#[test]
fn a_survey_finds_the_most_common_shape() {
    let dir = tempfile::tempdir().unwrap();
    let gray = |name: &str, width, height| GrayImage::new(width, height).save(dir.path().join(name)).unwrap();
    gray("a.png", 9, 5);
    gray("b.png", 8, 12);
    let found = survey(dir.path()).unwrap();
    // Both sides are equally common.
    assert_eq!(
        (found.channels(), found.side(), found.mixture().unwrap()),
        (1, 5, "1 of side 5, 1 of side 8".into())
    );
    gray("c.png", 8, 8);
    RgbImage::new(8, 20).save(dir.path().join("d.jpg")).unwrap();
    let found = survey(dir.path()).unwrap();
    assert_eq!((found.channels(), found.side()), (3, 8));
    assert_eq!(found.mixture().unwrap(), "3 of side 8, 1 of side 5, 3 gray and 1 RGB");
    assert_eq!(found.sizes(), "1 of 8x8, 1 of 8x12, 1 of 8x20, 1 of 9x5");
    assert_eq!((found.modes(), found.not_square()), ("3 gray, 1 RGB".to_owned(), 3));
    RgbaImage::new(9, 5).save(dir.path().join("e.png")).unwrap();
    image::DynamicImage::new_luma_a16(30, 20).save(dir.path().join("f.png")).unwrap();
    let deep = survey(dir.path()).unwrap();
    assert_eq!(deep.sizes(), "2 of 9x5, 1 of 8x8, 1 of 8x12, 1 of 8x20, 1 of 1 other sizes");
    assert_eq!(deep.modes(), "3 gray, 1 RGB, 1 RGB with transparency, 1 gray with transparency of 16 bits");
    std::fs::remove_file(dir.path().join("e.png")).unwrap();
    std::fs::remove_file(dir.path().join("f.png")).unwrap();
    std::fs::remove_file(dir.path().join("a.png")).unwrap();
    std::fs::remove_file(dir.path().join("d.jpg")).unwrap();
    assert_eq!(survey(dir.path()).unwrap().mixture(), None);
}
