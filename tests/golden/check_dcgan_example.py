#!/usr/bin/env python3
"""Trains the networks of PyTorch's DCGAN example for some steps, and compares the images of its generator
with those that `gan-cli sample` draws from the file that it saves.

  python3 check_dcgan_example.py train netG.pth z.npy images.npy
  python3 check_dcgan_example.py compare images.npy found.npy

The example (https://github.com/pytorch/examples/tree/main/dcgan) keeps its layers in an attribute `main`,
and saves a generator in `nn.DataParallel`, whose names begin with `module.`, if there are several GPUs.
"""

import sys

import numpy as np
import torch
from torch import nn

LATENT, WIDTH, CHANNELS, STEPS, BATCH = 100, 64, 3, 3, 8


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        widths, layers, inputs = [8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH], [], LATENT
        for number, width in enumerate(widths):
            stride, padding = (1, 0) if number == 0 else (2, 1)
            layers += [nn.ConvTranspose2d(inputs, width, 4, stride, padding, bias=False),
                       nn.BatchNorm2d(width), nn.ReLU(True)]
            inputs = width
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(inputs, CHANNELS, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        layers, inputs = [], CHANNELS
        for number, width in enumerate([WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]):
            norm = [nn.BatchNorm2d(width)] if number > 0 else []
            layers += [nn.Conv2d(inputs, width, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(0.2, True)]
            inputs = width
        self.main = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4, 1, 0, bias=False), nn.Sigmoid())

    def forward(self, x):
        return self.main(x).view(-1)


def train():
    torch.manual_seed(0)
    generator, discriminator, loss = Generator(), Discriminator(), nn.BCELoss()
    optimizers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (discriminator, generator)]
    ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
    for _ in range(STEPS):
        real, z = torch.rand(BATCH, CHANNELS, 64, 64) * 2 - 1, torch.randn(BATCH, LATENT, 1, 1)
        fake = generator(z)
        discriminator.zero_grad()
        (loss(discriminator(real), ones) + loss(discriminator(fake.detach()), zeros)).backward()
        optimizers[0].step()
        generator.zero_grad()
        loss(discriminator(fake), ones).backward()
        optimizers[1].step()
    return generator.eval()


command, *files = sys.argv[1:]
if command == "train":
    generator = train()
    weights, latents, images = files
    torch.save(nn.DataParallel(generator).state_dict(), weights)
    z = torch.randn(16, LATENT)
    np.save(latents, z.numpy())
    with torch.no_grad():
        np.save(images, generator(z.view(16, LATENT, 1, 1)).numpy())
else:
    expected, found = (np.load(file) for file in files)
    assert found.shape == expected.shape, f"{found.shape} against {expected.shape}"
    worst = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    print(f"PyTorch's DCGAN example: {len(found)} images, relative difference {worst:.1e}")
    sys.exit(int(worst > 1e-5))
