//! Tests the order of the images, the batches and their labels.

use super::*;
use crate::rng::below;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn dataset(count: usize, channels: usize) -> Dataset {
    let pixels = (0..count).flat_map(|image| (0..channels * 4).map(move |n| (image + n) as u8));
    Dataset::new("test", "nowhere", pixels.collect(), channels, 2).unwrap()
}

fn config(batch_size: usize) -> BatchesConfig {
    let keep_last = LastBatch::Drop;
    BatchesConfig { batch_size, seed: 7, range: Range::MinusOneOne, channels: 1, keep_last, flip: false }
}

fn batches(count: usize, config: BatchesConfig) -> Batches {
    Batches::new(dataset(count, 1), config).unwrap()
}

#[test]
fn chunks_at_even_distances_cover_the_data() {
    let pixels = (0..7).flat_map(|i| [i * 20; 4]).collect();
    let data = Dataset::new("test", "nowhere", pixels, 1, 2).unwrap();
    let config = BatchesConfig {
        batch_size: 1,
        seed: 0,
        range: Range::ZeroOne,
        channels: 3,
        keep_last: LastBatch::Drop,
        flip: false,
    };
    let batches = Batches::new(data, config).unwrap();
    let firsts = |count: usize, chunk| -> Vec<u8> {
        let chunks = batches.spread(count, chunk, &Device::Cpu).map(Result::unwrap);
        let values = chunks.flat_map(|chunk| {
            assert_eq!(chunk.dims()[1..], [3, 2, 2]);
            chunk.flatten_from(1).unwrap().to_vec2::<f32>().unwrap()
        });
        values.map(|image| (image[11] * 255. / 20.).round() as u8).collect()
    };
    assert_eq!(firsts(3, 2), [0, 2, 4]);
    assert_eq!(firsts(7, 3), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(firsts(9, 100), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn seeking_is_stepping() {
    let (one, other) = (batches(103, config(10)), batches(103, config(10)));
    let sequence: Vec<_> = (0..45).map(|step| one.indices(step)).collect();
    for step in [44, 0, 13, 13, 9, 10, 30] {
        assert_eq!(other.indices(step), sequence[step as usize], "step {step}");
    }
    let seed = batches(103, BatchesConfig { seed: 8, ..config(10) });
    assert_ne!(seed.indices(0), sequence[0]);
}

#[test]
fn an_epoch_has_every_image_once() {
    for (count, keep_last, expected) in [
        (103, LastBatch::Keep, (11, 3, 103)),
        (103, LastBatch::Drop, (10, 10, 100)),
        (60, LastBatch::Keep, (6, 10, 60)),
        (60, LastBatch::Drop, (6, 10, 60)),
        (10, LastBatch::Drop, (1, 10, 10)),
    ] {
        let batches = batches(count, BatchesConfig { keep_last, ..config(10) });
        let steps = batches.batches_per_epoch();
        for epoch in 0..3 {
            let parts: Vec<_> =
                (epoch * steps..(epoch + 1) * steps).map(|step| batches.indices(step)).collect();
            let mut all = parts.concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!((steps, parts[parts.len() - 1].len(), all.len()), expected);
            assert!(all.iter().all(|&index| (index as usize) < count));
            assert_eq!(
                (batches.epoch_of(epoch * steps), batches.epoch_of((epoch + 1) * steps - 1)),
                (epoch, epoch)
            );
        }
    }
}

#[test]
fn epochs_differ() {
    let batches = batches(50, config(50));
    assert_ne!(batches.indices(0), batches.indices(1));
}

/// Resumed runs depend on these numbers, so they must be the same on every platform and after every
/// update. A second implementation, with its own stream, gave the same numbers.
#[test]
fn the_order_is_pinned() {
    assert_eq!(shuffled(60_000, 42, 0)[..6], [35_722, 40_360, 55_070, 35_895, 40_697, 23_640]);
    assert_eq!(shuffled(60_000, 42, 3)[..6], [20_725, 49_128, 37_403, 22_592, 28_142, 16_131]);
}

#[test]
fn bounded_numbers_are_uniform() {
    let mut rng = ChaCha8Rng::from_seed([1; 32]);
    let mut counts = [0_i32; 7];
    for _ in 0..70_000 {
        counts[below(7, &mut rng) as usize] += 1;
    }
    // The limit is five standard deviations of a binomial with n = 70000, p = 1/7.
    assert!(counts.iter().all(|count| (count - 10_000).abs() < 463), "{counts:?}");
    assert_eq!(below(1, &mut rng), 0);
}

#[test]
fn batches_hold_the_images_of_their_indices() {
    let gray = batches(9, config(4));
    let batch = gray.batch(5, &Device::Cpu).unwrap();
    assert_eq!(batch.dims(), [4, 1, 2, 2]);
    let expected: Vec<u8> =
        gray.indices(5).iter().flat_map(|&index| gray.dataset().image(index as usize).into_owned()).collect();
    assert_eq!(crate::normalize::from_tensor(&batch).unwrap(), expected);

    let tripled = batches(9, BatchesConfig { channels: 3, ..config(4) }).batch(5, &Device::Cpu).unwrap();
    assert_eq!(tripled.dims(), [4, 3, 2, 2]);
    for channel in 0..3 {
        let one = tripled.narrow(1, channel, 1).unwrap();
        assert_eq!(crate::normalize::from_tensor(&one).unwrap(), expected);
    }
}

#[test]
fn half_of_the_images_are_mirrored() {
    let pixels = |batches: &Batches, step| {
        let batch = batches.batch(step, &Device::Cpu).unwrap();
        crate::normalize::from_tensor(&batch).unwrap()
    };
    let (plain, flipped) = (batches(64, config(64)), batches(64, BatchesConfig { flip: true, ..config(64) }));
    assert_eq!(plain.indices(3), flipped.indices(3));
    let mut choices = vec![];
    for step in 0..20 {
        let (plain, flipped) = (pixels(&plain, step), pixels(&flipped, step));
        for (image, found) in plain.chunks_exact(4).zip(flipped.chunks_exact(4)) {
            let &[a, b, c, d] = image else { panic!() };
            assert!(found == [a, b, c, d] || found == [b, a, d, c], "{image:?} {found:?}");
            choices.push(found == [b, a, d, c]);
        }
    }
    // 1280 fair coins: 640 with a standard deviation of 18.
    let mirrored = choices.iter().filter(|&&mirrored| mirrored).count();
    assert!((550..730).contains(&mirrored), "{mirrored}");
    assert_ne!(choices[..64], choices[64..128]);
    let again = batches(64, BatchesConfig { flip: true, ..config(64) });
    assert_eq!(pixels(&flipped, 7), pixels(&again, 7));
}

#[test]
fn impossible_batches_are_refused() {
    for (channels, config, part) in [
        (1, config(0), "data.batch-size: expected 1..=9 (the images in test), found 0"),
        (1, config(10), "data.batch-size: expected 1..=9 (the images in test), found 10"),
        (3, config(4), "batch channels: expected 3, as the data are RGB (model.channels = 3), found 1"),
        (
            1,
            BatchesConfig { channels: 2, ..config(4) },
            "batch channels: expected 1 (gray) or 3 (RGB), found 2",
        ),
    ] {
        assert_eq!(Batches::new(dataset(9, channels), config).unwrap_err().to_string(), part);
    }
}
