//! Checksums inside JSON objects, so that a reader notices damage.

/// Adds the CRC-32 of a JSON object to it, as its last key `crc32`. The object must have a key.
#[must_use]
pub fn seal(object: &[u8]) -> Vec<u8> {
    let object = object.trim_ascii_end();
    let body = object.strip_suffix(b"}").unwrap_or(object).trim_ascii_end();
    [body, &end(body)].concat()
}

/// Whether an object is as [`seal`] left it. White space may follow.
#[must_use]
pub fn is_sealed(object: &[u8]) -> bool {
    let object = object.trim_ascii_end();
    let body = object.len().checked_sub(end(&[]).len()).map(|length| &object[..length]);
    body.is_some_and(|body| object[body.len()..] == end(body))
}

/// The end of the object that begins with `body`.
fn end(body: &[u8]) -> Vec<u8> {
    format!(",\"crc32\":\"{:08x}\"}}", crc32fast::hash(body)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_breaks_the_seal() {
        let sealed = seal(b"{\n  \"step\": 4\n}\n");
        // CRC-32 of `{\n  "step": 4`, as in zlib.
        assert_eq!(sealed, b"{\n  \"step\": 4,\"crc32\":\"d15c806f\"}");
        assert!(is_sealed(&sealed) && is_sealed(&[&sealed, &b"\n"[..]].concat()));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_sealed(&damaged), "{bit}");
        }
        for length in 0..sealed.len() {
            assert!(!is_sealed(&sealed[..length]), "{length}");
        }
        assert!(is_sealed(&seal(b"{\"a\":{}}")));
    }
}
