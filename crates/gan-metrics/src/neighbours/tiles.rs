//! All pairs of two sets of points, one tile of them at a time, screened in f32.
//!
//! Squared distances come from products of centred points:
//! `|x - w|^2 = |x|^2 - 2 (x.w - |w|^2 / 2)`. In f32 such a difference of large numbers is not
//! exact, but its error has a known bound. A product decides about the pairs that are clearly
//! nearer or farther than some distance. The caller computes the few other pairs in f64. So the
//! results are the same as in f64, for every kernel, tile and thread.

use crate::Result;
use crate::rows::Rows;
use candle_core::{Device, Tensor};
use gan_ops::Activation;
use gan_ops::fused::{FusedLayer, Maps, Product};
use rayon::prelude::*;

/// Number of queries that are screened together. It is the vector size of the kernels.
pub(crate) const LANES: usize = 16;
/// Unit roundoff of f32.
const ROUNDOFF: f64 = f32::EPSILON as f64 / 2.;

/// Number of queries and of points in a tile. The products (4 MB by default) stay in a cache until
/// they are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiling {
    pub(crate) queries: usize,
    pub(crate) points: usize,
}

impl Default for Tiling {
    fn default() -> Self {
        Self { queries: 512, points: 2048 }
    }
}

/// Some queries and some points.
pub(crate) struct Tile<'a> {
    pub(crate) first_query: usize,
    pub(crate) first_point: usize,
    /// Number of points in this tile.
    pub(crate) points: usize,
    queries: &'a Queries,
    /// The products `[points][queries]`: `x.w - |w|^2 / 2`, both centred.
    products: Maps,
    /// The largest norm of these points.
    widest: f64,
}

/// Queries in the kernels' order.
struct Queries {
    maps: Maps,
    squared_norms: Vec<f64>,
}

impl Tile<'_> {
    /// Number of queries in this tile.
    pub(crate) fn queries(&self) -> usize {
        self.queries.maps.batch()
    }

    /// The products of one point with the [`LANES`] queries from `group * LANES` on.
    pub(crate) fn group(&self, point: usize, group: usize) -> &[f32; LANES] {
        &self.products.values().as_chunks().0[point * self.queries().div_ceil(LANES) + group]
    }

    /// Bound for a product: if it is not above the bound, the point is not within the distance of
    /// this query.
    pub(crate) fn perhaps_within(&self, query: usize, squared_distance: f64) -> f32 {
        (self.edge(query, squared_distance) - self.error(query, squared_distance)) as f32
    }

    /// Bound for a product: if it is above the bound, the point is within the distance of this
    /// query.
    pub(crate) fn surely_within(&self, query: usize, squared_distance: f64) -> f32 {
        (self.edge(query, squared_distance) + self.error(query, squared_distance)) as f32
    }

    fn edge(&self, query: usize, squared_distance: f64) -> f64 {
        (self.queries.squared_norms[query] - squared_distance) / 2.
    }

    /// A bound on the error of a product, and on the rounding of the value that it is compared
    /// with. A sum of n products in f32, in any order, has an error of at most n roundoffs of the
    /// sum of their absolute values (Higham 2002, section 3.1). Here this sum is at most
    /// `|x| |w| + |w|^2 / 2`. The centred coordinates are rounded too, and so are the values that
    /// the callers add or compare.
    fn error(&self, query: usize, squared_distance: f64) -> f64 {
        let width = self.queries.maps.image()[0] as f64;
        let sum = self.queries.squared_norms[query].sqrt() + self.widest;
        let underflow = width * f64::from(f32::MIN_POSITIVE);
        ROUNDOFF * ((width / 2. + 8.) * sum.powi(2) + 4. * squared_distance) + underflow
    }
}

/// Calls `visit` with tiles that together hold each pair once. The points are in their order.
pub(crate) fn each_tile(
    queries: &Rows,
    points: &Rows,
    tiling: Tiling,
    mut visit: impl FnMut(&Tile<'_>),
) -> Result<()> {
    let (width, points, queries) = (points.width(), points.values(), queries.values());
    let centre = mean(&points, width);
    let queries = queries.chunks(tiling.queries * width).map(|block| Queries::new(block, &centre));
    let queries = queries.collect::<Result<Vec<_>>>()?;
    for (i, block) in points.chunks(tiling.points * width).enumerate() {
        let (block, squared_norms) = centred(block, &centre)?;
        let bias: Vec<_> = squared_norms.iter().map(|n| (n / -2.) as f32).collect();
        let bias = Tensor::from_vec(bias, squared_norms.len(), &Device::Cpu)?;
        let product = Some((Product::Linear, block, Some(bias)));
        let layer = FusedLayer { product, norm: None, activation: Activation::Identity };
        let prepared = layer.prepare();
        let widest = squared_norms.iter().copied().fold(0., f64::max).sqrt();
        for (j, queries) in queries.iter().enumerate() {
            visit(&Tile {
                first_query: j * tiling.queries,
                first_point: i * tiling.points,
                points: squared_norms.len(),
                queries,
                products: prepared.evaluate(&queries.maps)?,
                widest,
            });
        }
    }
    Ok(())
}

impl Queries {
    fn new(block: &[f32], centre: &[f64]) -> Result<Self> {
        let (block, squared_norms) = centred(block, centre)?;
        Ok(Self { maps: Maps::from_tensor(&block)?, squared_norms })
    }
}

fn mean(values: &[f32], width: usize) -> Vec<f64> {
    let mut mean = vec![0.; width];
    for row in values.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
    }
    let count = (values.len() / width) as f64;
    for mean in &mut mean {
        *mean /= count;
    }
    mean
}

/// The rows minus their centre, `[rows, D]`, and the squares of their norms.
fn centred(block: &[f32], centre: &[f64]) -> Result<(Tensor, Vec<f64>)> {
    let width = centre.len();
    let mut values = vec![0.; block.len()];
    let squared_norms: Vec<f64> = values
        .par_chunks_exact_mut(width)
        .zip(block.par_chunks_exact(width))
        .map(|(to, from)| {
            for ((to, &from), centre) in to.iter_mut().zip(from).zip(centre) {
                *to = (f64::from(from) - centre) as f32;
            }
            to.iter().map(|&v| f64::from(v).powi(2)).sum()
        })
        .collect();
    Ok((Tensor::from_vec(values, (squared_norms.len(), width), &Device::Cpu)?, squared_norms))
}
