"""Reference values for gan-metrics' Inception network: the class of pytorch-fid with weights from the hash `fill`.

The real weights are 90 MB. These weights keep the size of the activations about the same from layer to layer, so a
mistake in any layer shows in the features.
"""

import importlib.metadata

import numpy as np
import torch
from pytorch_fid import inception as pytorch_fid

SIDE = 299
VERSIONS = {"pytorch-fid": importlib.metadata.version("pytorch-fid")}
# Samples, channels, height, width.
PICTURES = {
    "32": (3, 3, 32, 32),
    "64": (2, 3, 48, 80),
    "128": (2, 3, 128, 128),
    "299": (2, 3, SIDE, SIDE),
}


def weights(fill, module):
    for name, tensor in module.state_dict().items():
        shape = tuple(tensor.shape)
        if tensor.dim() == 4:
            # Each filter sums to 0, for else the mean of its input, which is the same for every picture, outweighs
            # the rest.
            half = fill(name, (shape[0], -(-shape[1] // 2), *shape[2:]), (6 / np.prod(shape[1:])) ** 0.5)
            tensor.copy_(torch.stack([half, -half], 2).flatten(1, 2)[:, : shape[1]])
        elif name.endswith("running_var"):
            tensor.copy_(fill(name, shape, 0.5, 1.0))
        elif name.endswith("running_mean"):
            tensor.copy_(fill(name, shape, 0.2))
        elif name.endswith("bn.weight"):
            tensor.copy_(fill(name, shape, 0.3, 1.0))
        elif name.endswith("bn.bias"):
            tensor.copy_(fill(name, shape, 0.2))


def network(fill, **options):
    """pytorch-fid's network. Only the download of the weights is left out."""
    pytorch_fid.load_state_dict_from_url = lambda *_, **__: fresh.state_dict()
    fresh = pytorch_fid._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    module = pytorch_fid.fid_inception_v3
    state = {}

    def patched():
        inception = module()
        weights(fill, inception)
        state.update(inception.state_dict())
        return inception

    pytorch_fid.fid_inception_v3 = patched
    try:
        return pytorch_fid.InceptionV3([3], **options).eval(), state
    finally:
        pytorch_fid.fid_inception_v3 = module


def resized_as_in_tensorflow_1(x):
    """tf.image.resize_bilinear(align_corners=False): result i is at i * length / 299."""
    for axis in (2, 3):
        length = x.shape[axis]
        position = np.arange(SIDE, dtype=np.float64) * length / SIDE
        first = np.minimum(np.floor(position).astype(int), length - 1)
        share = (position - first).reshape((-1, 1) if axis == 2 else (1, -1))
        second = np.minimum(first + 1, length - 1)
        x = np.take(x, first, axis) * (1 - share) + np.take(x, second, axis) * share
    return x


def pictures(fill, name):
    """In [0, 1], with structure at all scales."""
    b, c, h, w = shape = PICTURES[name]
    coarse = fill(f"coarse.{name}", (b, c, 4, 4), 0.3, 0.5).repeat_interleave(-(-h // 4), 2)[:, :, :h]
    return coarse.repeat_interleave(-(-w // 4), 3)[:, :, :, :w] + fill(f"fine.{name}", shape, 0.2)


def golden(fill):
    out = {}
    with torch.no_grad():
        inception, _ = network(fill)
        for name in PICTURES:
            out[name] = inception(pictures(fill, name))[0].flatten(1).numpy()
        plain, _ = network(fill, resize_input=False, normalize_input=False)
        x = resized_as_in_tensorflow_1(pictures(fill, "32").numpy().astype(np.float64) * 255)
        out["tensorflow"] = plain(torch.from_numpy(((x - 128) / 128).astype(np.float32)))[0].flatten(1).numpy()
    return {name: np.ascontiguousarray(value) for name, value in out.items()}
