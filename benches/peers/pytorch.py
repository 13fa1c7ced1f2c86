#!/usr/bin/env python3
"""The same networks in PyTorch, tuned as someone who knows it would for a CPU. `cargo xtask bench --peer` runs it.

  pip install torch                                  (for sample-process also safetensors and pillow)
  python3 pytorch.py bench mlp-001 [--objective NAME] [--batch 64] [--steps 50] [--threads N] [--no-sampling]
  python3 pytorch.py sample-process mlp-001 --weights generator.safetensors --out grid.png [--threads N]

bench           times training steps on random images in memory, then the drawing of 10,000 images in batches of
                256; prints one line of JSON, with the fields of `gan-cli bench --json`
sample-process  what `gan-cli sample` does: loads a generator, draws 64 images and saves them as one PNG

Tuned: Adam is fused, D is frozen in G's step, convolutions run channels last. glibc's malloc gives large blocks back to
the system and fetches them again in every step, unless the environment says otherwise (xtask does):
MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F

# The networks that the golden values of the tests come from.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))
from seed_models import PRESETS, dcgan_28_without_norm

WARM_UP = 3
SAMPLES, SAMPLES_AT_ONCE = 10_000, 256
LATENT = 100


def bench(args):
    if args.objective != "non-saturating" and args.model != "dcgan-28":
        sys.exit(f"--objective {args.objective}: of dcgan-28 only")
    generator, discriminator = networks(args.model, args.objective)
    step = training_step(generator, discriminator, args.batch, OBJECTIVES[args.objective])
    for _ in range(WARM_UP):
        step()
    times = []
    for _ in range(args.steps):
        start = time.perf_counter()
        d_loss, g_loss = step()
        times.append(time.perf_counter() - start)
    median = statistics.median(times)
    report = {
        "peer": f"PyTorch {torch.__version__.split('+')[0]}",
        "config": args.model,
        "batch": args.batch,
        "steps": args.steps,
        "threads": torch.get_num_threads(),
        "step_ms": median * 1e3,
        "step_ms_min": min(times) * 1e3,
        "images_per_s": args.batch / median,
        "peak_rss_mib": peak_rss_mib(),  # before sampling could raise it
        "d_loss": d_loss,
        "g_loss": g_loss,
    }
    if not args.no_sampling:
        report["sample_images_per_s"] = sampled_per_second(generator)
    print(json.dumps(report))


def networks(model, objective):
    """Channels last where there are convolutions: what oneDNN likes best."""
    torch.manual_seed(0)
    # Batch norm would couple the samples whose gradients are penalised.
    players = PRESETS[model]() if objective == "non-saturating" else dcgan_28_without_norm()
    if model.startswith("dcgan"):
        players = [player.to(memory_format=torch.channels_last) for player in players]
    return players


def non_saturating(discriminator, real, fake):
    ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
    return F.binary_cross_entropy_with_logits(discriminator(real), ones) + F.binary_cross_entropy_with_logits(
        discriminator(fake), zeros)


def squared_gradients(logits, points):
    (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return gradient.square().sum([1, 2, 3])


def wgan_gp(discriminator, real, fake):
    place = torch.rand(len(real), 1, 1, 1)
    points = (place * real + (1 - place) * fake).requires_grad_()
    penalty = 10 * (squared_gradients(discriminator(points), points).sqrt() - 1).square().mean()
    return discriminator(fake).mean() - discriminator(real).mean() + penalty


def rpgan_r1_r2(discriminator, real, fake):
    real, fake = real.detach().requires_grad_(), fake.requires_grad_()
    of_real, of_fake = discriminator(real), discriminator(fake)
    penalty = (squared_gradients(of_real, real) + squared_gradients(of_fake, fake)).mean() / 2
    return F.softplus(of_fake - of_real).mean() + penalty


def g_rpgan(discriminator, real, fake):
    with torch.no_grad():
        of_real = discriminator(real)
    return F.softplus(of_real - discriminator(fake)).mean()


# Losses of D and of G.
OBJECTIVES = {
    "non-saturating": (non_saturating, lambda discriminator, _, fake: F.softplus(-discriminator(fake)).mean()),
    "wgan-gp": (wgan_gp, lambda discriminator, _, fake: -discriminator(fake).mean()),
    "rpgan-r1-r2": (rpgan_r1_r2, g_rpgan),
}


def training_step(generator, discriminator, batch, objective):
    """D on a real batch and on fakes, then G through the updated D on the same fakes."""
    real = torch.rand(batch, *generator.image) * 2 - 1
    if generator.convolutional:
        real = real.contiguous(memory_format=torch.channels_last)
    of_d, of_g = objective
    adam_g, adam_d = (
        torch.optim.Adam(player.parameters(), 2e-4, betas=(0.5, 0.999), fused=True)
        for player in (generator, discriminator)
    )

    def step():
        fake = generator(torch.randn(batch, LATENT))

        adam_d.zero_grad()
        d_loss = of_d(discriminator, real, fake.detach())
        d_loss.backward()
        adam_d.step()

        discriminator.requires_grad_(False)
        adam_g.zero_grad()
        g_loss = of_g(discriminator, real, fake)
        g_loss.backward()
        adam_g.step()
        discriminator.requires_grad_(True)
        return d_loss.item(), g_loss.item()

    return step


@torch.inference_mode()
def sampled_per_second(generator):
    generator.eval()
    generator(torch.randn(SAMPLES_AT_ONCE, LATENT))
    start = time.perf_counter()
    for drawn in range(0, SAMPLES, SAMPLES_AT_ONCE):
        generator(torch.randn(min(SAMPLES_AT_ONCE, SAMPLES - drawn), LATENT))
    return SAMPLES / (time.perf_counter() - start)


@torch.inference_mode()
def sample_process(args):
    from PIL import Image
    from safetensors.torch import load_file

    generator, _ = PRESETS[args.model]()
    generator.load_state_dict(load_file(args.weights), strict=True)
    images = generator.eval()(torch.randn(64, LATENT))
    channels, side = images.shape[1], images.shape[2]
    grid = images.reshape(8, 8, channels, side, side).permute(0, 3, 1, 4, 2).reshape(8 * side, 8 * side, channels)
    pixels = ((grid + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels).save(args.out)


def peak_rss_mib():
    """The kernel's own mark, as `gan-cli bench` reads it; None where there is no /proc."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("bench", bench), ("sample-process", sample_process)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("model", choices=["mlp-001", "dcgan-28", "dcgan-64"])
        command.add_argument("--threads", type=int)
        if run is bench:
            command.add_argument("--objective", choices=OBJECTIVES, default="non-saturating",
                                 help="others than the first take dcgan-28 without batch norm in its discriminator")
            command.add_argument("--batch", type=int, default=64)
            command.add_argument("--steps", type=int, default=50)
            command.add_argument("--no-sampling", action="store_true")
        else:
            command.add_argument("--weights", required=True)
            command.add_argument("--out", required=True)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()
