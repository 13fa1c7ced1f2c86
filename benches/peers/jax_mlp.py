#!/usr/bin/env python3
"""mlp-001 in plain JAX: the whole training step is one jit whose state is donated. `cargo xtask bench --peer` runs it.

  pip install jax
  python3 jax_mlp.py [--batch 64] [--steps 50] [--no-sampling]

Times training steps on random images in memory, then the drawing of 10,000 images in batches of 256; prints one line
of JSON, with the fields of `gan-cli bench --json`. XLA decides by itself how many threads it uses.
"""

import argparse
import functools
import json
import pathlib
import statistics
import time

import jax
import jax.numpy as jnp

WARM_UP = 3
SAMPLES, SAMPLES_AT_ONCE = 10_000, 256
GENERATOR, DISCRIMINATOR = [100, 128, 256, 512, 784], [784, 512, 256, 1]
LR, BETA1, BETA2, EPS = 2e-4, 0.5, 0.999, 1e-8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--no-sampling", action="store_true")
    args = parser.parse_args()

    key = jax.random.key(0)
    real = jax.random.uniform(key, (args.batch, 784), minval=-1.0, maxval=1.0)
    players = initial(key, GENERATOR), initial(key, DISCRIMINATOR)
    state = {"players": players, "adam": [moments(p) for p in players], "key": key, "t": jnp.float32(0)}
    times = []
    for i in range(WARM_UP + args.steps):
        start = time.perf_counter()
        state, losses = step(state, real)
        jax.block_until_ready((state, losses))
        if i >= WARM_UP:
            times.append(time.perf_counter() - start)
    median = statistics.median(times)
    report = {
        "peer": f"JAX {jax.__version__}",
        "config": "mlp-001",
        "batch": args.batch,
        "steps": args.steps,
        "step_ms": median * 1e3,
        "step_ms_min": min(times) * 1e3,
        "images_per_s": args.batch / median,
        "peak_rss_mib": peak_rss_mib(),  # before sampling could raise it
        "d_loss": float(losses[0]),
        "g_loss": float(losses[1]),
    }
    if not args.no_sampling:
        report["sample_images_per_s"] = sampled_per_second(state["players"][0])
    print(json.dumps(report))


def initial(key, widths):
    keys = jax.random.split(key, len(widths))
    return [(0.02 * jax.random.normal(k, (i, o)), jnp.zeros(o)) for k, i, o in zip(keys, widths, widths[1:])]


def generator(params, z):
    for weight, bias in params[:-1]:
        z = jax.nn.relu(z @ weight + bias)
    weight, bias = params[-1]
    return jnp.tanh(z @ weight + bias)


def discriminator(params, x):
    for weight, bias in params[:-1]:
        x = jax.nn.leaky_relu(x @ weight + bias, 0.2)
    weight, bias = params[-1]
    return x @ weight + bias


def bce(logits, target):
    """Binary cross-entropy of logits against one target for all."""
    return jnp.mean(jax.nn.softplus(logits) - target * logits)


@functools.partial(jax.jit, donate_argnums=0)
def step(state, real):
    """D on a real batch and on fakes, then G through the updated D on the same fakes."""
    (g, d), (adam_g, adam_d), t = state["players"], state["adam"], state["t"] + 1
    key, noise = jax.random.split(state["key"])
    z = jax.random.normal(noise, (real.shape[0], GENERATOR[0]))
    fake, to_generator = jax.vjp(lambda g: generator(g, z), g)

    def d_objective(d):
        return bce(discriminator(d, real), 1.0) + bce(discriminator(d, jax.lax.stop_gradient(fake)), 0.0)

    d_loss, gradient = jax.value_and_grad(d_objective)(d)
    d, adam_d = adam(d, gradient, adam_d, t)
    g_loss, to_fake = jax.value_and_grad(lambda fake: bce(discriminator(d, fake), 1.0))(fake)
    (gradient,) = to_generator(to_fake)
    g, adam_g = adam(g, gradient, adam_g, t)
    return {"players": (g, d), "adam": [adam_g, adam_d], "key": key, "t": t}, (d_loss, g_loss)


def moments(params):
    # Two buffers of its own for each parameter: what is donated twice is refused.
    return jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params)


def adam(params, gradients, state, t):
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state[0], gradients)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state[1], gradients)

    def moved(p, m, v):
        return p - LR * (m / (1 - BETA1**t)) / (jnp.sqrt(v / (1 - BETA2**t)) + EPS)

    return jax.tree.map(moved, params, first, second), (first, second)


@functools.partial(jax.jit, static_argnums=2)
def draw(params, key, count):
    key, noise = jax.random.split(key)
    return key, generator(params, jax.random.normal(noise, (count, GENERATOR[0])))


def sampled_per_second(params):
    key = jax.random.key(1)
    sizes = [min(SAMPLES_AT_ONCE, SAMPLES - drawn) for drawn in range(0, SAMPLES, SAMPLES_AT_ONCE)]
    for size in set(sizes):  # compiles
        jax.block_until_ready(draw(params, key, size))
    start = time.perf_counter()
    for size in sizes:
        key, images = draw(params, key, size)
        images.block_until_ready()
    return SAMPLES / (time.perf_counter() - start)


def peak_rss_mib():
    """The kernel's own mark, as `gan-cli bench` reads it; None where there is no /proc."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
