//! Tests that an index gives the same image, with the right digits, at every size and in every
//! part.

use candle_core::Device;

use crate::{Batches, BatchesConfig, Dataset, LastBatch, Range, normalize};

/// `base` gray images of 28x28. Each has its own gray around one white pixel.
fn digits(base: u8) -> Dataset {
    let pixels = (0..base).flat_map(|digit| {
        let mut plane = [digit * 2; 784];
        plane[100] = 255;
        plane
    });
    let data = Dataset::new("digits", "nowhere", pixels.collect(), 1, 28).unwrap();
    data.with_labels(vec![3; base.into()], 10).unwrap()
}

fn stacks(base: u8, seed: u64, count: usize) -> Dataset {
    digits(base).stacked(seed, count).unwrap()
}

/// The digit of each channel, found by its gray. The other pixels are checked too.
fn seen(image: &[u8]) -> [u8; 3] {
    let planes: Vec<u8> = image
        .chunks_exact(784)
        .map(|plane| {
            assert!(plane[100] == 255 && plane[1..100].iter().all(|&pixel| pixel == plane[0]));
            plane[0] / 2
        })
        .collect();
    planes.try_into().unwrap()
}

#[test]
fn an_image_depends_on_seed_and_index_alone() {
    let (one, many) = (stacks(50, 7, 40), stacks(50, 7, 10_000_000));
    assert_eq!((one.len(), one.channels(), one.size(), one.labels()), (40, 3, 28, None));
    assert_eq!((many.len(), one.is_empty(), one.class_counts()), (10_000_000, false, None));
    let forward: Vec<_> = (0..40).map(|index| seen(&one.image(index))).collect();
    for index in (0..40).rev() {
        assert_eq!(seen(&many.image(index)), forward[index]);
    }
    let other: Vec<_> = (0..40).map(|index| seen(&stacks(50, 8, 40).image(index))).collect();
    assert_ne!(other, forward);
    // The training data of existing runs must not change. These are the first stacks of
    // `stacked-mnist` with 50 digits.
    let stacked: crate::Source = "stacked-mnist".parse().unwrap();
    let of_old = stacks(50, stacked.composed().unwrap().seed, 2);
    assert_eq!([0, 1].map(|index| seen(&of_old.image(index))), [[27, 24, 11], [13, 5, 4]]);
}

#[test]
fn every_digit_is_as_frequent_in_every_channel_and_channels_are_independent() {
    let data = stacks(5, 1, 25_000);
    let (mut single, mut pairs) = ([[0i32; 5]; 3], [[0i32; 25]; 3]);
    for index in 0..data.len() {
        let seen = seen(&data.image(index)).map(usize::from);
        for channel in 0..3 {
            single[channel][seen[channel]] += 1;
            pairs[channel][5 * seen[channel] + seen[(channel + 1) % 3]] += 1;
        }
    }
    // The limits are five standard deviations of binomials with n = 25000, p = 1/5 and 1/25.
    assert!(single.as_flattened().iter().all(|count| (count - 5000).abs() < 317), "{single:?}");
    assert!(pairs.as_flattened().iter().all(|count| (count - 1000).abs() < 155), "{pairs:?}");
}

#[test]
fn parts_are_stacks_of_the_whole() {
    let data = stacks(50, 7, 9);
    let all: Vec<_> = (0..9).map(|index| seen(&data.image(index))).collect();
    let of = |data: &Dataset| (0..data.len()).map(|index| seen(&data.image(index))).collect::<Vec<_>>();
    let [even, odd] = data.halves();
    assert_eq!(of(&even), all.iter().copied().step_by(2).collect::<Vec<_>>());
    assert_eq!(of(&odd), all.iter().copied().skip(1).step_by(2).collect::<Vec<_>>());
    assert_eq!(of(&odd.clone().spread(2)), [all[1], all[5]]);
    assert_eq!(of(&odd.spread(2).halves()[1]), [all[5]]);
    assert_eq!(data.clone().spread(9), data);
    let renamed = data.named("stacked-mnist");
    assert_eq!(
        (renamed.name(), renamed.source()),
        ("stacked-mnist", "stacks of three of 50 images: nowhere")
    );
}

