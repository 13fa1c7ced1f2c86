//! Arrays of every kind give the right values, and files that are no such arrays give an error.

use super::*;
use std::io::{Cursor, Write};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A file with this dictionary and these values.
fn with_header(header: &str, values: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), values].concat()
}

fn npy(descr: &str, fortran: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}  \n");
    with_header(&header, values)
}

fn read_bytes(bytes: &[u8]) -> Result<(String, Vec<f32>)> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    let array = read(file.path(), |_| Ok(()))?;
    Ok((array.header.to_string(), array.values))
}

fn error(bytes: &[u8]) -> String {
    format!("{:#}", read_bytes(bytes).unwrap_err())
}

#[test]
fn every_number_is_read_in_both_byte_orders() {
    // Each list is the same values in another type, as little-endian bytes of one size.
    let signed = [-2i8, 0, 1, 127].map(i64::from);
    let unsigned = [0u8, 1, 200, 255].map(u64::from);
    let floats = [-2., 0., 0.5, 1024.];
    let halves = [0xc000u16, 0, 0x3800, 0x6400];
    let bytes = |numbers: Vec<Vec<u8>>, size: usize| -> Vec<Vec<u8>> {
        numbers.into_iter().map(|number| number[..size].to_vec()).collect()
    };
    let little = |numbers: [u64; 4], size| bytes(numbers.map(|n| n.to_le_bytes().to_vec()).to_vec(), size);
    let mut cases = vec![
        ("f2", halves.map(|n| n.to_le_bytes().to_vec()).to_vec(), floats.to_vec()),
        ("f4", floats.map(|n| (n as f32).to_le_bytes().to_vec()).to_vec(), floats.to_vec()),
        ("f8", floats.map(|n: f64| n.to_le_bytes().to_vec()).to_vec(), floats.to_vec()),
        ("b1", [0u8, 1, 1, 0].map(|n| vec![n]).to_vec(), vec![0., 1., 1., 0.]),
    ];
    for (size, i, u) in [(1, "i1", "u1"), (2, "i2", "u2"), (4, "i4", "u4"), (8, "i8", "u8")] {
        cases.push((i, little(signed.map(i64::cast_unsigned), size), signed.map(|n| n as f64).to_vec()));
        cases.push((u, little(unsigned, size), unsigned.map(|n| n as f64).to_vec()));
    }
    for (name, numbers, expected) in cases {
        let expected: Vec<f32> = expected.into_iter().map(|value| value as f32).collect();
        let reversed = numbers.iter().flat_map(|number| number.iter().rev().copied()).collect();
        for (order, values) in [("<", numbers.concat()), (">", reversed)] {
            let (_, found) = read_bytes(&npy(&format!("{order}{name}"), "False", "(4,)", &values)).unwrap();
            assert_eq!(found, expected, "{order}{name}");
        }
    }
    let (header, _) = read_bytes(&npy("|u1", "False", "(2, 1)", &[1, 2])).unwrap();
    assert_eq!(header, "u8 [2, 1]");
    assert_eq!(read_bytes(&npy("<f2", "False", "(1,)", &[0, 0])).unwrap().0, "f16 [1]");
}

#[test]
fn fortran_order_is_turned_into_c_order() {
    // The array whose element [i, j, k] is 12 i + 4 j + k, first index fastest.
    let mut values = vec![];
    for k in 0..4u8 {
        for j in 0..3 {
            values.extend((0..2).map(|i| 12 * i + 4 * j + k));
        }
    }
    let (_, found) = read_bytes(&npy("|u1", "True", "(2, 3, 4)", &values)).unwrap();
    assert_eq!(found, (0..24u8).map(f32::from).collect::<Vec<_>>());
}

#[test]
fn an_array_is_as_long_as_its_header_says() {
    let good = npy("<f4", "False", "(3, 2)", &[0; 24]);
    assert!(read_bytes(&good).is_ok());
    assert!(error(&good[..good.len() - 1]).starts_with("truncated: expected "));
    assert!(error(&[&good[..], &[0]].concat()).ends_with("more follows the array"));
    for length in [6, 7, 9, 20] {
        assert_eq!(error(&good[..length]), "truncated");
    }
    assert!(error(&npy("<f4", "False", "(2305843009213693952, 8)", &[0; 24])).starts_with("truncated: "));
    assert!(error(&npy("<f4", "False", "(1073741825,)", &[0; 24])).starts_with("truncated: "));
    // A file without blocks on the disk that is as long as its header says.
    let file = tempfile::NamedTempFile::new().unwrap();
    let start = npy("|u1", "False", "(1073741825,)", &[]);
    file.as_file().write_all(&start).unwrap();
    file.as_file().set_len(start.len() as u64 + MAX_VALUES + 1).unwrap();
    let error = read(file.path(), |_| Ok(())).unwrap_err().to_string();
    assert_eq!(error, "expected at most 1073741824 values (4 GiB as f32), found 1073741825: u8 [1073741825]");
}

#[test]
fn values_that_f32_cannot_hold_are_refused() {
    let doubles = |values: [f64; 2]| npy("<f8", "False", "(2,)", values.map(f64::to_le_bytes).as_flattened());
    assert_eq!(error(&doubles([1., f64::NAN])), "holds NaN or infinity");
    assert_eq!(error(&doubles([f64::NEG_INFINITY, 1.])), "holds NaN or infinity");
    assert_eq!(error(&doubles([1., -1e300])), "holds -1e300, which is too large for f32");
    assert_eq!(read_bytes(&doubles([3e38, 1e-300])).unwrap().1, [3e38, 0.]);
}

