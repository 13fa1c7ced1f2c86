#!/usr/bin/env python3
"""Reference values from PyTorch for tests/it/parity.rs, and from scipy (metrics.py) and
pytorch-fid (inception.py) for gan-metrics.

  pip install torch safetensors numpy scipy pillow pytorch-fid
  python3 make_golden.py            writes forward, loss, steps, objectives, networks, layers, metrics, pillow,
                                    inception and random .safetensors beside this file
  python3 make_golden.py metrics    writes that one
  python3 make_golden.py --check    computes them again and compares with those that are there

Weights, latents and images are not stored: both sides compute them from the same integer hash (`fill`). Of a
large result every k-th element is stored, with its Euclidean norm as the last one.
"""

import argparse
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.numpy import save_file

import inception
import layers
import metrics
import networks as other_networks
import objectives
import pillow
import random_network
from seed_models import LATENT, PRESETS

HERE = pathlib.Path(__file__).parent
KEPT = 256  # elements stored of a large tensor
STEPS = 10
LOGITS = [-100.0, -20.0, -3.5, -1.0, -0.1, 0.0, 0.1, 1.0, 3.5, 20.0, 100.0]


def fill(name, shape, scale=1.0, offset=0.0):
    """Uniform on offset +- scale, f32: FNV-1a of the name, a counter, murmur3's finaliser, 24 bits."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        h = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(seed)
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    unit = (h >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)
    value = (unit * np.float32(2) - np.float32(1)) * np.float32(scale) + np.float32(offset)
    return torch.from_numpy(value.reshape(shape))


def set_weights(module, player):
    """Weights of about the size that the presets start with."""
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            scale, offset = 0.5, 1.0
        elif name.endswith("running_mean"):
            scale, offset = 0.2, 0.0
        elif tensor.dim() == 4:
            scale, offset = 0.05, 0.0
        elif tensor.dim() == 2:
            scale, offset = 0.06, 0.0
        elif is_batch_norm(module, name) and name.endswith("weight"):
            scale, offset = 0.1, 1.0
        else:  # off 0, or the gradients of D's last bias on real and fake images would cancel to rounding errors
            scale, offset = 0.05, 0.1
        tensor.copy_(fill(f"{player}.{name}", tuple(tensor.shape), scale, offset))


def is_batch_norm(module, name):
    return isinstance(module.get_submodule(name.rsplit(".", 1)[0]), torch.nn.BatchNorm2d)


def networks(preset):
    generator, discriminator = PRESETS[preset]()
    set_weights(generator, "generator")
    set_weights(discriminator, "discriminator")
    return generator, discriminator


def latents(preset, name, batch):
    return fill(name, (batch, LATENT.get(preset, 100)), 1.7)


def kept(tensor):
    flat = tensor.detach().float().flatten().numpy()
    norm = np.float32(np.sqrt(np.sum(flat.astype(np.float64) ** 2)))
    stride = -(-len(flat) // KEPT)
    return np.append(flat[::stride], norm)


def d_loss(real, fake):
    one, zero = torch.ones_like(real), torch.zeros_like(fake)
    return F.binary_cross_entropy_with_logits(real, one) + F.binary_cross_entropy_with_logits(fake, zero)


def g_loss(form, fake):
    if form == "non-saturating":
        return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    return -F.softplus(fake).mean()  # E log(1 - sigmoid(x))


def forward():
    out = {}
    for preset in PRESETS:
        generator, discriminator = networks(preset)
        z = latents(preset, "z", 4)
        x = fill("x", (4, *generator.image))
        for mode in ["eval", "train"]:
            generator.train(mode == "train"), discriminator.train(mode == "train")
            with torch.no_grad():
                out[f"{preset}.generator.{mode}"] = kept(generator(z))
                out[f"{preset}.discriminator.{mode}"] = kept(discriminator(x))
    return out


def stay_away_from_kinks(*networks):
    """The gradient of a ReLU jumps at 0: next to it, one rounding decides, and no two programs need agree."""

    def check(module, inputs, _):
        least = inputs[0].abs().min().item()
        assert least > 2e-6, f"{module} takes {least}: choose other inputs"

    for module in (m for network in networks for m in network.modules()):
        if isinstance(module, (torch.nn.ReLU, torch.nn.LeakyReLU)):
            module.register_forward_hook(check)


def loss():
    out = {}
    logits = torch.tensor(LOGITS)
    for form in ["non-saturating", "minimax"]:
        fake = logits.clone().requires_grad_()
        value = g_loss(form, fake)
        value.backward()
        out[f"logits.generator.{form}"] = np.append(fake.grad.numpy(), value.item()).astype(np.float32)
    real, fake = logits.clone().requires_grad_(), logits.flip(0).clone().requires_grad_()
    value = d_loss(real, fake)
    value.backward()
    out["logits.discriminator"] = np.concatenate([real.grad, fake.grad, [value.item()]]).astype(np.float32)

    for preset in ["mlp-001", "mlp-002", "dcgan-28"]:
        for form in ["non-saturating", "minimax"]:
            generator, discriminator = networks(preset)
            stay_away_from_kinks(generator, discriminator)
            fake = generator(latents(preset, "z", 4))
            if form == "non-saturating":  # D's loss is the same in both forms
                value = d_loss(discriminator(fill("x", (4, *generator.image))), discriminator(fake.detach()))
                value.backward()
                for name, parameter in discriminator.named_parameters():
                    out[f"{preset}.discriminator.{name}"] = kept(parameter.grad)
            g_loss(form, discriminator(fake)).backward()
            for name, parameter in generator.named_parameters():
                out[f"{preset}.generator.{form}.{name}"] = kept(parameter.grad)
    return out


def steps():
    out = {}
    for preset, betas in [("mlp-001", (0.5, 0.999)), ("mlp-002", (0.9, 0.999)), ("dcgan-28", (0.5, 0.999))]:
        generator, discriminator = networks(preset)
        adam_g, adam_d = (torch.optim.Adam(m.parameters(), 2e-4, betas=betas) for m in (generator, discriminator))
        losses = []
        for step in range(STEPS):
            real = fill(f"real.{step}", (8, *generator.image))
            fake = generator(latents(preset, f"z.{step}", 8))
            adam_d.zero_grad()
            d = d_loss(discriminator(real), discriminator(fake.detach()))
            d.backward()
            adam_d.step()
            adam_g.zero_grad()
            g = g_loss("non-saturating", discriminator(fake))
            g.backward()
            adam_g.step()
            losses += [d.item(), g.item()]
        out[f"{preset}.losses"] = np.array(losses, dtype=np.float32)
        for player, module in [("generator", generator), ("discriminator", discriminator)]:
            for name, tensor in module.state_dict().items():
                if not name.endswith("num_batches_tracked"):
                    out[f"{preset}.{player}.{name}"] = kept(tensor)
    return out


def check(path, new):
    with safe_open(path, "np") as file:
        old = {name: file.get_tensor(name) for name in file.keys()}
    assert old.keys() == new.keys(), f"{path}: other tensors"

    def difference(name, part):
        return np.linalg.norm(old[name][part] - new[name][part]) / max(np.linalg.norm(old[name][part]), 1e-30)

    worst = max(difference(name, part) for name in new for part in [slice(None, -1), slice(-1, None)])
    print(f"{path.name}: {len(new)} tensors, largest relative difference {worst:.1e}")
    return worst <= 1e-5


def main():
    torch_version = {"torch": torch.__version__.split("+")[0]}
    files = {
        "forward": (forward, torch_version),
        "loss": (loss, torch_version),
        "steps": (steps, torch_version),
        "objectives": (
            lambda: objectives.golden(fill, kept, set_weights, stay_away_from_kinks, torch.tensor(LOGITS)), torch_version),
        "networks": (lambda: other_networks.golden(fill, kept, set_weights, stay_away_from_kinks), torch_version),
        "layers": (lambda: layers.golden(fill, kept, set_weights, stay_away_from_kinks), torch_version),
        "metrics": (lambda: metrics.golden(fill), metrics.VERSIONS),
        "pillow": (lambda: pillow.golden(fill), pillow.VERSIONS),
        "random": (lambda: random_network.golden(fill), torch_version),
        "inception": (lambda: inception.golden(fill), torch_version | inception.VERSIONS),
    }
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(files))
    args = parser.parse_args()
    if unknown := set(args.names) - files.keys():
        parser.error(f"no file of the name {unknown.pop()}")
    ok = True
    for name in args.names or files:
        make, versions = files[name]
        path, tensors = HERE / f"{name}.safetensors", make()
        if args.check:
            ok &= check(path, tensors)
        else:
            save_file(tensors, path, metadata=versions)
            print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")
    sys.exit(not ok)


if __name__ == "__main__":
    main()
