"""Objectives and penalties as PyTorch computes them, second order by `create_graph=True`."""

import numpy as np
import torch
import torch.nn.functional as F

from chacha import Stream
from seed_models import dcgan_28_without_norm, mlp_002

NETWORKS = {"mlp-002": mlp_002, "dcgan-28-without-norm": dcgan_28_without_norm}
# Rows of D's and G's loss of logits.
LOSSES = {
    "smoothed": (lambda r, f: F.binary_cross_entropy_with_logits(r, torch.full_like(r, 0.9))
                 + F.binary_cross_entropy_with_logits(f, torch.zeros_like(f)), None),
    "least-squares": (lambda r, f: (F.mse_loss(r, torch.ones_like(r)) + F.mse_loss(f, torch.zeros_like(f))) / 2,
                      lambda r, f: F.mse_loss(f, torch.ones_like(f)) / 2),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "hinge": (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda r, f: -f.mean()),
    "relativistic": (lambda r, f: F.softplus(-(r - f)).mean(), lambda r, f: F.softplus(-(f - r)).mean()),
}
PLACES = [0.05, 0.3, 0.55, 0.85]


def input_gradient(discriminator, points):
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    return gradient.flatten(1)


def zero_centered(discriminator, points, gamma):
    return gamma / 2 * input_gradient(discriminator, points).square().sum(1).mean()


def one_centered(discriminator, points, weight):
    return weight * (input_gradient(discriminator, points).norm(dim=1) - 1).square().mean()


def golden(fill, kept, set_weights, stay_away_from_kinks, logits):
    out = {}
    for name, pair in LOSSES.items():
        for player, loss in zip(["discriminator", "generator"], pair):
            if loss is None:
                continue
            real, fake = logits.clone().requires_grad_(), logits.flip(0).clone().requires_grad_()
            value = loss(real, fake)
            value.backward()
            slopes = [torch.zeros_like(x) if x.grad is None else x.grad for x in (real, fake)]
            out[f"logits.{name}.{player}"] = np.concatenate([*slopes, [value.item()]]).astype(np.float32)

    def networks(name):
        generator, discriminator = NETWORKS[name]()
        set_weights(generator, "generator")
        set_weights(discriminator, "discriminator")
        return generator, discriminator

    for name in NETWORKS:
        real, fake = fill("x", (4, 1, 28, 28)), fill("y", (4, 1, 28, 28))
        place = torch.tensor(PLACES).view(-1, 1, 1, 1)
        penalties = {
            "zero-centered": lambda d: zero_centered(d, real, 300.0),
            "one-centered": lambda d: one_centered(d, place * real + (1 - place) * fake, 10.0),
        }
        for penalty, of in penalties.items():
            _, discriminator = networks(name)
            stay_away_from_kinks(discriminator)
            value = of(discriminator)
            value.backward()
            out[f"{name}.{penalty}.value"] = np.array([value.item(), 0], dtype=np.float32)
            for parameter, tensor in discriminator.named_parameters():
                grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
                out[f"{name}.{penalty}.{parameter}"] = kept(grad)

    for name, loss, gamma, clip in [
        ("mlp-002", "least-squares", 0, None), ("mlp-002", "wasserstein", 0, 0.05), ("mlp-002", "hinge", 0, None),
        ("mlp-002", "relativistic", 30.0, None), ("dcgan-28-without-norm", "relativistic", 30.0, None),
    ]:
        generator, discriminator = networks(name)
        of_d, of_g = LOSSES[loss]
        adam_g, adam_d = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999)) for m in (generator, discriminator))
        losses = []
        for step in range(5):
            real = fill(f"real.{step}", (8, 1, 28, 28))
            fake = generator(fill(f"z.{step}", (8, 100), 1.7))
            adam_d.zero_grad()
            d = of_d(discriminator(real), discriminator(fake.detach()))
            if gamma:
                d = d + zero_centered(discriminator, real, gamma) + zero_centered(discriminator, fake, gamma)
            d.backward()
            adam_d.step()
            if clip:
                with torch.no_grad():
                    for parameter in discriminator.parameters():
                        parameter.clamp_(-clip, clip)
            adam_g.zero_grad()
            with torch.no_grad():
                real_logits = discriminator(real)
            g = of_g(real_logits, discriminator(fake))
            g.backward()
            adam_g.step()
            losses += [d.item(), g.item()]
        out[f"steps.{name}.{loss}.losses"] = np.array(losses, dtype=np.float32)
        for player, module in [("generator", generator), ("discriminator", discriminator)]:
            for parameter, tensor in module.named_parameters():
                # Slopes of real and fake logits cancel in the bias of a unit that is on for all: what is left is
                # rounding, which Adam makes as large as any gradient.
                if player == "discriminator" and parameter.endswith("bias") and loss != "least-squares":
                    continue
                out[f"steps.{name}.{loss}.{player}.{parameter}"] = kept(tensor)

    out.update(wgan_gp(fill, kept, networks))
    out.update(dragan(fill, kept, networks))
    out.update(lazy(fill, kept, networks))
    out.update(rmsprop(fill, kept, networks))
    out.update(schedules(fill, kept, networks))
    out.update(several_updates(fill, kept, networks))
    return out


