//! Tests indices, parts, errors and fingerprints.

use super::*;

fn dataset(labels: Vec<u16>, classes: usize) -> Result<Dataset> {
    Dataset::new("test", "nowhere", (0..24).collect(), 3, 2)?.with_labels(labels, classes)
}

#[test]
fn images_are_found_by_index() {
    let data = dataset(vec![7, 7], 10).unwrap();
    assert_eq!((data.len(), data.channels(), data.size(), data.is_empty()), (2, 3, 2, false));
    assert_eq!(data.image(1), (12..24).collect::<Vec<u8>>());
    assert_eq!(data.class_counts(), Some(vec![0, 0, 0, 0, 0, 0, 0, 2, 0, 0]));
}

#[test]
fn there_are_up_to_a_thousand_classes() {
    let counts = dataset(vec![999, 46], 1000).unwrap().class_counts().unwrap();
    assert_eq!((counts.len(), counts[46], counts[999], counts.iter().sum::<usize>()), (1000, 1, 1, 2));
    assert_eq!(dataset(vec![46, 46], 47).unwrap().spread(1).class_counts().unwrap()[46], 1);
    for classes in [0, 1001] {
        let error = dataset(vec![0, 0], classes).unwrap_err().to_string();
        assert_eq!(error, format!("classes: expected 1..=1000, found {classes}"));
    }
}

#[test]
fn classes_have_one_name_each() {
    let names = |names: &[&str]| {
        let names = names.iter().map(ToString::to_string).collect();
        dataset(vec![0, 1], 2).unwrap().with_class_names(names).map_err(|error| error.to_string())
    };
    assert_eq!(names(&["cat", "dog"]).unwrap().spread(1).class_names(), ["cat", "dog"]);
    assert_eq!(names(&["cat"]).unwrap_err(), "class names: expected 2, one for each class, found 1");
    assert_eq!(names(&["cat", "cat"]).unwrap_err(), "class names: expected different names, found cat twice");
    let unlabelled = Dataset::new("test", "nowhere", vec![0; 12], 3, 2).unwrap();
    assert!(unlabelled.class_names().is_empty() && unlabelled.with_class_names(vec![]).is_err());
}

#[test]
fn parts_keep_their_labels() {
    let pixels = (0..5).flat_map(|i| [i * 10; 4]).collect();
    let data = Dataset::new("test", "nowhere", pixels, 1, 2).unwrap();
    let data = data.with_labels(vec![0, 1, 2, 3, 4], 10).unwrap();
    let parts = |data: &Dataset| (data.labels().unwrap().to_vec(), data.image(data.len() - 1)[0]);
    assert_eq!(data.halves().map(|half| parts(&half)), [(vec![0, 2, 4], 40), (vec![1, 3], 30)]);
    assert_eq!(parts(&data.clone().spread(2)), (vec![0, 2], 20));
    assert_eq!(data.clone().spread(5), data);
    assert_eq!(data.clone().spread(9), data);
}

#[test]
fn rgb_images_with_equal_channels_become_gray() {
    let data = |pixels: &[u8]| Dataset::new("test", "nowhere", pixels.to_vec(), 3, 2).unwrap();
    let pixels = [[1, 2, 3, 4].repeat(3), [5, 6, 7, 8].repeat(3)].concat();
    let gray = data(&pixels).with_labels(vec![1, 0], 2).unwrap().gray().unwrap();
    assert_eq!((gray.len(), gray.channels(), gray.labels()), (2, 1, Some(&[1, 0][..])));
    assert_eq!((&*gray.image(0), &*gray.image(1)), (&[1, 2, 3, 4][..], &[5, 6, 7, 8][..]));
    assert_eq!(gray.gray(), None, "it is gray already");
    let mut colored = pixels;
    colored[23] += 1;
    assert_eq!(data(&colored).gray(), None);
}

