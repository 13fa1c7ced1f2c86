//! Visits the channels of one task, pixel by pixel.

use super::CHANNELS;
use crate::geometry::Image;
use crate::kernels::padded;
use crate::kernels::simd::Lanes;

/// The channels of one task.
#[derive(Clone, Copy)]
pub(super) struct Maps {
    pub(super) image: Image,
    pub(super) batch: usize,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Maps {
    pub(super) fn values(self) -> f64 {
        (self.image.pixels() * self.batch) as f64
    }

    /// Calls `visitor` for each vector of sixteen samples of each channel.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and the conditions of the visitor hold.
    #[inline(always)]
    pub(super) unsafe fn each<V: Lanes, T: Visitor<V>>(self, visitor: &mut T) {
        let lanes = padded(self.batch);
        // The same channels of the next pixel are on another page, which the processor does not
        // prefetch by itself.
        let ahead = self.image.channels * lanes;
        for pixel in 0..self.image.pixels() {
            for c in 0..self.count {
                let at = (pixel * self.image.channels + self.first + c) * lanes;
                for v in (0..lanes).step_by(16) {
                    // SAFETY: this is an offset of these maps; the caller guarantees the rest.
                    unsafe { visitor.visit(c, at + v, ahead, (self.batch - v).min(16)) }
                }
            }
        }
    }

    /// The mean of each channel over pixels and samples.
    ///
    /// # Safety
    /// The conditions of [`Self::each`].
    #[inline(always)]
    pub(super) unsafe fn means<V: Lanes, T: Term<V>>(self, term: T) -> [f64; CHANNELS] {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let mut total = Total { term, sums: [V::splat(0.); CHANNELS] };
            self.each(&mut total);
            let mut means = [0.; CHANNELS];
            for c in 0..CHANNELS {
                means[c] = f64::from(total.sums[c].sum()) / self.values();
            }
            means
        }
    }
}

/// The callback of [`Maps::each`]. It has methods instead of closures, because closures would not
/// be compiled with the vector instructions.
pub(super) trait Visitor<V: Lanes> {
    /// Visits the sixteen samples at `at`. Only the first `count` of them belong to the batch. The
    /// samples at `at + ahead` will be visited soon, or do not exist.
    ///
    /// # Safety
    /// The processor has the instructions of `V`. `at` is an offset of sixteen floats in the
    /// visitor's maps.
    unsafe fn visit(&mut self, channel: usize, at: usize, ahead: usize, count: usize);
}

/// The values that [`Maps::means`] averages.
pub(super) trait Term<V: Lanes> {
    /// # Safety
    /// The conditions of [`Visitor::visit`].
    unsafe fn at(&self, channel: usize, at: usize, ahead: usize) -> V;
}

struct Total<V, T> {
    term: T,
    sums: [V; CHANNELS],
}

impl<V: Lanes, T: Term<V>> Visitor<V> for Total<V, T> {
    #[inline(always)]
    unsafe fn visit(&mut self, channel: usize, at: usize, ahead: usize, count: usize) {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let term = first(self.term.at(channel, at, ahead), count);
            self.sums[channel] = self.sums[channel].add(term);
        }
    }
}

/// The value itself.
pub(super) struct Value<'a>(pub(super) &'a [f32]);

impl<V: Lanes> Term<V> for Value<'_> {
    #[inline(always)]
    unsafe fn at(&self, _: usize, at: usize, ahead: usize) -> V {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            V::prefetch(self.0.as_ptr().wrapping_add(at + ahead));
            V::load(self.0.as_ptr().add(at))
        }
    }
}

/// The square of the distance from a centre.
pub(super) struct SquaredDistance<'a, V>(pub(super) &'a [f32], pub(super) [V; CHANNELS]);

impl<V: Lanes> Term<V> for SquaredDistance<'_, V> {
    #[inline(always)]
    unsafe fn at(&self, channel: usize, at: usize, _: usize) -> V {
        // SAFETY: the caller guarantees the conditions of this function.
        unsafe {
            let distance = V::load(self.0.as_ptr().add(at)).sub(self.1[channel]);
            distance.mul(distance)
        }
    }
}

/// Keeps the first `count` of sixteen values. The others become zero.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn first<V: Lanes>(values: V, count: usize) -> V {
    if count == 16 {
        return values;
    }
    let mut lanes = [0.; 16];
    // SAFETY: these are arrays of sixteen floats; the caller guarantees the instructions.
    unsafe {
        values.store(lanes.as_mut_ptr());
        lanes[count..].fill(0.);
        V::load(lanes.as_ptr())
    }
}
