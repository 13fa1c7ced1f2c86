//! Indices, parts, refusals and fingerprints.

use super::*;

fn dataset(labels: Option<Vec<u8>>) -> Result<Dataset> {
    Dataset::new("test", "nowhere", (0..24).collect(), 3, 2, labels)
}

#[test]
fn images_are_found_by_index() {
    let data = dataset(Some(vec![7, 7])).unwrap();
    assert_eq!((data.len(), data.channels(), data.size(), data.is_empty()), (2, 3, 2, false));
    assert_eq!(data.image(1), (12..24).collect::<Vec<u8>>());
    assert_eq!(data.class_counts(), Some([0, 0, 0, 0, 0, 0, 0, 2, 0, 0]));
}

#[test]
fn parts_keep_their_labels() {
    let pixels = (0..5).flat_map(|i| [i * 10; 4]).collect();
    let data = Dataset::new("test", "nowhere", pixels, 1, 2, Some(vec![0, 1, 2, 3, 4])).unwrap();
    let parts = |data: &Dataset| (data.labels().unwrap().to_vec(), data.image(data.len() - 1)[0]);
    assert_eq!(data.halves().map(|half| parts(&half)), [(vec![0, 2, 4], 40), (vec![1, 3], 30)]);
    assert_eq!(parts(&data.clone().spread(2)), (vec![0, 2], 20));
    assert_eq!(data.clone().spread(5), data);
    assert_eq!(data.clone().spread(9), data);
}

#[test]
fn what_does_not_fit_is_refused() {
    for (labels, part) in [(vec![1], "expected 2 in 0..=9, found 1"), (vec![1, 10], "a label 10")] {
        let error = dataset(Some(labels)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(Dataset::new("t", "", vec![0; 8], 2, 2, None).is_err());
    assert!(Dataset::new("t", "", vec![0; 5], 1, 2, None).is_err());
    assert!(Dataset::new("t", "", vec![], 1, 2, None).is_err());
    assert!(Dataset::new("t", "", vec![], 1, 0, None).is_err());
}

#[test]
fn the_fingerprint_covers_pixels_shape_and_labels_only() {
    let data = |pixels, channels, size, labels| {
        Dataset::new("a", "b", pixels, channels, size, labels).unwrap().fingerprint()
    };
    let base = data(vec![0; 12], 3, 2, None);
    assert_eq!(base.len(), 64);
    assert_ne!(base, data(vec![0; 12], 1, 2, None));
    assert_ne!(base, data(vec![1; 12], 3, 2, None));
    assert_ne!(base, data(vec![0; 12], 3, 2, Some(vec![0])));
    let renamed = Dataset::new("x", "y", vec![0; 12], 3, 2, None).unwrap();
    assert_eq!(base, renamed.fingerprint());
}
