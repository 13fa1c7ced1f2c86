"""Compares the images of an exported generator in onnxruntime with those of `gan-cli sample --latents`.

    python check_onnx.py generator.onnx latents.npy images.npy [CLASS]
"""

import sys

import numpy as np
import onnx
import onnxruntime

path, latents, images, *of_class = sys.argv[1:]
onnx.checker.check_model(path, full_check=True)
session = onnxruntime.InferenceSession(path)
z = np.load(latents)
inputs = {session.get_inputs()[0].name: z}
if of_class:
    inputs["class"] = np.full(len(z), int(of_class[0]), np.int64)
(found,) = session.run(None, inputs)
expected = np.load(images)
assert found.shape == expected.shape, f"{found.shape} against {expected.shape}"
worst = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
# Any number of samples has the same images.
one = session.run(None, {name: value[:1] for name, value in inputs.items()})[0]
worst = max(worst, float(np.abs(one - found[:1]).max()))
print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}: relative difference {worst:.1e}")
sys.exit(int(worst > 1e-5))