def weights(prefix, generator, discriminator, kept):
    return {f"{prefix}.{player}.{parameter}": kept(tensor)
            for player, module in [("generator", generator), ("discriminator", discriminator)]
            for parameter, tensor in module.named_parameters()
            # As above.
            if not (player == "discriminator" and parameter.endswith("bias"))}


def penalised(prefix, fill, kept, networks, steps, beta2, of_d, of_g, penalty):
    """Steps with what `penalty(step, discriminator, real, fake)` adds to D's loss."""
    generator, discriminator = networks("mlp-002")
    adam_g, adam_d = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.0, beta2)) for m in (generator, discriminator))
    losses = []
    for step in range(steps):
        real = fill(f"real.{step}", (8, 1, 28, 28))
        fake = generator(fill(f"z.{step}", (8, 100), 1.7))
        adam_d.zero_grad()
        d = of_d(discriminator(real), discriminator(fake.detach())) + penalty(step, discriminator, real, fake.detach())
        d.backward()
        adam_d.step()
        adam_g.zero_grad()
        with torch.no_grad():
            real_logits = discriminator(real)
        g = of_g(real_logits, discriminator(fake))
        g.backward()
        adam_g.step()
        losses += [d.item(), g.item()]
    return {f"{prefix}.losses": np.array(losses, dtype=np.float32), **weights(prefix, generator, discriminator, kept)}


def places(stream, images):
    return torch.from_numpy(stream.uniform((len(images), 1, 1, 1)))


def wgan_gp(fill, kept, networks):
    """Gulrajani et al. 2017, algorithm 1."""
    def penalty(step, discriminator, real, fake):
        place = places(Stream(0, "penalty", step), real)
        return one_centered(discriminator, place * real + (1 - place) * fake, 10.0)

    return penalised("wgan-gp", fill, kept, networks, 5, 0.9, *LOSSES["wasserstein"], penalty)


def dragan(fill, kept, networks):
    """Kodali et al. 2017 as their program has it: real + U[0, 1) * half the deviation of the batch * U[0, 1)."""
    def penalty(step, discriminator, real, fake):
        stream = Stream(0, "penalty", step)
        noise = torch.from_numpy(stream.uniform(real.shape)) * (real.std(unbiased=False) / 2)
        return one_centered(discriminator, real + places(stream, real) * noise, 10.0)

    of_d = LOSSES["smoothed"][0]
    return penalised("dragan", fill, kept, networks, 5, 0.9, of_d, lambda _, f: F.softplus(-f).mean(), penalty)


