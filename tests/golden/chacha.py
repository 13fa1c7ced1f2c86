"""`gan_ops::rng::Stream`: ChaCha with eight rounds (Bernstein 2008), keyed by seed, purpose and index."""

import math

import numpy as np

CONSTANTS = np.frombuffer(b"expand 32-byte k", dtype="<u4")
QUARTERS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]

# Marsaglia and Tsang 2000, "The ziggurat method for generating random variables", 256 layers of equal area.
LAYERS, EDGE, AREA = 256, 3.654152885361008796, 0.00492867323399


def density(x):
    return math.exp(-x * x / 2)


def layers():
    edges = [AREA / density(EDGE), EDGE]
    while len(edges) < LAYERS:
        edges.append(math.sqrt(-2 * math.log(AREA / edges[-1] + density(edges[-1]))))
    return edges + [0.0]


EDGES = layers()
HEIGHTS = [density(edge) for edge in EDGES]


class Stream:
    def __init__(self, seed, purpose, index):
        name = 0xCBF29CE484222325  # FNV-1a, 64 bits
        for byte in purpose.encode():
            name = ((name ^ byte) * 0x100000001B3) % 2**64
        self.key = np.array([seed, name, index, 0], dtype="<u8").view("<u4")
        self.used = 0

    def uniform(self, shape):
        """The next values of [0, 1), f32: 23 bits of a word each."""
        count = int(np.prod(shape))
        first, last = self.used // 16, (self.used + count + 15) // 16
        words = self.blocks(first, last)[self.used - 16 * first:][:count]
        self.used += count
        return ((words >> np.uint32(9)).astype(np.float32) / np.float32(1 << 23)).reshape(shape)

    def normal(self, shape):
        """The next values of the standard normal distribution, f32: the ziggurat of Rust's crate rand_distr."""
        count = int(np.prod(shape))
        first = self.used // 16
        words = self.blocks(first, first + count // 4 + 16)[self.used - 16 * first:].tolist()
        at = 0

        def unit(shift):
            nonlocal at
            at += 2
            return words[at - 2] + (words[at - 1] << 32) >> shift

        def tail():
            while True:
                # In (0, 1): 52 bits and a half.
                x, y = (math.log((unit(12) + 0.5) / 2**52) for _ in range(2))
                if -2 * y >= (x / EDGE) ** 2:
                    return EDGE - x / EDGE

        def value():
            while True:
                bits = unit(0)
                layer, u = bits & 0xFF, (bits >> 12) / 2**51 - 1
                x = u * EDGES[layer]
                if abs(x) < EDGES[layer + 1]:
                    return x
                if layer == 0:
                    return math.copysign(tail(), u)
                low, high = HEIGHTS[layer + 1], HEIGHTS[layer]
                if low + (high - low) * (unit(11) / 2**53) < density(x):
                    return x

        values = np.array([value() for _ in range(count)])
        self.used += at
        return values.astype(np.float32).reshape(shape)

    def blocks(self, first, last):
        start = np.zeros((16, last - first), dtype=np.uint32)
        start[:4], start[4:12], start[12] = CONSTANTS[:, None], self.key[:, None], np.arange(first, last)
        x = start.copy()
        for _ in range(4):
            for a, b, c, d in QUARTERS:
                for to, by, mixed, bits in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]:
                    x[to] += x[by]
                    x[mixed] ^= x[to]
                    x[mixed] = (x[mixed] << np.uint32(bits)) | (x[mixed] >> np.uint32(32 - bits))
        return (x + start).T.flatten()
