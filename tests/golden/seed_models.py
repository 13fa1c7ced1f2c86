"""The presets as a PyTorch user writes them: what gan-models must agree with, names included."""

import torch.nn as nn


class Generator(nn.Module):
    """`model` is the tutorial's `nn.Sequential`; latents come as [B, latent]."""

    def __init__(self, model, channels, size, convolutional=False):
        super().__init__()
        self.model = model
        self.image, self.convolutional = (channels, size, size), convolutional

    def forward(self, z):
        z = z.view(*z.shape, 1, 1) if self.convolutional else z
        return self.model(z).view(-1, *self.image)


class Discriminator(nn.Module):
    """Returns logits [B]; `flat` where the tutorial's `nn.Sequential` takes vectors."""

    def __init__(self, model, flat=False):
        super().__init__()
        self.model, self.flat = model, flat

    def forward(self, x):
        return self.model(x.flatten(1) if self.flat else x).flatten()


def ct(inputs, outputs, kernel, stride, padding):
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False)


def cv(inputs, outputs, kernel, stride, padding):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)


def leaky():
    return nn.LeakyReLU(0.2)


def mlp_001(latent=100, flat=False):
    generator = nn.Sequential(
        nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(),
        nn.Linear(512, 784), nn.Tanh())
    return Generator(generator, 1, 28), mlp_discriminator(flat)


def mlp_002():
    generator = nn.Sequential(
        nn.Linear(100, 256), leaky(), nn.Linear(256, 512), leaky(), nn.Linear(512, 784), nn.Tanh())
    return Generator(generator, 1, 28), mlp_discriminator(False)


def mlp_003():
    return mlp_001(latent=64, flat=True)


def mlp_discriminator(flat):
    layers = [nn.Linear(784, 512), leaky(), nn.Linear(512, 256), leaky(), nn.Linear(256, 1)]
    return Discriminator(nn.Sequential(*([] if flat else [nn.Flatten()]), *layers), flat)


def dcgan_28():
    generator = nn.Sequential(
        ct(100, 256, 7, 1, 0), nn.BatchNorm2d(256), nn.ReLU(), ct(256, 128, 4, 2, 1), nn.BatchNorm2d(128), nn.ReLU(),
        ct(128, 1, 4, 2, 1), nn.Tanh())
    discriminator = nn.Sequential(
        cv(1, 64, 4, 2, 1), leaky(), cv(64, 128, 4, 2, 1), nn.BatchNorm2d(128), leaky(), cv(128, 1, 7, 1, 0))
    return Generator(generator, 1, 28, True), Discriminator(discriminator)


def dcgan_28_without_norm():
    """A discriminator whose samples do not depend on each other."""
    generator, _ = dcgan_28()
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1), leaky(), nn.Conv2d(64, 128, 4, 2, 1), leaky(), nn.Conv2d(128, 1, 7, 1, 0))
    return generator, Discriminator(discriminator)


def dcgan_64():
    generator = nn.Sequential(
        ct(100, 512, 4, 1, 0), nn.BatchNorm2d(512), nn.ReLU(), ct(512, 256, 4, 2, 1), nn.BatchNorm2d(256), nn.ReLU(),
        ct(256, 128, 4, 2, 1), nn.BatchNorm2d(128), nn.ReLU(), ct(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),
        ct(64, 3, 4, 2, 1), nn.Tanh())
    discriminator = nn.Sequential(
        cv(3, 64, 4, 2, 1), leaky(), cv(64, 128, 4, 2, 1), nn.BatchNorm2d(128), leaky(),
        cv(128, 256, 4, 2, 1), nn.BatchNorm2d(256), leaky(), cv(256, 512, 4, 2, 1), nn.BatchNorm2d(512), leaky(),
        cv(512, 1, 4, 1, 0))
    return Generator(generator, 3, 64, True), Discriminator(discriminator)


PRESETS = {"mlp-001": mlp_001, "mlp-002": mlp_002, "mlp-003": mlp_003, "dcgan-28": dcgan_28, "dcgan-64": dcgan_64}
LATENT = {"mlp-003": 64}
