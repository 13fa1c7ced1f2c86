#!/usr/bin/env python3
"""Loads a trained generator into the tutorial's own class and compares the images of both programs.

  python3 check_state_dict.py latents PRESET z.npy          writes 16 latents
  python3 check_state_dict.py compare PRESET generator.safetensors z.npy images.npy
  python3 check_state_dict.py save PRESET generator.safetensors generator.pth
"""

import sys

import numpy as np
import torch
from safetensors.torch import load_file

from seed_models import LATENT, PRESETS

command, preset, *files = sys.argv[1:]
if command == "latents":
    rng = np.random.default_rng(0)
    np.save(files[0], rng.standard_normal((16, LATENT.get(preset, 100)), dtype=np.float32))
elif command == "save":
    weights, out = files
    generator, _ = PRESETS[preset]()
    generator.load_state_dict(load_file(weights), strict=True)
    torch.save(generator.state_dict(), out)
else:
    weights, latents, images = files
    generator, _ = PRESETS[preset]()
    generator.load_state_dict(load_file(weights), strict=True)
    generator.eval()
    with torch.no_grad():
        expected = generator(torch.from_numpy(np.load(latents))).numpy()
    found = np.load(images)
    assert found.shape == expected.shape, f"{found.shape} against {expected.shape}"
    worst = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    print(f"{preset}: {len(found)} images, relative difference {worst:.1e}")
    sys.exit(int(worst > 1e-5))
