//! Tests grids at odd sizes, pixel by pixel, and the files that they are written to.

use super::*;
use crate::Range;
use candle_core::Device;

/// Images `[count, channels, 5, 7]`. Each byte identifies its image, channel and place.
fn images(count: usize, channels: usize) -> Tensor {
    let pixels: Vec<u8> = (0..count * channels * 35).map(|n| (n % 251) as u8 + 1).collect();
    normalize::to_tensor(&pixels, (count, channels, 5, 7), Range::MinusOneOne, &Device::Cpu).unwrap()
}

/// The byte of [`images`] at this place.
fn byte(channels: usize, image: usize, channel: usize, row: usize, col: usize) -> u8 {
    (((image * channels + channel) * 35 + row * 7 + col) % 251) as u8 + 1
}

/// Compares every pixel of a grid of `count` images with the definition.
fn check(grid: &Grid, count: usize, columns: usize, channels: usize) {
    let rows = count.div_ceil(columns);
    assert_eq!((grid.height(), grid.width()), (2 + rows * 7, 2 + columns * 9));
    assert_eq!(grid.pixels().len(), grid.height() * grid.width() * channels);
    for (index, &found) in grid.pixels().iter().enumerate() {
        let (y, x, channel) =
            (index / channels / grid.width(), index / channels % grid.width(), index % channels);
        let (cell_y, cell_x) = (y % 7, x % 9);
        let image = y / 7 * columns + x / 9;
        let inside = cell_y >= 2 && cell_x >= 2 && image < count;
        let expected = if inside { byte(channels, image, channel, cell_y - 2, cell_x - 2) } else { 0 };
        assert_eq!(found, expected, "x {x}, y {y}, channel {channel}");
    }
}

#[test]
fn every_pixel_is_in_its_place() {
    for (count, columns, channels) in [(7, 3, 1), (7, 1, 1), (7, 7, 3), (7, 3, 3), (1, 1, 3), (6, 2, 1)] {
        check(&Grid::new(&images(count, channels), columns).unwrap(), count, columns, channels);
    }
}

#[test]
fn single_pixels_of_seven_images_in_three_columns() {
    let grid = Grid::new(&images(7, 1), 3).unwrap();
    assert_eq!((grid.width(), grid.height()), (29, 23));
    let at = |x: usize, y: usize| grid.pixels()[y * 29 + x];
    assert_eq!((at(0, 0), at(1, 2), at(2, 2)), (0, 0, 1));
    assert_eq!((at(8, 6), at(9, 6), at(10, 6), at(11, 6)), (35, 0, 0, 64));
    // The seventh image is the only one in the last row.
    assert_eq!((at(2, 16), at(11, 16)), (211, 0));
}

#[test]
fn more_columns_than_images_are_as_many_as_images() {
    assert_eq!(Grid::new(&images(3, 1), 9).unwrap(), Grid::new(&images(3, 1), 3).unwrap());
}

#[test]
fn parts_make_the_same_grid() {
    let all = images(7, 3);
    let mut builder = GridBuilder::new(7, 3, 3, 5, 7).unwrap();
    for (start, length) in [(0, 2), (2, 1), (3, 4)] {
        builder.push(&all.narrow(0, start, length).unwrap()).unwrap();
    }
    assert_eq!(builder.finish(), Grid::new(&all, 3).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut builder = GridBuilder::new(3, 3, 1, 5, 7).unwrap();
    builder.push(&images(2, 1)).unwrap();
    let error = builder.push(&images(2, 1)).unwrap_err().to_string();
    assert_eq!(error, "images: expected [up to 1, 1, 5, 7], found [2, 1, 5, 7]");
    assert!(builder.push(&images(1, 3)).is_err());
    assert!(Grid::new(&images(2, 1), 0).is_err());
    assert!(Grid::new(&images(2, 1).narrow(0, 0, 0).unwrap(), 1).is_err());
    assert!(Grid::new(&images(2, 1).squeeze(1).unwrap(), 1).is_err());
    assert!(GridBuilder::new(1, 1, 2, 5, 7).is_err());
    assert!(GridBuilder::new(usize::MAX, 3, 1, 5, 7).is_err());
}

#[test]
fn png_files_hold_the_pixels() {
    let dir = tempfile::tempdir().unwrap();
    for channels in [1, 3] {
        let path = dir.path().join("grid.png");
        let grid = Grid::new(&images(7, channels), 3).unwrap();
        grid.save_png(&path).unwrap();
        let read = image::open(&path).unwrap();
        assert_eq!(usize::from(read.color().channel_count()), channels);
        assert_eq!((read.width(), read.height()), (29, 23));
        assert_eq!(read.as_bytes(), grid.pixels());

        save_image(&path, &images(2, channels).get(1).unwrap()).unwrap();
        let read = image::open(&path).unwrap();
        assert_eq!((read.width(), read.height()), (7, 5));
        let last = byte(channels, 1, channels - 1, 4, 6);
        assert_eq!(read.as_bytes().last(), Some(&last));
    }
    let lost = dir.path().join("absent").join("grid.png");
    let error = Grid::new(&images(1, 1), 1).unwrap().save_png(&lost).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write {}", lost.display()));
    assert!(save_image(&lost, &images(1, 1)).is_err(), "four dimensions are not an image");
}
