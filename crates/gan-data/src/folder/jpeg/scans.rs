//! Which scans of a JPEG have come. In a progressive file, each scan brings some bits of some
//! coefficients (ITU-T T.81, annex G). In other files it brings some components as a whole. A file
//! that ends after a few scans is a whole picture for a decoder, but a blurred or gray one.

/// Number of coefficients of a block.
const COEFFICIENTS: usize = 64;
/// Stands for a coefficient of which no bit has come.
const NONE: u8 = u8::MAX;

/// The bits that are still to come.
#[derive(Debug)]
pub(super) struct Scans {
    components: Vec<Component>,
    is_progressive: bool,
}

#[derive(Debug)]
struct Component {
    id: u8,
    /// The number of low bits of each coefficient that are still to come.
    missing: [u8; COEFFICIENTS],
}

impl Scans {
    /// No scan has come. `frame` is the content of the frame's marker.
    pub(super) fn none(frame: &[u8], is_progressive: bool) -> Self {
        let components = frame.get(6..).unwrap_or_default().chunks_exact(3);
        let none = |bytes: &[u8]| Component { id: bytes[0], missing: [NONE; COEFFICIENTS] };
        Self { components: components.map(none).collect(), is_progressive }
    }

    /// A scan has come. `scan` is the content of its marker. The decoder finds what is wrong with it.
    pub(super) fn add(&mut self, scan: &[u8]) {
        let [count, rest @ ..] = scan else { return };
        let count = 2 * usize::from(*count);
        let (Some(components), Some(&[first, last, bits])) = (rest.get(..count), rest.get(count..)) else {
            return;
        };
        for [id, _] in components.as_chunks().0 {
            for component in self.components.iter_mut().filter(|component| component.id == *id) {
                if !self.is_progressive {
                    component.missing.fill(0);
                } else if let Some(missing) = component.missing.get_mut(first.into()..=last.into()) {
                    missing.fill(bits & 0x0f);
                }
            }
        }
    }

    /// Whether all bits of all coefficients have come.
    pub(super) fn are_all(&self) -> bool {
        self.components.iter().all(|component| component.missing.iter().all(|&missing| missing == 0))
    }
}
