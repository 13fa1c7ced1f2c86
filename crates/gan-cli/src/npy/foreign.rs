//! Recognises, by their first bytes, files that are often given in place of an array.

use super::header::MAGIC;

/// Number of first bytes that are enough to recognise a file.
pub(super) const ENOUGH: u64 = 512;

pub(super) const PYTORCH: &str =
    "is a file of PyTorch; in Python, numpy.save(\"x.npy\", tensor.cpu().numpy()) writes a .npy file";

pub(super) enum Content {
    Npy,
    Zip,
    /// What the file is, and what to do.
    Other(&'static str),
}

pub(super) fn content(start: &[u8]) -> Content {
    if start.starts_with(MAGIC) {
        return Content::Npy;
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Content::Zip;
    }
    let by_magic = KNOWN.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, what)| *what);
    let is_webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
    let is_text = start.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
    Content::Other(match by_magic {
        Some(what) => what,
        None if start.is_empty() => "is empty: expected a .npy file",
        None if is_webp => "is a WebP picture, not a .npy file (--samples takes a directory of pictures)",
        None if start.get(8) == Some(&b'{') => "is a safetensors file, not a .npy file",
        None if is_text => {
            "is text, not a .npy file; in Python, numpy.save(\"x.npy\", numpy.loadtxt(\"x.csv\", \
             delimiter=\",\")) writes one"
        }
        None => "is not a .npy file: it does not begin with \\x93NUMPY",
    })
}

const KNOWN: [(&[u8], &str); 8] = [
    (b"\x89PNG", "is a PNG picture, not a .npy file (--samples takes a directory of pictures)"),
    (b"\xff\xd8\xff", "is a JPEG picture, not a .npy file (--samples takes a directory of pictures)"),
    (b"GIF8", "is a GIF picture, not a .npy file (--samples takes a directory of PNG or JPEG files)"),
    (b"\x1f\x8b", "is gzipped: unpack it first"),
    (b"\x89HDF", "is an HDF5 file, not a .npy file"),
    (b"\0\0\x08", "is an IDX file, not a .npy file (--data-dir takes the directory of such files)"),
    // Pickles of protocol 2 and later: torch.save of older versions.
    (b"\x80\x02", PYTORCH),
    (b"\x80\x04", "is a Python pickle; in Python, numpy.save(\"x.npy\", array) writes a .npy file"),
];
