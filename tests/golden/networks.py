"""Networks beyond the presets as a PyTorch user writes them: residual ones, spectral norm, minibatch standard deviation, packed
images, classes."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm

from objectives import input_gradient
from seed_models import leaky

CLASSES = 4
LABELS = [0, 1, 2, 3]
STEPS = 5


class Residual(nn.Module):
    def __init__(self, *body):
        super().__init__()
        self.body, self.shortcut = nn.Sequential(*body), nn.Sequential()

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class MinibatchStd(nn.Module):
    """As in the authors' programs: groups of `group` samples, sample n in group n modulo their number."""

    def __init__(self, group):
        super().__init__()
        self.group = group

    def forward(self, x):
        y = x.reshape(self.group, -1, *x.shape[1:])
        y = ((y - y.mean(0)).square().mean(0) + 1e-8).sqrt().flatten(1).mean(1)
        y = y.repeat(self.group).view(-1, *[1] * (x.dim() - 1)).expand(-1, 1, *x.shape[2:])
        return torch.cat([x, y], 1)


def block(channels):
    return Residual(nn.Conv2d(channels, channels, 1), leaky(), nn.Conv2d(channels, channels, 3, padding=1), leaky(),
                    nn.Conv2d(channels, channels, 1, bias=False))


class Generator(nn.Module):
    """A class is a one behind the latents, among zeros."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, z, labels=None):
        z = z if labels is None else torch.cat([z, F.one_hot(labels, CLASSES).float()], 1)
        return self.model(z[..., None, None]).view(-1, 1, 28, 28)


class Discriminator(nn.Module):
    """`pack` images are the channels of one; the logit of a class is the first result and that of the class, added."""

    def __init__(self, *model, pack=1):
        super().__init__()
        self.model, self.pack = nn.Sequential(*model), pack

    def forward(self, x, labels=None):
        results = self.model(x.view(-1, self.pack, 28, 28)).flatten(1)
        return results.squeeze(1) if labels is None else results[:, 0] + results.gather(1, 1 + labels[:, None])[:, 0]


def residual():
    generator = nn.Sequential(
        nn.ConvTranspose2d(20 + CLASSES, 16, 7), block(16), nn.Conv2d(16, 8, 1, bias=False), nn.Upsample(scale_factor=2),
        block(8), nn.Upsample(scale_factor=2), block(8), nn.Conv2d(8, 1, 1), nn.Tanh())
    discriminator = Discriminator(
        nn.Conv2d(1, 8, 1), block(8), nn.AvgPool2d(2), block(8), nn.AvgPool2d(2), nn.Conv2d(8, 16, 1, bias=False),
        block(16), nn.Conv2d(16, 1 + CLASSES, 7))
    return Generator(generator), discriminator


def dcgan(normalise=lambda layer: layer, pack=1, std=()):
    """A discriminator without batch norm, its generator small."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(20, 16, 7, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh())
    discriminator = Discriminator(
        normalise(nn.Conv2d(pack, 8, 4, 2, 1)), leaky(), normalise(nn.Conv2d(8, 16, 4, 2, 1)), leaky(),
        *std, normalise(nn.Conv2d(16 + len(std), 1, 7)), pack=pack)
    return Generator(generator), discriminator


def deep(classes=0):
    """28x28 from 4x4."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(20 + classes, 16, 4, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh())
    discriminator = Discriminator(
        nn.Conv2d(1, 8, 4, 2, 1), leaky(), nn.Conv2d(8, 12, 4, 2, 1), leaky(), nn.Conv2d(12, 16, 3, 2, 1), leaky(),
        nn.Conv2d(16, 1 + classes, 4))
    return Generator(generator), discriminator


NETWORKS = {
    "deep": (deep, False),
    "deep-classes": (lambda: deep(CLASSES), True),
    "residual": (residual, True),
    "spectral": (lambda: dcgan(normalise=spectral_norm), False),
    "minibatch-std": (lambda: dcgan(std=[MinibatchStd(2)]), False),
    "pack": (lambda: dcgan(pack=2), False),
}


def golden(fill, kept, set_weights, stay_away_from_kinks):
    out = {}

    def networks(make):
        generator, discriminator = make()
        with torch.no_grad():
            set_weights(generator, "generator")
            set_weights(discriminator, "discriminator")
        return generator, discriminator

    def gradients(name, module):
        for parameter, tensor in module.named_parameters():
            out[f"{name}.{parameter}"] = kept(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)
            tensor.grad = None

    for name, (make, has_classes) in NETWORKS.items():
        generator, discriminator = networks(make)
        stay_away_from_kinks(generator, discriminator)
        labels = torch.tensor(LABELS) if has_classes else None
        images = generator(fill("z.0", (4, 20), 1.7), labels)
        out[f"{name}.images"] = kept(images)
        (images * fill("to images", tuple(images.shape))).sum().backward()
        gradients(f"{name}.generator", generator)
        # One power iteration of spectral norm, then none.
        x = fill("x.0", (4, 1, 28, 28))
        discriminator(x, labels)
        discriminator.eval()
        logits = discriminator(x, labels)
        out[f"{name}.logits"] = np.append(logits.detach().numpy(), np.float32(0))
        (logits * fill("to logits", tuple(logits.shape))).sum().backward()
        gradients(f"{name}.discriminator", discriminator)
        if name != "minibatch-std":  # it couples the samples
            shifted = lambda points: discriminator(points.view(4, 1, 28, 28), labels)
            per_logit = x if name != "pack" else x.view(2, 2, 28, 28)
            penalty = 5.0 * input_gradient(shifted, per_logit).square().sum(1).mean()
            penalty.backward()
            out[f"{name}.penalty"] = np.array([penalty.item(), 0], dtype=np.float32)
            gradients(f"{name}.penalty", discriminator)

    generator, discriminator = networks(NETWORKS["spectral"][0])
    adam_g, adam_d = (torch.optim.Adam(m.parameters(), 2e-3, betas=(0.5, 0.999)) for m in (generator, discriminator))
    losses = []
    for step in range(STEPS):
        real = fill(f"real.{step}", (8, 1, 28, 28))
        fake = generator(fill(f"z.{step}", (8, 20), 1.7))
        with torch.no_grad():
            discriminator.train()(real)  # the step's power iteration
        discriminator.eval()
        adam_d.zero_grad()
        d = F.relu(1 - discriminator(real)).mean() + F.relu(1 + discriminator(fake.detach())).mean()
        d.backward()
        adam_d.step()
        adam_g.zero_grad()
        g = -discriminator(fake).mean()
        g.backward()
        adam_g.step()
        losses += [d.item(), g.item()]
    out["spectral.steps.losses"] = np.array(losses, dtype=np.float32)
    for player, module in [("generator", generator), ("discriminator", discriminator)]:
        for name, tensor in module.state_dict().items():
            # The bias that real and fake logits share gets rounding for a gradient, which Adam makes a step of.
            if not name.endswith("num_batches_tracked") and not (player == "discriminator" and name.endswith("bias")):
                out[f"spectral.steps.{player}.{name}"] = kept(tensor)
    return out
