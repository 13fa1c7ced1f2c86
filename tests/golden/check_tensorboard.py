"""Reads the event files of a run with the package tensorboard, and compares them with metrics.jsonl and the grids.

    python check_tensorboard.py RUN
"""

import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

FIELDS = ["d_loss", "g_loss", "lr_g", "lr_d", "images_per_s"]


def main(run):
    """Every number and every grid of the run must be there once, and nothing else."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    events.Reload()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line for line in lines if "d_loss" in line]
    for field in FIELDS:
        found = [(event.step, event.value) for event in events.Scalars(f"train/{field}")]
        assert [step for step, _ in found] == [line["step"] for line in losses], (field, found)
        for (_, value), line in zip(found, losses):
            assert abs(value - line[field]) <= 1e-6 * abs(value), (field, value, line)
    checks = [line["step"] for line in lines if "health" in line]
    assert [event.step for event in events.Scalars("health/images/spread")] == checks
    evaluated = [line["step"] for line in lines if "evaluate" in line]
    for tag in ["evaluate", "floor"]:
        assert [event.step for event in events.Scalars(f"{tag}/precision")] == evaluated, tag
    grids = sorted((run / "samples").glob("step-*.png"))
    images = events.Images("samples")
    assert [image.encoded_image_string for image in images] == [grid.read_bytes() for grid in grids]
    assert {"configuration", "_hparams_/session_start_info"} <= set(events.Tags()["tensors"])
    print(f"tensorboard reads {len(losses)} lines of losses, {len(images)} grids and {len(evaluated)} evaluations")


main(pathlib.Path(sys.argv[1]))
