//! Tests precision, recall, density and coverage.

use super::*;
use candle_core::Device;
use gan_ops::rng::Stream;

fn normal(index: u64, count: usize, width: usize) -> Tensor {
    Stream::new(0, "manifold", index).normal((count, width), &Device::Cpu).unwrap()
}

fn column(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap().unsqueeze(1).unwrap()
}

fn between(real: &Tensor, generated: &Tensor, k: usize) -> Overlap {
    Manifold::new(real, k).unwrap().overlap(&Manifold::new(generated, k).unwrap()).unwrap()
}

/// Computes the overlap directly from its definition, in f64.
fn direct(real: &Manifold, generated: &Manifold) -> Overlap {
    let distances: Vec<Vec<f64>> = {
        let (a, b, width) = (real.points.values(), generated.points.values(), real.points.width());
        a.chunks(width).map(|a| b.chunks(width).map(|b| squared_distance(a, b)).collect()).collect()
    };
    let (n, m) = (distances.len(), distances[0].len());
    let at = |j: usize, i: usize| distances[j][i] < real.squared_radii[j];
    let recalled = |j: usize| (0..m).any(|i| distances[j][i] < generated.squared_radii[i]);
    let share = |count: usize, of: usize| count as f64 / of as f64;
    Overlap {
        precision: share((0..m).filter(|&i| (0..n).any(|j| at(j, i))).count(), m),
        recall: share((0..n).filter(|&j| recalled(j)).count(), n),
        density: share((0..n).map(|j| (0..m).filter(|&i| at(j, i)).count()).sum(), real.k * m),
        coverage: share((0..n).filter(|&j| (0..m).any(|i| at(j, i))).count(), n),
    }
}

#[test]
fn of_a_few_points_by_hand() {
    let real = Manifold::new(&column(&[0., 1., 3., 15.]), 1).unwrap();
    assert_eq!(real.radii().collect::<Vec<_>>(), [1., 1., 2., 12.]);
    let generated = Manifold::new(&column(&[0.5, 2., 30.]), 1).unwrap();
    assert_eq!(generated.radii().collect::<Vec<_>>(), [1.5, 1.5, 28.]);
    // The distance from 1 to 2 equals the radius of 1, so 2 is not within the ball.
    let expected = Overlap { precision: 2. / 3., recall: 1., density: 1., coverage: 0.75 };
    assert_eq!(real.overlap(&generated).unwrap(), expected);
}

#[test]
fn a_set_overlaps_with_itself() {
    let points = normal(0, 200, 5);
    let expected = Overlap { precision: 1., recall: 1., density: 1., coverage: 1. };
    assert_eq!(between(&points, &points, 3), expected);
}

#[test]
fn a_collapse_is_precise_and_recalls_little() -> Result<()> {
    let real = normal(0, 300, 5);
    let fair = between(&real, &normal(1, 200, 5), 3);
    assert!(fair.precision > 0.7 && fair.recall > 0.7 && fair.coverage > 0.6, "{fair:?}");
    let around_one = ((normal(1, 200, 5) * 0.01)? + real.narrow(0, 0, 1)?.broadcast_as((200, 5))?)?;
    let collapsed = between(&real, &around_one, 3);
    assert_eq!(collapsed, Overlap { precision: 1., ..collapsed });
    assert!(collapsed.recall < 0.02 && collapsed.coverage < 0.1, "{collapsed:?}");
    let point = real.narrow(0, 0, 1)?.repeat((200, 1))?;
    let collapsed = between(&real, &point, 3);
    assert_eq!(collapsed, Overlap { precision: 1., recall: 0., ..collapsed });
    let nothing_like_it = between(&real, &(normal(1, 200, 5) + 100.)?, 3);
    assert_eq!(nothing_like_it, Overlap { precision: 0., recall: 0., density: 0., coverage: 0. });
    Ok(())
}

#[test]
fn is_that_of_f64_whatever_the_tiles() -> Result<()> {
    let (real, generated) = (normal(0, 150, 9), normal(1, 75, 9));
    let far = |x: &Tensor| (x * 1e-3).unwrap() + 1000.;
    let cases = [
        ("alike", real.clone(), generated.clone()),
        ("noise, whose balls hold everything", (&real * 0.1)?, (&generated * 3.)?),
        ("far from the origin", far(&real)?, far(&generated)?),
        ("clusters", Tensor::cat(&[far(&real)?, (far(&real)? * -1.)?], 0)?, far(&generated)?),
        ("equal distances", real.round()?, generated.round()?),
    ];
    for (what, real, generated) in cases {
        let mut seen = vec![];
        for (queries, points) in [(1, 1), (50, 7), (16, 1000), (512, 2048)] {
            let tiling = Tiling { queries, points };
            let [real, generated] = [&real, &generated]
                .map(|points| Manifold::tiled(Rows::new("points", points, 1).unwrap(), 3, tiling));
            let (real, generated) = (real?, generated?);
            assert_eq!(
                real.overlap_tiled(&generated, tiling)?,
                direct(&real, &generated),
                "{what}, {tiling:?}"
            );
            seen.push(real.squared_radii);
        }
        assert!(seen.iter().all(|radii| *radii == seen[0]), "{what}");
    }
    Ok(())
}

#[test]
fn what_makes_no_manifold() -> Result<()> {
    let points = normal(0, 4, 2);
    assert!(Manifold::new(&points, 3).is_ok());
    let message = Manifold::new(&points, 4).unwrap_err().to_string();
    assert!(message.contains("more than the 4 neighbours of each, found 4"), "{message}");
    assert!(Manifold::new(&points, 0).is_err());
    let narrower = Manifold::new(&points.narrow(1, 0, 1)?, 1)?;
    assert!(Manifold::new(&points, 1)?.overlap(&narrower).is_err());
    Ok(())
}
