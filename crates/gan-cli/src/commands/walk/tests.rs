//! Tests the times of a path, and the default number of images.

use super::*;

#[test]
fn a_closed_path_visits_each_stop_at_its_time() {
    assert_eq!(between(0., 4), (0, 0.));
    assert_eq!(between(0.25, 4), (1, 0.));
    assert_eq!(between(0.875, 4), (3, 0.5));
}

#[test]
fn the_default_number_of_images_makes_a_small_file() {
    // 120 frames of digits in a GIF, and of 64x64 and 128x128 RGB in a GIF and an animated PNG.
    for (bytes, expected) in
        [(30 * 30, 64), (66 * 66, 9), (66 * 66 * 3, 4), (130 * 130, 1), (130 * 130 * 3, 1)]
    {
        assert_eq!(images(bytes * 120), expected);
    }
}
