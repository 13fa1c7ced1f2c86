"""Compares the images of an exported PyTorch program with those of `gan-cli sample --latents`.

    python check_export.py DIRECTORY latents.npy images.npy [CLASS]
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

directory, latents, images, *of_class = sys.argv[1:]
sys.path.insert(0, directory)
import generator  # noqa: E402, the exported program

z = torch.from_numpy(np.load(latents))
classes = [torch.full((len(z),), int(of_class[0]))] if of_class else []
with torch.no_grad():
    found = generator.load()(z, *classes).numpy()
expected = np.load(images)
worst = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
print(f"torch {torch.__version__}: relative difference {worst:.1e}")
# The programs also run by themselves, from any directory.
with tempfile.TemporaryDirectory() as elsewhere:
    for program in sorted(pathlib.Path(directory).glob("*.py")):
        subprocess.run([sys.executable, program.resolve()], check=True, cwd=elsewhere)
sys.exit(int(worst > 1e-5))