#[test]
fn resizing_frames_each_channel() {
    let data = stacks(50, 7, 3);
    let resized = data.clone().resize(32).unwrap();
    assert_eq!((resized.len(), resized.size()), (3, 32));
    let (small, large) = (data.image(2), resized.image(2));
    assert_eq!(large.len(), 3 * 32 * 32);
    for channel in 0..3 {
        for (y, row) in large[channel * 1024..][..1024].chunks_exact(32).enumerate() {
            let expected = match y {
                2..30 => [&[0; 2], &small[channel * 784 + (y - 2) * 28..][..28], &[0; 2]].concat(),
                _ => vec![0; 32],
            };
            assert!(row == expected, "channel {channel}, row {y}");
        }
    }
    // A part shares its digits with the whole. The whole keeps its size.
    let half = &data.halves()[0];
    assert_eq!(half.clone().resize(64).unwrap().image(0).len(), 3 * 64 * 64);
    assert_eq!(half.image(0), data.image(0));
}

#[test]
fn tensors_hold_the_images() {
    let data = stacks(50, 7, 20);
    let tensor = data.tensor(&[4, 0, 4], 3, Range::MinusOneOne, &Device::Cpu).unwrap();
    assert_eq!(tensor.dims(), [3, 3, 28, 28]);
    let expected = [4, 0, 4].map(|index| data.image(index)).concat();
    assert!(normalize::from_tensor(&tensor).unwrap() == expected);
    let chunks: Vec<_> =
        data.tensors(5, 2, 3, Range::MinusOneOne, &Device::Cpu).map(Result::unwrap).collect();
    assert_eq!(chunks.iter().map(|chunk| chunk.dims()[0]).collect::<Vec<_>>(), [2, 2, 1]);
    assert!(normalize::from_tensor(&chunks[2]).unwrap() == *data.image(16));

    let error = data.tensor(&[0], 1, Range::MinusOneOne, &Device::Cpu).unwrap_err().to_string();
    assert_eq!(error, "channels: expected 3, as the data are RGB (model.channels = 3), found 1");
    let config = BatchesConfig {
        batch_size: 4,
        seed: 0,
        range: Range::MinusOneOne,
        channels: 3,
        keep_last: LastBatch::Drop,
        flip: false,
    };
    let batches = Batches::new(data, config).unwrap();
    assert_eq!(batches.batch(3, &Device::Cpu).unwrap().dims(), [4, 3, 28, 28]);
}

#[test]
fn the_fingerprint_covers_digits_seed_and_choice() {
    let base = stacks(50, 7, 20);
    let print = base.fingerprint();
    assert_eq!(print, base.clone().named("another").fingerprint());
    for other in [stacks(49, 7, 20), stacks(50, 8, 20), stacks(50, 7, 21), base.clone().resize(32).unwrap()] {
        assert_ne!(print, other.fingerprint());
    }
    let [even, odd] = base.halves();
    assert_ne!(even.fingerprint(), odd.fingerprint());
    assert_ne!(even.fingerprint(), stacks(50, 7, 10).fingerprint());
    let pixels = (0..20).flat_map(|index| base.image(index).into_owned()).collect();
    assert_ne!(print, Dataset::new("stored", "", pixels, 3, 28).unwrap().fingerprint());
}

#[test]
fn what_cannot_be_stacked_is_refused() {
    let error = |data: Dataset, count| data.stacked(0, count).unwrap_err().to_string();
    assert_eq!(error(digits(2), 0), "stacks: expected at least 1, found 0");
    assert_eq!(error(stacks(2, 0, 2), 5), "channels: expected 1, to stack gray images, found 3");
}

#[test]
#[should_panic(expected = "index 4 of 4 stacks")]
fn there_is_no_image_after_the_last() {
    let _ = stacks(5, 0, 4).image(4);
}