#[test]
fn only_the_header_of_plain_numbers_is_parsed() {
    for header in [
        "{'shape': (2,), 'fortran_order': False, 'descr': '|u1'}",
        "  {\"descr\":\"|u1\",\"fortran_order\":False,\"shape\":(2L,)} ",
    ] {
        assert_eq!(read_bytes(&with_header(header, &[1, 2])).unwrap().1, [1., 2.], "{header}");
    }
    // npyz's parser takes hours for this one.
    let nested = format!("{}1{}", "(".repeat(14), ",)".repeat(14));
    let deep = "(".repeat(60_000);
    let start = Instant::now();
    for shape in
        [&nested[..], &deep, "(2)", "(-2,)", "(2,,)", "(2", "2", "[2]", "(2, 'x')", "(99999999999999999999,)"]
    {
        let found = error(&npy("|u1", "False", shape, &[1, 2]));
        assert!(found.starts_with("expected a header {'descr': ..."), "{shape}: {found}");
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    for header in [
        "",
        "{}",
        "{'descr': '|u1', 'shape': (2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'x': 1}",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)} x",
    ] {
        let found = error(&with_header(header, &[1, 2]));
        assert!(found.starts_with("expected a header {'descr': ..."), "{header}: {found}");
    }
    for descr in ["<c8", "|O", "<U4", "<f16", "|f4", "=f4", "<f", "f4", "<M8[ns]"] {
        let found = error(&npy(descr, "False", "(2,)", &[0; 8]));
        assert!(
            found.contains("expected floats (f16, f32, f64)") && found.contains(descr),
            "{descr}: {found}"
        );
    }
    let huge = [&b"\x93NUMPY\x02\x00"[..], &[0xff; 4]].concat();
    assert_eq!(error(&huge), "expected a header of at most 65536 bytes, found 4294967295");
    assert_eq!(error(b"\x93NUMPY\x04\x00\x00\x00"), "is not a .npy file of version 1 to 3");
}

#[test]
fn an_archive_with_one_array_is_read() {
    let pack = |method, files: &[(&str, &[u8])]| {
        let mut zip = ZipWriter::new(Cursor::new(vec![]));
        for (name, bytes) in files {
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let array = npy("<f4", "False", "(2,)", [1.5f32, -2.].map(f32::to_le_bytes).as_flattened());
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let bytes = pack(method, &[("z.npy", &array)]);
        assert_eq!(read_bytes(&bytes).unwrap(), ("f32 [2]".to_owned(), vec![1.5, -2.]));
        let short = pack(method, &[("z.npy", &array[..array.len() - 1])]);
        assert!(error(&short).starts_with("array \"z.npy\": truncated: expected "), "{}", error(&short));
        let several = pack(method, &[("z.npy", &array), ("labels.npy", &array)]);
        assert_eq!(error(&several), "holds 2 arrays: labels, z; expected one (numpy.save writes one array)");
        assert!(error(&pack(method, &[("archive/data.pkl", b"x")])).contains("is a file of PyTorch"));
        assert!(error(&pack(method, &[("a.txt", b"x")])).contains("without a .npy file"));
        assert!(error(&bytes[..bytes.len() - 9]).starts_with("is a damaged .npz file"));
    }
    let mut twice = pack(CompressionMethod::Stored, &[("z.npy", &array), ("y.npy", &array)]);
    while let Some(at) = twice.windows(5).position(|name| name == b"y.npy") {
        twice[at] = b'z';
    }
    assert!(error(&twice).starts_with("is a .npz file with two entries of the same name"));
    // One changed value: the checksum of the entry no longer fits.
    let mut changed = pack(CompressionMethod::Stored, &[("z.npy", &array)]);
    let at = changed.windows(4).position(|bytes| bytes == 1.5f32.to_le_bytes()).unwrap();
    changed[at] ^= 1;
    assert!(error(&changed).contains("checksum"), "{}", error(&changed));
}

#[test]
fn another_file_is_called_what_it_is() {
    let safetensors = [&[9, 0, 0, 0, 0, 0, 0, 0][..], b"{\"x\":[]} "].concat();
    for (bytes, expected) in [
        (&b""[..], "is empty"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG picture, not a .npy file (--samples takes a directory"),
        (b"\xff\xd8\xff\xe0", "is a JPEG picture"),
        (b"0.5,1.5\n2,3\n", "is text, not a .npy file"),
        (b"\x80\x02\x8a\x0al\xfc", "is a file of PyTorch"),
        (&safetensors, "is a safetensors file"),
        (b"\x1f\x8b\x08", "is gzipped"),
        (b"\0\0\x08\x03\0\0", "is an IDX file"),
        (b"\x01\x02\x03", "does not begin with"),
    ] {
        assert!(error(bytes).contains(expected), "{expected}: {}", error(bytes));
    }
    let directory = tempfile::tempdir().unwrap();
    let found = read(directory.path(), |_| Ok(())).unwrap_err().to_string();
    assert_eq!(found, "is not a regular file: expected a .npy file");
}

#[test]
fn a_written_header_is_numpys() {
    for shape in [&[70usize, 1, 28, 28][..], &[3], &[]] {
        let header = written(shape);
        assert_eq!(header.len() % 64, 0);
        let bytes = [header, vec![0; 4 * shape.iter().product::<usize>()]].concat();
        let npy = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(npy.shape(), shape.iter().map(|&side| side as u64).collect::<Vec<_>>());
        assert_eq!((npy.order(), npy.dtype().descr()), (npyz::Order::C, "'<f4'".to_owned()));
        let values = read_bytes(&bytes).unwrap().1;
        assert_eq!(values.len(), shape.iter().product::<usize>());
    }
}
