"""Writes the seeds of the fuzz targets: python3 make_seeds.py GAN_CLI

GAN_CLI is the program, built from this tree. It needs numpy and pillow. Some targets choose by the
first byte of an input what they do with the rest; `choice` is that byte.
"""

import gzip
import io
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(0)


def write(target, name, content, choice=None):
    path = HERE / "seeds" / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((b"" if choice is None else bytes([choice])) + content)


def idx():
    images = struct.pack(">4I", 0x0803, 2, 3, 4) + bytes(range(24))
    labels = struct.pack(">2I", 0x0801, 5) + bytes([3, 1, 4, 1, 5])
    # QMNIST's labels have several numbers for each image.
    table = struct.pack(">9I", 0x0C02, 2, 3, 7, 0, 1, 9, 0, 2)
    for name, content in [("images", images), ("labels", labels), ("table", table)]:
        write("idx", name, content)
        write("gz", name, gzip.compress(content, mtime=0))


def picture(mode, width, height):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    pixels = RANDOM.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode)


def state_dicts():
    for name in ["archive", "stream"]:
        write("pth", name, (HERE.parent / f"crates/gan-models/tests/pth/{name}.pth").read_bytes())


def archives():
    def png(mode):
        file = io.BytesIO()
        picture(mode, 5, 4).save(file, "PNG")
        return file.getvalue()

    classes = {"cat/a.png": png("RGB"), "cat/b.png": png("RGBA"), "dog/c.png": png("L"), "dog/notes.txt": b"x"}
    labels = {"labels": [["00000/a.png", 3], ["00000/b.png", 0]], "classes": ["a", "b", "c", "d"]}
    numbered = {"00000/a.png": png("L"), "00000/b.png": png("RGB"), "dataset.json": json.dumps(labels).encode()}
    for name, files, method in [("classes", classes, zipfile.ZIP_DEFLATED), ("labels", numbered, zipfile.ZIP_STORED)]:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for path, content in files.items():
                archive.writestr(zipfile.ZipInfo(path), content, method)
        write("archive", name, file.getvalue())


def pictures():
    def save(name, image, kind, choice, **options):
        file = io.BytesIO()
        image.save(file, kind, **options)
        write("pictures", name, file.getvalue(), choice)

    turned = Image.Exif()
    turned[0x0112] = 6
    save("png-gray", picture("L", 9, 7), "PNG", 0)
    save("png-rgb-exif", picture("RGB", 9, 7), "PNG", 1, exif=turned)
    xmp = '<x tiff:Orientation="6"/>'
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp, zip=True)
    save("png-xmp", picture("L", 9, 7), "PNG", 0, pnginfo=text)
    save("webp-xmp", picture("RGB", 9, 7), "WEBP", 1, lossless=True, xmp=xmp.encode())
    save("png-rgba", picture("RGBA", 9, 7), "PNG", 1)
    save("png-gray-alpha", picture("LA", 9, 7), "PNG", 0)
    save("png-palette", picture("RGB", 9, 7).quantize(4), "PNG", 1)
    twelve_bits = RANDOM.integers(0, 4096, (5, 5)).astype(np.uint16)
    save("png-16", Image.fromarray(twelve_bits), "PNG", 0)
    save("jpeg", picture("RGB", 16, 12), "JPEG", 1, quality=50)
    save("jpeg-gray-exif", picture("L", 12, 16), "JPEG", 0, quality=30, exif=turned)
    save("jpeg-progressive", picture("RGB", 16, 16), "JPEG", 1, quality=40, progressive=True)
    save("webp-lossy", picture("RGB", 16, 16), "WEBP", 1, quality=30)
    save("webp-lossless", picture("RGBA", 9, 7), "WEBP", 1, lossless=True)


def array():
    def save(name, write_array, *arrays, **named):
        file = io.BytesIO()
        write_array(file, *arrays, **named)
        write("array", name, file.getvalue())

    normal = RANDOM.standard_normal((2, 3))
    save("f64-fortran", np.save, np.asfortranarray(normal))
    save("f32", np.save, normal.astype("f4"))
    save("f16", np.save, np.ones((1, 1, 2, 2), "f2"))
    save("u8", np.save, np.arange(8, dtype="u1").reshape(2, 1, 2, 2))
    save("bool", np.save, np.array([True, False]))
    save("i64-big-endian", np.save, np.arange(3).astype(">i8"))
    save("npz", np.savez_compressed, z=np.zeros((2, 3)))
    save("npz-stored", np.savez, z=np.ones((2, 3), "f4"))


