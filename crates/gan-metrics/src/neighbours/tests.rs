//! Tests that nearest neighbours are exact.

use super::*;
use candle_core::Device;
use gan_ops::rng::Stream;

/// Tile sizes that do not divide any set evenly, and the usual size.
const TILINGS: [Tiling; 4] = [
    Tiling { queries: 1, points: 1 },
    Tiling { queries: 7, points: 50 },
    Tiling { queries: 48, points: 3 },
    Tiling { queries: 512, points: 2048 },
];

fn rows(tensor: &Tensor) -> Rows {
    Rows::new("points", tensor, 1).unwrap()
}

fn normal(index: u64, count: usize, width: usize) -> Tensor {
    Stream::new(0, "neighbours", index).normal((count, width), &Device::Cpu).unwrap()
}

/// Finds the neighbours by sorting all distances.
fn sorted(queries: &Rows, points: &Rows, k: usize, candidates: Candidates) -> Vec<(f64, usize)> {
    let (query_values, point_values) = (queries.values(), points.values());
    let width = points.width();
    let nearest = |query: usize| {
        let distance =
            |point| squared_distance(row(&query_values, width, query), row(&point_values, width, point));
        let mut all: Vec<_> = (0..points.count())
            .filter(|&point| candidates == Candidates::All || point != query)
            .map(|point| (distance(point), point))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.truncate(k);
        all
    };
    (0..queries.count()).flat_map(nearest).collect()
}

fn found(
    queries: &Rows,
    points: &Rows,
    k: usize,
    candidates: Candidates,
    tiling: Tiling,
) -> Vec<(f64, usize)> {
    let found = search(queries, points, k, candidates, tiling).unwrap();
    found.iter().map(|found| (found.squared, found.index)).collect()
}

fn assert_finds_the_nearest(queries: &Tensor, points: &Tensor, what: &str) {
    let (queries, points) = (rows(queries), rows(points));
    for tiling in TILINGS {
        for k in [1, 3] {
            let all = Candidates::All;
            assert!(
                found(&queries, &points, k, all, tiling) == sorted(&queries, &points, k, all),
                "{what}, {k} neighbours, {tiling:?}"
            );
            let others = Candidates::Others;
            assert!(
                found(&points, &points, k, others, tiling) == sorted(&points, &points, k, others),
                "{what}, {k} neighbours among the others, {tiling:?}"
            );
        }
    }
}

#[test]
fn finds_the_nearest_whatever_the_sizes() {
    for (n, m, width) in [(1, 4, 1), (17, 16, 3), (40, 70, 17), (33, 90, 64)] {
        let what = format!("{n} queries, {m} points, {width} numbers");
        assert_finds_the_nearest(&normal(0, n, width), &normal(1, m, width), &what);
    }
}

/// These are cases in which f32 alone gives the wrong result.
#[test]
fn finds_the_nearest_where_products_cannot_tell() -> Result<()> {
    let (queries, points) = (normal(0, 40, 17), normal(1, 90, 17));
    let far = |x: &Tensor| ((x * 1e-3).unwrap() + 1000.).unwrap();
    assert_finds_the_nearest(&far(&queries), &far(&points), "far from the origin");
    // These are two clusters, and their common centre is far from both.
    let clusters = Tensor::cat(&[far(&points), (far(&points) * -1.)?], 0)?;
    assert_finds_the_nearest(&far(&queries), &clusters, "clusters");
    assert_finds_the_nearest(&(&queries * 1e14)?, &(&points * 1e14)?, "huge");
    assert_finds_the_nearest(&(&queries * 1e-25)?, &(&points * 1e-25)?, "tiny");
    let coarse = |x: &Tensor| x.round().unwrap();
    assert_finds_the_nearest(&coarse(&queries), &coarse(&points), "many equally near");
    assert_finds_the_nearest(&queries.zeros_like()?, &points.zeros_like()?, "all equal");
    Ok(())
}

#[test]
fn threads_do_not_matter() {
    let (queries, points) = (rows(&normal(0, 200, 17)), rows(&normal(1, 300, 17)));
    let go = || found(&queries, &points, 3, Candidates::All, Tiling { queries: 64, points: 64 });
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(alone.install(go) == go());
}

#[test]
fn hands_out_distances_not_squares() -> Result<()> {
    let device = Device::Cpu;
    let points = Tensor::new(&[[0f32, 0.], [3., 4.], [3., 4.]], &device)?;
    let found = nearest(&Tensor::new(&[[6f32, 8.], [0., 1.]], &device)?, &points)?;
    assert_eq!(found, [Neighbour { index: 1, distance: 5. }, Neighbour { index: 0, distance: 1. }]);
    let others = nearest_others(&points)?;
    assert_eq!(others.iter().map(|other| other.index).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(others.iter().map(|other| other.distance).collect::<Vec<_>>(), [5., 0., 0.]);

    assert!(nearest(&points, &points.narrow(1, 0, 1)?).is_err());
    assert!(nearest_others(&points.narrow(0, 0, 1)?).is_err());
    Ok(())
}
