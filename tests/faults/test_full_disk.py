"""Fault 2: a disk that is full, for once a real one: path and bytes in the message, the checkpoint before kept."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import LuthierError
from luthier.methods.full import Full
from tests.training.small import ALWAYS, attached, differing, fit, sequences, supervised_data, weights

DATA, METHOD = supervised_data(sequences(20), sequences(4, seed=1)), Full()
Resize = Callable[[int], None]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Resize]]:
    """A file system of so many KiB, and how to change that."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options: str) -> bool:
        command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(place)]
        try:
            return subprocess.run(command, capture_output=True).returncode == 0
        except FileNotFoundError:
            return False

    if not mount("-o", "size=64k"):
        pytest.skip("no right to mount a small disk here")
    try:
        yield place, lambda size: bool(mount("-o", f"remount,size={size}k")) or pytest.fail("no remount")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_a_training_that_then_goes_on(small_disk: tuple[Path, Resize], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"learning_rate": 1e-3, "steps": 6, "checkpoint_minutes": ALWAYS}
    whole = fit(attached(METHOD), DATA, METHOD, checkpoints=tmp_path / "elsewhere", **settings)
    size = sum(path.stat().st_size for path in (tmp_path / "elsewhere").rglob("*.*") if path.is_file()) // 1024
    disk, resize = small_disk
    resize(int(1.5 * size))  # one fits, but not two side by side
    place = disk / "checkpoint"
    with pytest.raises(LuthierError, match=r"cannot write the checkpoint's [\d,]+ bytes: .*No space left") as full:
        fit(attached(METHOD), DATA, METHOD, checkpoints=place, **settings)
    assert full.value.exit_code == 1
    assert full.value.where == str(place / "step-00000002")
    said = int("".join(filter(str.isdigit, full.value.what.split("bytes")[0])))
    assert size * 1024 * 0.9 < said < size * 1024 * 1.1
    assert [path.name for path in place.iterdir()] == ["step-00000001"]
    resize(3 * size)
    rest = fit(attached(METHOD), DATA, METHOD, checkpoints=place, **settings)
    assert rest.losses == whole.losses[1:]
    assert not differing(weights(rest.model), weights(whole.model))


def test_a_log_that_cannot_grow_is_named(small_disk: tuple[Path, Resize]) -> None:
    disk, _ = small_disk
    log = disk / "train.jsonl"

    def fill(phase: str, step: int) -> None:
        if step == 2:
            left = b"x" * 4096
            with open(disk / "filler", "wb", buffering=0) as file:
                try:
                    while file.write(left):
                        pass
                except OSError:
                    pass
            log.write_bytes(b"y" * 4096 * (log.stat().st_size // 4096 + 1))  # to the end of its last page

    with pytest.raises(LuthierError, match=r"cannot write \d+ bytes: No space left") as full:
        fit(attached(METHOD), DATA, METHOD, steps=4, log=log, watch=fill)
    assert full.value.where == str(log)