def lazy(fill, kept, networks):
    """R1 every second time, R2 every third, as many times stronger (Karras et al. 2020, section 3.1)."""
    def penalty(step, discriminator, real, fake):
        r1 = zero_centered(discriminator, real, 2 * 30.0) if step % 2 == 0 else 0
        r2 = zero_centered(discriminator, fake, 3 * 10.0) if step % 3 == 0 else 0
        return r1 + r2

    return penalised("lazy", fill, kept, networks, 7, 0.99, *LOSSES["relativistic"], penalty)


def rmsprop(fill, kept, networks):
    """Five steps of a clipped Wasserstein GAN by its own optimizer, four times faster than the paper's."""
    generator, discriminator = networks("mlp-002")
    rms_g, rms_d = (torch.optim.RMSprop(m.parameters(), 2e-4, alpha=0.99, eps=1e-8) for m in (generator, discriminator))
    of_d, of_g = LOSSES["wasserstein"]
    losses = []
    for step in range(5):
        fake = generator(fill(f"z.{step}", (8, 100), 1.7))
        rms_d.zero_grad()
        d = of_d(discriminator(fill(f"real.{step}", (8, 1, 28, 28))), discriminator(fake.detach()))
        d.backward()
        rms_d.step()
        with torch.no_grad():
            for parameter in discriminator.parameters():
                parameter.clamp_(-0.05, 0.05)
        rms_g.zero_grad()
        g = of_g(None, discriminator(fake))
        g.backward()
        rms_g.step()
        losses += [d.item(), g.item()]
    return {"rmsprop.losses": np.array(losses, dtype=np.float32), **weights("rmsprop", generator, discriminator, kept)}


def schedules(fill, kept, networks):
    """Six steps of 8 images, in the first four of which rates and second betas change, G's along a cosine, D's along a line."""
    generator, discriminator = networks("mlp-002")
    adam_g, adam_d = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.9)) for m in (generator, discriminator))
    of_d, of_g = LOSSES["least-squares"]
    losses = []
    for step in range(6):
        done = min(step / 4, 1)
        for optimizer, left in [(adam_g, (1 + np.cos(np.pi * done)) / 2), (adam_d, 1 - done)]:
            (group,) = optimizer.param_groups
            group["lr"] = 5e-5 + (2e-4 - 5e-5) * left
            group["betas"] = (0.5, 0.99 + (0.9 - 0.99) * left)
        fake = generator(fill(f"z.{step}", (8, 100), 1.7))
        adam_d.zero_grad()
        d = of_d(discriminator(fill(f"real.{step}", (8, 1, 28, 28))), discriminator(fake.detach()))
        d.backward()
        adam_d.step()
        adam_g.zero_grad()
        g = of_g(None, discriminator(fake))
        g.backward()
        adam_g.step()
        losses += [d.item(), g.item()]
    return {"schedules.losses": np.array(losses, dtype=np.float32), **weights("schedules", generator, discriminator, kept)}


def several_updates(fill, kept, networks):
    """Three steps with two updates of each player: D's on batches of their own, G's second on latents of its own."""
    generator, discriminator = networks("mlp-002")
    adam_g, adam_d = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999)) for m in (generator, discriminator))
    of_d, of_g = LOSSES["relativistic"]
    losses = []
    for step in range(3):
        reals = fill(f"real.{step}", (16, 1, 28, 28)).split(8)
        latents = fill(f"z.{step}", (24, 100), 1.7).split(8)
        of_this_step = []
        for real, z in zip(reals, latents):
            fake = generator(z)
            adam_d.zero_grad()
            d = of_d(discriminator(real), discriminator(fake.detach()))
            d.backward()
            adam_d.step()
            of_this_step.append(d.item())
        for update in range(2):
            if update:
                fake = generator(latents[2])
            adam_g.zero_grad()
            with torch.no_grad():
                real_logits = discriminator(reals[-1])
            g = of_g(real_logits, discriminator(fake))
            g.backward()
            adam_g.step()
            of_this_step.append(g.item())
        losses += [np.mean(of_this_step[:2]), np.mean(of_this_step[2:])]
    return {"several.losses": np.array(losses, dtype=np.float32), **weights("several", generator, discriminator, kept)}
