//! Memory that is reused. The reason is that clearing fresh pages takes longer than many of the
//! kernels that fill them.
//!
//! With the feature `fresh-buffers`, no memory is reused. Then a tool that watches memory sees the
//! end of each buffer, and a new buffer is full of NaN, which shows in any result that it reaches.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Floats on 64-byte boundaries. A new buffer holds the values that its last owner left.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Buffers without an owner, the smallest first.
static FREE: Mutex<Vec<Vec<Line>>> = Mutex::new(vec![]);

impl Buffer {
    /// Returns `len` floats with arbitrary values.
    pub(crate) fn new(len: usize) -> Self {
        let lines = len.div_ceil(16);
        if cfg!(feature = "fresh-buffers") {
            return Self { lines: vec![Line([f32::NAN; 16]); lines], len };
        }
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.partition_point(|lines_of| lines_of.len() < lines);
        // A buffer that would be more than half empty is left for a request that fits it better.
        if free.get(at).is_some_and(|found| found.len() <= 2 * lines) {
            return Self { lines: free.remove(at), len };
        }
        drop(free);
        Self { lines: vec![Line([0.; 16]); lines], len }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.lines.is_empty() || cfg!(feature = "fresh-buffers") {
            return;
        }
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.partition_point(|lines| lines.len() < self.lines.len());
        free.insert(at, std::mem::take(&mut self.lines));
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is sixteen floats and nothing else (64 bytes, aligned to 64). So the
        // lines are `16 * lines` consecutive floats, and this is at least `len`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, but the borrow is mutable.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_keeps_its_length() {
        for len in [0, 1, 16, 17, 1000] {
            let mut buffer = Buffer::new(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            buffer.fill(1.);
            assert!(buffer.clone()[..] == buffer[..]);
        }
    }
}
