//! JPEG files that the decoder reads as another picture, without an error. They are rare, so they
//! are refused.

use super::marker;

/// Identifiers of the components of a file that stores red, green and blue.
const RGB: [u8; 3] = *b"RGB";

/// What decides whether a file is read right.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// Identifier, sampling factors (horizontal and vertical) and table of each component.
    components: Vec<[u8; 3]>,
    is_progressive: bool,
    /// The marker of the frame.
    kind: Option<u8>,
    scans: usize,
    has_jfif: bool,
    /// The colour transform that Adobe's marker announces.
    adobe: Option<u8>,
}

impl Features {
    /// A frame has come. `frame` is the content of its marker.
    pub(super) fn add_frame(&mut self, frame: &[u8], marker: u8) {
        if self.components.is_empty() {
            self.kind = Some(marker);
            self.components = frame.get(6..).unwrap_or_default().as_chunks().0.to_vec();
            self.is_progressive = marker::PROGRESSIVE.contains(&marker);
        }
    }

    /// A scan has come.
    pub(super) fn add_scan(&mut self) {
        self.scans += 1;
    }

    /// An application's marker has come: APP0 or APP14.
    pub(super) fn add_application(&mut self, content: &[u8]) {
        self.has_jfif |= content.starts_with(b"JFIF\0");
        if let Some(&[.., transform]) = content.strip_prefix(b"Adobe").and_then(|rest| rest.get(..7)) {
            self.adobe = Some(transform);
        }
    }

    /// Why the decoder would read another picture, or none.
    pub(super) fn problem(&self) -> Option<&'static str> {
        // The kinds of frames are in ITU-T T.81, table B.1.
        match self.kind {
            Some(0xc3 | 0xc7 | 0xcb | 0xcf) => return Some("it is compressed without loss"),
            Some(0xc5 | 0xc6 | 0xcd | 0xce) => return Some("it is hierarchical"),
            Some(0xc9 | 0xca) => return Some("its code is arithmetic"),
            Some(_) | None => (),
        }
        let sampling = |[_, factors, _]: &[u8; 3]| [factors >> 4, factors & 15];
        let ids: Vec<u8> = self.components.iter().map(|[id, ..]| *id).collect();
        let [first, others @ ..] = &self.components[..] else { return None };
        let [first_across, first_down] = sampling(first);
        if others.iter().map(sampling).any(|[across, down]| across > first_across || down > first_down) {
            return Some("its colours are sampled more finely than its brightness");
        }
        if self.scans > 1 && !self.is_progressive && first_down > 1 && !others.is_empty() {
            return Some("its components are in separate scans, and are sampled differently");
        }
        let contradicts = match self.components.len() {
            3 if ids == RGB => self.has_jfif || self.adobe.is_some_and(|transform| transform != 0),
            3 => self.has_jfif && self.adobe == Some(0),
            4 => self.adobe == Some(1),
            _ => false,
        };
        contradicts.then_some("its markers contradict each other about the colours (JFIF, Adobe)")
    }
}
