"""Inputs and reference values for crates/gan-metrics/tests/golden.rs, straight from the definitions, in f64.

No code is shared with the crate and no shortcut of it is taken: distances are differences, never products; roots of
matrices are scipy's; neighbours are found by sorting all of them.
"""

import numpy as np
import scipy
import scipy.linalg

VERSIONS = {"versions": f"numpy {np.__version__}, scipy {scipy.__version__}"}
K = 3  # neighbours
DIM = 16


def clusters(fill, name, counts, shift=0.0):
    """Points around several centres, each with another shape, far from the origin; f32."""
    parts = []
    for i, count in enumerate(counts):
        noise = fill(f"{name}.{i}", (count, DIM)).numpy().astype(np.float64)
        mix = fill(f"mix.{i}", (DIM, DIM)).numpy() * np.geomspace(2.0, 0.02, DIM)
        centre = fill(f"centre.{i}", (DIM,), 3.0, 20.0).numpy()
        parts.append(noise @ mix + centre + shift)
    return np.concatenate(parts).astype(np.float32)


def inputs(fill):
    out = {
        "real": clusters(fill, "real", [100, 80, 60]),
        "generated": clusters(fill, "generated", [110, 60, 0], 0.05),  # a cluster is missing
        "few_real": clusters(fill, "few_real", [6, 4]),
        "few_generated": clusters(fill, "few_generated", [5, 4], 0.1),
    }
    for name, favourite in [("probabilities", 1.0), ("reference_probabilities", 0.0)]:
        logits = fill(name, (300, 10), 6.0).numpy().astype(np.float64)
        logits[:, 3] += favourite
        logits[:, 7] -= 20 if favourite == 0 else 0  # nothing real is a seven
        logits[:, 5] -= 10 if favourite == 1 else 0  # and nothing generated a five
        likely = np.exp(logits - logits.max(1, keepdims=True))
        likely[likely < 1e-3] = 0  # exact zeros
        out[name] = (likely / likely.sum(1, keepdims=True)).astype(np.float32)
    out["digits"] = (5 + 5 * fill("digits", (400, 3)).numpy() ** 3).clip(0, 9).astype(np.uint8)
    train = np.sign(fill("train", (150, 49)).numpy()) * fill("train.gray", (150, 49), 0.2, 0.8).numpy()
    held_out = np.sign(fill("held_out", (60, 49)).numpy())
    images = np.sign(fill("images", (40, 49)).numpy())
    images[:7] = train[20:27] * np.float32(0.98)  # copies
    return out | {"train": train, "held_out": held_out, "images": images}


def frechet(x, y):
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(a @ b)
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b) - 2 * np.trace(root).real


def frechet_of_few(x, y):
    """scipy's root of a singular matrix is not to be relied on. With A = X'X and B = Y'Y the trace is the sum of the
    singular values of XY', which is not singular."""
    x_centred, y_centred = ((p - p.mean(0)) / np.sqrt(len(p) - 1) for p in (x, y))
    cross = np.linalg.svd(x_centred @ y_centred.T, compute_uv=False).sum()
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.sum(x_centred**2) + np.sum(y_centred**2) - 2 * cross


def squared_mmd(x, y):
    def kernel(a, b):
        return (sum(float(p) * float(q) for p, q in zip(a, b)) / DIM + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(kernel(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def distances(a, b):
    return np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(-1))


def overlap(real, generated):
    """As prdc.compute_prdc: the nearest of a set to a point of its own is the point itself."""
    real_radii, generated_radii = (np.sort(distances(p, p), axis=1)[:, K] for p in (real, generated))
    between = distances(real, generated)
    in_real = between < real_radii[:, None]
    return real_radii, {
        "precision": in_real.any(axis=0).mean(),
        "recall": (between < generated_radii[None, :]).any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / K,
        "coverage": (between.min(axis=1) < real_radii).mean(),
    }


def relative_entropy(p, q):
    return sum(a * np.log(a / b) for a, b in zip(p, q) if a > 0)


def classes(probabilities, reference):
    shares, expected = (np.bincount(p.argmax(1), minlength=10) / len(p) for p in (probabilities, reference))
    assert (shares == 0).any() and (expected == 0).any() and (shares[expected == 0] > 0).all()
    filled = np.where(expected > 0, expected, 0.5 / len(reference))
    return shares, {
        "kl": relative_entropy(shares, filled),
        "covered": ((expected > 0) & (shares >= expected / 10)).sum(),
        "of": (expected > 0).sum(),
    }


def golden(fill):
    given = inputs(fill)
    wide = {name: value.astype(np.float64) for name, value in given.items()}
    radii, shares_of = overlap(wide["real"], wide["generated"])
    shares, of_classes = classes(wide["probabilities"], wide["reference_probabilities"])
    probabilities = wide["probabilities"]
    marginal = probabilities.mean(0)
    modes = np.bincount(given["digits"].astype(int) @ [100, 10, 1], minlength=1000)
    near, near_held_out = (distances(wide[name], wide["train"]) for name in ("images", "held_out"))
    values = {
        "frechet": frechet(wide["real"], wide["generated"]),
        "frechet_of_few": frechet_of_few(wide["few_real"], wide["few_generated"]),
        "frechet_of_few_and_many": frechet_of_few(wide["few_real"], wide["generated"]),
        "squared_mmd": squared_mmd(wide["real"], wide["generated"]),
        "squared_mmd_of_few": squared_mmd(wide["few_real"], wide["few_generated"]),
        "classifier_score": np.exp(np.mean([relative_entropy(p, marginal) for p in probabilities])),
        **shares_of,
        **{f"classes.{name}": value for name, value in of_classes.items()},
        "modes.covered": (modes > 0).sum(),
        "modes.kl": relative_entropy(modes / modes.sum(), np.full(1000, 1e-3)),
        "memorisation.median": np.median(near.min(1)),
        "memorisation.held_out_median": np.median(near_held_out.min(1)),
        "memorisation.copied": (near.min(1) < np.quantile(near_held_out.min(1), 0.01)).mean(),
    }
    many = {"radii": radii, "classes.shares": shares, "nearest": near.min(1), "nearest.index": near.argmin(1)}
    values = {name: np.atleast_1d(np.asarray(value, np.float64)) for name, value in (values | many).items()}
    tensors = {f"input.{name}": value for name, value in given.items()} | values
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}  # or save_file mixes strides up
