#!/usr/bin/env python3
"""Writes crates/gan-models/tests/pth/*.pth: one state dict in each of torch.save's formats. pip install torch"""

import collections
import pathlib

import torch

HERE = pathlib.Path(__file__).parent.parent.parent / "crates/gan-models/tests/pth"
x = torch.arange(6.0).reshape(2, 3) / 4
state = collections.OrderedDict(
    {
        "0.weight": x,
        "0.transposed": x.t(),  # the same storage with other strides
        "0.part": x[1, 1:],  # and an offset
        "1.half": (x * -2).half(),
        "1.double": x.double() + 0.125,
        "1.num_batches_tracked": torch.tensor(7),
    }
)
state._metadata = {"": {"version": 1}, "1": {"version": 2}}
torch.save(state, HERE / "archive.pth")
torch.save(state, HERE / "stream.pth", _use_new_zipfile_serialization=False)
