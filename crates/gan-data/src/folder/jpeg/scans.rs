//! Which scans of a progressive JPEG have come. Each scan brings some bits of some coefficients
//! (ITU-T T.81, annex G). A file that ends after a few of them is a whole picture for a decoder, but
//! a blurred one.

/// Number of coefficients of a block.
const COEFFICIENTS: usize = 64;
/// Stands for a coefficient of which no bit has come.
const NONE: u8 = u8::MAX;

/// The bits that are still to come in a progressive JPEG.
#[derive(Debug)]
pub(super) struct Scans(Vec<Component>);

#[derive(Debug)]
struct Component {
    id: u8,
    /// The number of low bits of each coefficient that are still to come.
    missing: [u8; COEFFICIENTS],
}

impl Scans {
    /// No scan has come. `frame` is the content of the frame's marker.
    pub(super) fn none(frame: &[u8]) -> Self {
        let components = frame.get(6..).unwrap_or_default().chunks_exact(3);
        Self(components.map(|bytes| Component { id: bytes[0], missing: [NONE; COEFFICIENTS] }).collect())
    }

    /// A scan has come. `scan` is the content of its marker. The decoder finds what is wrong with it.
    pub(super) fn add(&mut self, scan: &[u8]) {
        let [count, rest @ ..] = scan else { return };
        let count = 2 * usize::from(*count);
        let (Some(components), Some(&[first, last, bits])) = (rest.get(..count), rest.get(count..)) else {
            return;
        };
        for [id, _] in components.as_chunks().0 {
            for component in self.0.iter_mut().filter(|component| component.id == *id) {
                if let Some(missing) = component.missing.get_mut(first.into()..=last.into()) {
                    missing.fill(bits & 0x0f);
                }
            }
        }
    }

    /// Whether all bits of all coefficients have come.
    pub(super) fn are_all(&self) -> bool {
        self.0.iter().all(|component| component.missing.iter().all(|&missing| missing == 0))
    }
}
