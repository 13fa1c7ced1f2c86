"""Reference values for gan-metrics' random network: its weights, its layers and its resizing, in PyTorch."""

import numpy as np
import torch
import torch.nn.functional as F

from chacha import Stream

WIDTHS = [32, 64, 64]
SIDES = [32, 64, 128]
SCALE = 10
# Samples, channels, height, width.
PICTURES = {
    "same": (3, 3, 32, 32),
    "enlarged": (2, 3, 48, 40),
    "gray": (2, 1, 28, 28),
    "reduced": (2, 3, 200, 150),
}


def weights():
    inputs = 3
    for index, outputs in enumerate(WIDTHS):
        shape = (outputs, inputs, 4, 4)
        normal = Stream(0, "random-features", index).normal(shape)
        yield torch.from_numpy(normal) * (2 / (inputs * 16)) ** 0.5
        inputs = outputs


def features(images, kernels):
    longest = max(images.shape[2:])
    side = next((side for side in SIDES if side >= longest), SIDES[-1])
    x = images.expand(-1, 3, -1, -1)
    x = F.interpolate(x, (side, side), mode="bilinear", align_corners=False, antialias=True)
    means = []
    for kernel in kernels:
        x = F.relu(F.conv2d(x, kernel, stride=2, padding=1))
        means.append(x.mean((2, 3)))
    return SCALE * torch.cat(means, 1)


def golden(fill):
    kernels = list(weights())
    return {
        name: np.ascontiguousarray(features(fill(f"random.{name}", shape), kernels).numpy())
        for name, shape in PICTURES.items()
    }
