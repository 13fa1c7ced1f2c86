//! Checksums inside JSON objects, so that a reader notices damage.

/// Adds the CRC-32 of a JSON object to it, as its last key `crc32`. The object must have a key.
#[must_use]
pub fn seal(object: &[u8]) -> Vec<u8> {
    seal_after(0, object)
}

/// Seals one of several objects that follow each other. Its checksum is that of the texts of all
/// objects so far, without their checksums. So a reader also notices an object that is missing,
/// doubled or out of place. `previous` is the checksum of the object before it, or 0.
#[must_use]
pub fn seal_after(previous: u32, object: &[u8]) -> Vec<u8> {
    let object = object.trim_ascii_end();
    let body = object.strip_suffix(b"}").unwrap_or(object).trim_ascii_end();
    [body, &end(previous, body)].concat()
}

/// Whether an object is as [`seal`] left it. White space may follow.
#[must_use]
pub fn is_sealed(object: &[u8]) -> bool {
    is_sealed_after(0, object)
}

/// Whether an object is as [`seal_after`] left it. White space may follow.
#[must_use]
pub fn is_sealed_after(previous: u32, object: &[u8]) -> bool {
    body(object).is_some_and(|body| object.trim_ascii_end()[body.len()..] == end(previous, body))
}

/// The checksum in an object. It need not fit.
#[must_use]
pub fn checksum(object: &[u8]) -> Option<u32> {
    let end = &object.trim_ascii_end()[body(object)?.len()..];
    let digits = end.strip_prefix(KEY)?.strip_suffix(b"\"}")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The object without its checksum. `None` if it is too short to have one.
#[must_use]
pub fn unsealed(object: &[u8]) -> Option<Vec<u8>> {
    Some([body(object)?, b"}"].concat())
}

/// The text in front of the checksum and of the brace that closes the object.
fn body(object: &[u8]) -> Option<&[u8]> {
    let object = object.trim_ascii_end();
    object.len().checked_sub(end(0, &[]).len()).map(|length| &object[..length])
}

const KEY: &[u8] = b",\"crc32\":\"";

/// The end of the object that begins with `body`.
fn end(previous: u32, body: &[u8]) -> Vec<u8> {
    let mut crc = crc32fast::Hasher::new_with_initial(previous);
    crc.update(body);
    [KEY, format!("{:08x}\"}}", crc.finalize()).as_bytes()].concat()
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

    #[test]
    fn a_seal_covers_what_is_before_it() {
        // `zlib.crc32(b'{"b":2', zlib.crc32(b'{"a":1'))` in Python.
        let first = seal(br#"{"a":1}"#);
        let second = seal_after(checksum(&first).unwrap(), br#"{"b":2}"#);
        assert_eq!(first, br#"{"a":1,"crc32":"a702fc6e"}"#);
        assert_eq!(second, br#"{"b":2,"crc32":"e5ba5222"}"#);
        assert!(!is_sealed(&second) && is_sealed_after(checksum(&first).unwrap(), &second));
        assert_eq!(unsealed(&second).unwrap(), br#"{"b":2}"#);
        assert_eq!(unsealed(&seal(br#"{"a":{"b":{}}}"#)).unwrap(), br#"{"a":{"b":{}}}"#);
        assert_eq!((checksum(b"{\"b\":2}"), checksum(b"{}")), (None, None));
    }
}
