//! `tests/golden/pth.py` wrote the two files with PyTorch.

use super::*;

const FILES: [(&str, &[u8]); 2] = [
    ("archive.pth", include_bytes!("../../tests/pth/archive.pth")),
    ("stream.pth", include_bytes!("../../tests/pth/stream.pth")),
];

fn read(bytes: &[u8]) -> std::result::Result<HashMap<String, Tensor>, String> {
    parse(Path::new("x.pth"), bytes).map_err(|e| e.to_string())
}

#[test]
fn both_formats_hold_the_values_of_pytorch() {
    for (name, bytes) in FILES {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pth/").to_owned() + name;
        let tensors = read_state_dict(Path::new(&path)).unwrap();
        assert_eq!(read(bytes).unwrap().len(), tensors.len());
        let of = |tensor: &str, shape: &[usize], expected: &[f64]| {
            let found = &tensors[tensor];
            assert_eq!(found.dims(), shape, "{name}: {tensor}");
            let found = found.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(found, expected, "{name}: {tensor}");
        };
        assert_eq!(tensors.len(), 6, "{name}");
        of("0.weight", &[2, 3], &[0., 0.25, 0.5, 0.75, 1., 1.25]);
        of("0.transposed", &[3, 2], &[0., 0.75, 0.25, 1., 0.5, 1.25]);
        of("0.part", &[2], &[1., 1.25]);
        of("1.half", &[2, 3], &[0., -0.5, -1., -1.5, -2., -2.5]);
        of("1.double", &[2, 3], &[0.125, 0.375, 0.625, 0.875, 1.125, 1.375]);
        of("1.num_batches_tracked", &[], &[7.]);
        assert_eq!(tensors["1.half"].dtype(), DType::F16);
    }
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    for (name, bytes) in FILES {
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{name}: {length} bytes");
        }
        let mut changed = bytes.to_vec();
        for i in 0..bytes.len() {
            for flip in [0x01, 0x40, 0xff] {
                changed[i] ^= flip;
                // Some changes only change a number.
                let _ = read(&changed);
                changed[i] ^= flip;
            }
        }
    }
}

/// A file in the older format with this program in place of the state dict.
fn with(program: &[u8]) -> String {
    read(&[STREAM, b"}.", program, b"]."].concat()).unwrap_err()
}

#[test]
fn what_a_state_dict_does_not_need_is_refused() {
    let prefix = "x.pth: is damaged or not a state dict of PyTorch (";
    for (program, problem) in [
        (&b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R."[..], "a call of os system)"),
        (b"cposix\nsystem\n)\x81.", "instruction 0x81, which a state dict does not need: save model.state_dict(), not the model)"),
        (
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000\
              X\x03\x00\x00\x00cpuK\x04tQK\x00K\x01\x85K\x01\x85\x89N}tR.",
            "a tensor with properties of its own, such as a negative view)",
        ),
        (b"]. ", "no dict of tensors)"),
        // A dict in a dict.
        (
            b"}X\x01\x00\x00\x00g}s.",
            "no tensors by name: save the state dict itself, without another dict around it)",
        ),
        (b"u.", "a mark is missing)"),
        (b".", "a value is missing)"),
        (b"X\xff\xff\xff\xff", "it ends too early)"),
        (b"K\x01\x85\x85\x85\x85\x85\x85.", "tuples inside tuples)"),
        (
            b"(X\x00\x00\x00\x00ctorch\nBoolStorage\nX\x00\x00\x00\x00tQ.",
            "numbers of the type torch BoolStorage)",
        ),
    ] {
        assert_eq!(with(program), format!("{prefix}{problem}"));
    }
    assert!(read(b"PK\x03\x04").unwrap_err().starts_with(&format!("{prefix}the ZIP archive: ")));
}

/// A tensor in a storage of four numbers.
fn tensor(shape: &[usize], strides: &[usize], offset: usize) -> Option<Vec<f32>> {
    let storage = Storage { key: String::new(), dtype: DType::F32 };
    let tensor = StoredTensor { storage, offset, shape: shape.to_vec(), strides: strides.to_vec() };
    let values: Vec<u8> = [1f32, 2., 3., 4.].iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor.read(&values).map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap())
}

#[test]
fn a_tensor_stays_inside_its_storage() {
    assert_eq!(tensor(&[2, 2], &[1, 2], 0), Some(vec![1., 3., 2., 4.]));
    assert_eq!(tensor(&[2], &[1], 2), Some(vec![3., 4.]));
    for (shape, strides, offset) in [
        (&[2][..], &[1][..], 3),
        (&[2], &[usize::MAX], 1),
        (&[5], &[0], 0),
        (&[usize::MAX, 2], &[1, 1], 0),
        (&[2, 2], &[1], 0),
        (&[1], &[1], usize::MAX / 2),
    ] {
        assert_eq!(tensor(shape, strides, offset), None, "{shape:?} {strides:?} {offset}");
    }
}

#[test]
fn tensors_cannot_share_a_storage_without_end() {
    let storage = Storage { key: "0".into(), dtype: DType::F32 };
    let tensor = StoredTensor { shape: vec![2, 3], strides: vec![3, 1], offset: 0, storage };
    let tensors = |count: usize| -> Vec<_> { (0..count).map(|i| (i.to_string(), tensor.clone())).collect() };
    let bytes = [0; 24];
    // Six numbers of four bytes, in a file of a hundred.
    assert_eq!(assemble(&tensors(16), 100, |_| Some(&bytes)).unwrap().len(), 16);
    assert_eq!(assemble(&tensors(17), 100, |_| Some(&bytes)).unwrap_err(), "tensors share too much");
}
