//! Pooling with any window, and maps side by side.

use candle_core::{DType, Device, Result, Tensor};
use gan_ops::fused::Maps;
use gan_ops::rng::Stream;
use gan_ops::{Window, max_pool, mean_pool};

fn random(shape: (usize, usize, usize, usize)) -> Result<Tensor> {
    // Most values are negative, so a zero outside the image would be the largest.
    Stream::new(3, "pooling-test", 0).normal(shape, &Device::Cpu)? - 1.
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

const WINDOWS: [Window; 6] = [
    Window { size: 3, stride: 1, padding: 1 },
    Window { size: 3, stride: 2, padding: 0 },
    Window { size: 3, stride: 2, padding: 1 },
    Window { size: 5, stride: 3, padding: 2 },
    Window { size: 1, stride: 1, padding: 0 },
    Window { size: 4, stride: 1, padding: 0 },
];

/// Computes the pooling by its definition: `join` of the values of a square that are in the image.
fn by_hand(x: &Tensor, window: Window, join: fn(&[f32]) -> f32) -> Result<Vec<f32>> {
    let (_, _, height, width) = x.dims4()?;
    let mut results = vec![];
    for plane in x.flatten_to(1)?.to_vec3::<f32>()? {
        for top in (0..=height + 2 * window.padding - window.size).step_by(window.stride) {
            for left in (0..=width + 2 * window.padding - window.size).step_by(window.stride) {
                let within = |start: usize, length: usize| {
                    (start..start + window.size)
                        .filter_map(move |at| at.checked_sub(window.padding))
                        .filter(move |&at| at < length)
                };
                let square: Vec<f32> = within(top, height)
                    .flat_map(|y| within(left, width).map(move |x| (y, x)))
                    .map(|(y, x)| plane[y][x])
                    .collect();
                results.push(join(&square));
            }
        }
    }
    Ok(results)
}

#[test]
fn pools_equal_their_definition() -> Result<()> {
    let most = |square: &[f32]| square.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mean = |square: &[f32]| square.iter().sum::<f32>() / square.len() as f32;
    for shape in [(3, 2, 5, 7), (17, 70, 6, 4)] {
        let x = random(shape)?;
        let maps = Maps::from_tensor(&x)?;
        for window in WINDOWS {
            let expected = by_hand(&x, window, most)?;
            assert_eq!(values(&max_pool(&x, window)?), expected, "{window:?}");
            let found = maps.max_pool(window)?;
            assert_eq!(values(&found.to_tensor()?), expected, "{window:?}");
            assert_eq!(found.image(), [shape.1, window.places(shape.2)?, window.places(shape.3)?]);
            let expected = by_hand(&x, window, mean)?;
            for found in [mean_pool(&x, window)?, maps.mean_pool(window)?.to_tensor()?] {
                let found = values(&found);
                assert_eq!(found.len(), expected.len());
                let close = |(found, expected): (&f32, &f32)| (found - expected).abs() < 1e-5;
                assert!(found.iter().zip(&expected).all(close), "{window:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_largest_value_does_not_hide_nan() -> Result<()> {
    for at in 0..4 {
        let mut values = [1f32, 2., 3., 4.];
        values[at] = f32::NAN;
        let maps = Maps::from_tensor(&Tensor::from_slice(&values, (1, 1, 2, 2), &Device::Cpu)?)?;
        let most = maps.max_pool(Window { size: 2, stride: 1, padding: 0 })?;
        assert!(self::values(&most.to_tensor()?)[0].is_nan(), "{at}");
    }
    Ok(())
}

#[test]
fn maps_beside_each_other_are_concatenated_channels() -> Result<()> {
    let parts = [random((17, 3, 4, 5))?, random((17, 1, 4, 5))?, random((17, 20, 4, 5))?];
    let maps = parts.iter().map(Maps::from_tensor).collect::<Result<Vec<_>>>()?;
    let joined = Maps::beside(&maps)?;
    assert_eq!(joined.image(), [24, 4, 5]);
    assert_eq!(values(&joined.to_tensor()?), values(&Tensor::cat(&parts, 1)?));
    assert!(Maps::beside(&[]).is_err());
    for other in [(17, 3, 5, 4), (16, 3, 4, 5), (17, 3, 4, 4)] {
        assert!(Maps::beside(&[maps[0].clone(), Maps::from_tensor(&random(other)?)?]).is_err(), "{other:?}");
    }
    Ok(())
}

#[test]
fn a_window_that_does_not_fit_is_an_error() -> Result<()> {
    let x = Tensor::zeros((1, 1, 4, 2), DType::F32, &Device::Cpu)?;
    let maps = Maps::from_tensor(&x)?;
    for (size, stride, padding) in [
        (0, 1, 0),
        (1, 0, 0),
        (3, 1, 2),
        (3, 1, 0),
        (5, 1, 1),
        (usize::MAX, 1, usize::MAX / 2),
        (1, 1, usize::MAX),
    ] {
        let window = Window { size, stride, padding };
        assert!(max_pool(&x, window).is_err() && mean_pool(&x, window).is_err(), "{window:?}");
        assert!(maps.max_pool(window).is_err() && maps.mean_pool(window).is_err(), "{window:?}");
    }
    assert!(max_pool(&x.flatten_from(2)?, WINDOWS[0]).is_err());
    Ok(())
}
