"""`gan_ops::rng::Stream`: ChaCha with eight rounds (Bernstein 2008), keyed by seed, purpose and index."""

import numpy as np

CONSTANTS = np.frombuffer(b"expand 32-byte k", dtype="<u4")
QUARTERS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]


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