#[test]
fn images_of_a_single_colour_are_doubted() {
    let data =
        |pixels: &[u8], channels| Dataset::new("test", "nowhere", pixels.to_vec(), channels, 2).unwrap();
    let doubt = |pixels: &[u8], channels| data(pixels, channels).doubt();
    assert_eq!(doubt(&[7; 8], 1).unwrap(), "all 2 images are one and the same colour (7)");
    let color = [[1; 4], [2; 4], [33; 4]].concat();
    assert_eq!(doubt(&color, 3).unwrap(), "the only image is of one colour (1, 2, 33)");
    assert_eq!(doubt(&color, 1), None);
    assert_eq!(doubt(&[[77; 4], [77, 77, 77, 78]].concat(), 1), None);
    assert_eq!(doubt(&[[7, 7, 7, 80]; 2].concat(), 1).unwrap(), "all 2 images are the same");
    assert_eq!(doubt(&[7, 7, 7, 80], 1), None);
    let dark = doubt(&[[0, 1, 2, 15], [0, 1, 2, 3]].concat(), 1).unwrap();
    assert!(dark.starts_with("the largest value is 15 of 255, so the images are nearly black"), "{dark}");
    assert_eq!(doubt(&[[0, 1, 2, 16], [0, 1, 2, 3]].concat(), 1), None);
    assert!(data(&[7; 8], 1).stacked(0, 5).unwrap().doubt().is_some());
}

#[test]
fn what_does_not_fit_is_refused() {
    for (labels, part) in [(vec![1], "expected 2 in 0..=9, found 1"), (vec![1, 10], "a label 10")] {
        let error = dataset(labels, 10).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(Dataset::new("t", "", vec![0; 8], 2, 2).is_err());
    assert!(Dataset::new("t", "", vec![0; 5], 1, 2).is_err());
    assert!(Dataset::new("t", "", vec![], 1, 2).is_err());
    assert!(Dataset::new("t", "", vec![], 1, 0).is_err());
}

#[test]
fn the_fingerprint_covers_pixels_shape_and_labels_only() {
    let data = |pixels, channels, size| Dataset::new("a", "b", pixels, channels, size).unwrap();
    let print = |pixels, channels, size| data(pixels, channels, size).fingerprint();
    let base = print(vec![0; 12], 3, 2);
    assert_eq!(base.len(), 64);
    assert_ne!(base, print(vec![0; 12], 1, 2));
    assert_ne!(base, print(vec![1; 12], 3, 2));
    let labelled = |classes| data(vec![0; 12], 3, 2).with_labels(vec![0], classes).unwrap().fingerprint();
    assert_ne!(base, labelled(10));
    assert_eq!(labelled(10), labelled(11));
    // Labels that fit into a byte take one, as they always did.
    let pair = |labels| data(vec![0; 24], 3, 2).with_labels(labels, 1000).unwrap().fingerprint();
    assert_ne!(pair(vec![1, 0]), pair(vec![0, 1]));
    assert_ne!(pair(vec![1, 0]), pair(vec![257, 0]));
    // A picture that is held out belongs to the data, too.
    let trained = |held_out| {
        let pixels = [[held_out; 4], [1; 4], [2; 4]].concat();
        data(pixels, 1, 2).hold_out(0.3).unwrap()[0].clone()
    };
    assert_eq!(trained(7).image(0), trained(8).image(0));
    assert_eq!(trained(7).fingerprint(), trained(7).spread(9).fingerprint());
    assert_ne!(trained(7).fingerprint(), trained(8).fingerprint());
    assert_ne!(trained(7).fingerprint(), data([[1; 4], [2; 4]].concat(), 1, 2).fingerprint());
    let renamed = Dataset::new("x", "y", vec![0; 12], 3, 2).unwrap();
    assert_eq!(base, renamed.fingerprint());
}

/// Images of classes that take turns, as a conditional generator draws them.
#[test]
fn scattered_indices_meet_every_class() {
    for (all, count) in [(10_000, 2500), (12_500, 2500), (1000, 64), (7, 7), (5, 9)] {
        let chosen = scattered(all, count);
        assert_eq!(chosen.len(), count.min(all));
        assert!(chosen.is_sorted_by(|a, b| a < b) && chosen.iter().all(|index| *index < all));
        let mut shares = [0.; 10];
        for index in &chosen {
            shares[index % 10] += 10. / chosen.len() as f64;
        }
        let spread = if count < 1000 { 0.9 } else { 0.2 };
        assert!(all < 10 || shares.iter().all(|share| (share - 1.).abs() < spread), "{shares:?}");
    }
    assert_eq!(scattered(8, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
}
