"""Networks with pixel norm, dropout and upsampling by nearest neighbours. Dropout has the masks that gan-models draws."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from chacha import Stream
from networks import Discriminator, Generator, dcgan
from objectives import input_gradient
from seed_models import leaky

SEED = 3
P = 0.3
STEPS = 5


class PixelNorm(nn.Module):
    """Karras et al. 2018, as in the authors' program."""

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class Dropout(nn.Module):
    """`nn.Dropout` whose mask is a function of seed, purpose, update and the layer's place. `draws`, a pair of purpose and
    update, is set by whoever calls the network; none in evaluation."""

    draws = None

    def __init__(self, place):
        super().__init__()
        self.place = place

    def forward(self, x):
        if Dropout.draws is None:
            return x
        purpose, update = Dropout.draws
        drawn = Stream(SEED, f"{purpose}/dropout/{self.place}", update).uniform(tuple(x.shape))
        return x * torch.from_numpy((drawn >= np.float32(P)).astype(np.float32) * np.float32(1 / (1 - P)))


def drawing(purpose, update, f):
    """`f` in training: with masks."""
    Dropout.draws = (purpose, update)
    result = f()
    Dropout.draws = None
    return result


def pixel_norm():
    generator = nn.Sequential(
        nn.ConvTranspose2d(20, 16, 7), nn.ReLU(), PixelNorm(), nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU(), PixelNorm(),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh())
    return Generator(generator)


def nearest():
    generator = nn.Sequential(
        nn.ConvTranspose2d(20, 16, 7, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(16, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Upsample(scale_factor=2), nn.Conv2d(8, 1, 3, padding=1, bias=False), nn.Tanh())
    return Generator(generator)


def dropout():
    return Discriminator(
        nn.Conv2d(1, 8, 4, 2, 1), leaky(), Dropout("model.2"), nn.Conv2d(8, 16, 4, 2, 1), leaky(), Dropout("model.5"),
        nn.Conv2d(16, 1, 7))


def golden(fill, kept, set_weights, stay_away_from_kinks):
    out = {}

    def with_weights(network, player):
        with torch.no_grad():
            set_weights(network, player)
        return network

    def gradients(name, module):
        for parameter, tensor in module.named_parameters():
            out[f"{name}.{parameter}"] = kept(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)
            tensor.grad = None

    for name, make in [("pixel-norm", pixel_norm), ("nearest", nearest)]:
        generator = with_weights(make(), "generator")
        stay_away_from_kinks(generator)
        images = generator(fill("z.0", (4, 20), 1.7))
        out[f"{name}.images"] = kept(images)
        (images * fill("to images", tuple(images.shape))).sum().backward()
        gradients(name, generator)

    discriminator = with_weights(dropout(), "discriminator")
    stay_away_from_kinks(discriminator)
    x = fill("x.0", (4, 1, 28, 28))
    out["dropout.evaluation"] = np.append(discriminator(x).detach().numpy(), np.float32(0))
    logits = drawing("test", 7, lambda: discriminator(x))
    out["dropout.logits"] = np.append(logits.detach().numpy(), np.float32(0))
    (logits * fill("to logits", (4,))).sum().backward()
    gradients("dropout", discriminator)
    squares = drawing("test", 7, lambda: input_gradient(discriminator, x)).square().sum(1)
    penalty = 5.0 * squares.mean()
    penalty.backward()
    out["dropout.penalty"] = np.array([penalty.item(), 0], dtype=np.float32)
    gradients("dropout.penalty", discriminator)

    generator, discriminator = with_weights(dcgan()[0], "generator"), with_weights(dropout(), "discriminator")
    adam_g, adam_d = (torch.optim.Adam(m.parameters(), 2e-3, betas=(0.5, 0.999)) for m in (generator, discriminator))
    losses = []
    for step in range(STEPS):
        real = fill(f"real.{step}", (8, 1, 28, 28))
        fake = generator(fill(f"z.{step}", (8, 20), 1.7))
        adam_d.zero_grad()
        d = F.softplus(-drawing("D's real", step, lambda: discriminator(real))).mean()
        d = d + F.softplus(drawing("D's fake", step, lambda: discriminator(fake.detach()))).mean()
        d.backward()
        adam_d.step()
        adam_g.zero_grad()
        g = F.softplus(-drawing("G's fake", step, lambda: discriminator(fake))).mean()
        g.backward()
        adam_g.step()
        losses += [d.item(), g.item()]
    out["dropout.steps.losses"] = np.array(losses, dtype=np.float32)
    for player, module in [("generator", generator), ("discriminator", discriminator)]:
        for name, tensor in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                out[f"dropout.steps.{player}.{name}"] = kept(tensor)
    return out