def classifier():
    file = (HERE / "../crates/gan-metrics/assets/mnist-classifier.safetensors").read_bytes()
    end = 8 + struct.unpack("<Q", file[:8])[0]
    write("classifier", "header", file[8:end], 1)
    write("classifier", "without-weights", file[:end], 0)


def config():
    for name in ["mlp-003", "wgan-gp", "r3gan", "mnist-conditional"]:
        lines = (HERE / f"../configs/{name}.toml").read_text().splitlines()
        text = "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
        write("config", name, text.encode() + b"\0train.steps=5\0model.latent-dim=7")


def runs(gan_cli):
    """Files of the model in src/model.rs, and journals of a sound run and of one that fails."""
    with tempfile.TemporaryDirectory() as directory:
        at = pathlib.Path(directory)
        (at / "data").mkdir()
        for i in range(64):
            picture("L", 4, 4).save(at / f"data/{i}.png")

        def train(out, config, *sets):
            command = [gan_cli, "--quiet", "train", "--config", config, "--data-dir", "data", "--out", out]
            for setting in sets:
                command += ["--set", setting]
            return subprocess.run(command, cwd=at, check=False).returncode

        def model(config, size, latent, *widths):
            return train(
                f"{config}-{size}", config, 'data.name="folder"', "data.batch-size=4", "train.steps=1",
                "train.health.every=0", f"model.image-size={size}", f"model.latent-dim={latent}",
                f"model.generator.widths={list(widths)}", f"model.discriminator.widths={list(widths)}",
            )

        assert model("mlp-003", 2, 2, 2) == 0 and model("dcgan-28", 28, 2, 2, 2) == 0
        for run in ["mlp-003-2", "dcgan-28-28"]:
            write("generator", run, (at / run / "generator.safetensors").read_bytes())
        checkpoint = at / "mlp-003-2/checkpoints/step-00000001"
        file = (checkpoint / "generator.safetensors").read_bytes()
        end = 8 + struct.unpack("<Q", file[:8])[0]
        header = json.loads(file[8:end])
        tensors = {f"module.{name}": header[name] for name in header if name != "__metadata__"}
        header = json.dumps(tensors).encode()
        write("generator", "state-dict", struct.pack("<Q", len(header)) + header + file[end:])
        state = json.loads((checkpoint / "state.json").read_text())
        state["settings"] = {}
        del state["crc32"]
        write("checkpoint", "state", json.dumps(state).encode(), 0)
        for choice, file in enumerate(["generator", "discriminator", "optimizer"], start=1):
            write("checkpoint", file, (checkpoint / f"{file}.safetensors").read_bytes(), choice)

        watched = ['data.name="folder"', "data.batch-size=4", "train.health.every=20", "train.log-every=50",
                   "train.health.samples=64", "train.steps=200", "model.generator.widths=[8]",
                   "model.discriminator.widths=[8]", "model.latent-dim=4"]
        assert train("sound", "mlp-003", *watched) == 0
        train("failing", "mlp-003", *watched, "train.generator.lr=5.0", 'train.health.on-failure="rollback"',
              "train.checkpoint-every=20", "train.steps=600")
        for run in ["sound", "failing"]:
            lines = (at / run / "metrics.jsonl").read_text().splitlines()
            write("journal", f"{run}-sealed", "".join(f"{line}\n" for line in lines[:12]).encode(), 1)
            lines = [json.loads(line) for line in lines]
            for line in lines:
                del line["crc32"]
            keys = {json.dumps(sorted(line)): line for line in lines}
            text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in keys.values())
            write("journal", f"{run}-kinds", text.encode(), 0)


idx()
pictures()
archives()
state_dicts()
array()
classifier()
config()
runs(str(pathlib.Path(sys.argv[1]).resolve()))
