"""Compares exported networks in onnxruntime with other programs.

    python check_onnx.py latents WIDTH z.npy                            writes 16 latents
    python check_onnx.py generator X.onnx z.npy images.npy [CLASS]      with `gan-cli sample --latents`
    python check_onnx.py discriminator X.onnx DIRECTORY images.npy [CLASS]
                                                                        with the exported PyTorch program
"""

import sys

import numpy as np


def evaluate(path, first, of_class):
    """The network's output for the first input, which is [N, ...], and for one sample alone."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
    inputs = {session.get_inputs()[0].name: first}
    if of_class:
        inputs["class"] = np.full(len(first), int(of_class[0]), np.int64)
    (all_of_them,) = session.run(None, inputs)
    (one,) = session.run(None, {name: value[:1] for name, value in inputs.items()})
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}", end=": ")
    return all_of_them, one


def logits(directory, images, of_class):
    import torch

    sys.path.insert(0, directory)
    import discriminator  # the exported program

    classes = [torch.full((len(images),), int(of_class[0]))] if of_class else []
    with torch.no_grad():
        return discriminator.load()(torch.from_numpy(images), *classes).numpy()


def main():
    command, *files = sys.argv[1:]
    if command == "latents":
        width, path = files
        np.save(path, np.random.default_rng(0).standard_normal((16, int(width)), dtype=np.float32))
        return
    path, other, images, *of_class = files
    images = np.load(images)
    if command == "generator":
        first, expected = np.load(other), images
    else:
        first, expected = images, logits(other, images, of_class)
    found, one = evaluate(path, first, of_class)
    assert found.shape == expected.shape, f"{found.shape} against {expected.shape}"
    worst = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    # Any number of samples has the same results.
    worst = max(worst, float(np.abs(one - found[:1]).max() / max(1, np.abs(found).max())))
    print(f"{command}, relative difference {worst:.1e}")
    sys.exit(int(worst > 1e-5))


main()
