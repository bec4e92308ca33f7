"""What every method saves, loaded by another process: one child reloads all cells, and its logits are ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.contracts.cells import Cell, disturbed, fast, working
from tests.families import family_rows, logits

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.contracts.cells import working
from tests.families import family_model, family_rows, logits

torch.set_num_threads(1)
place = Path(sys.argv[1])
found = {}
for number, cell in enumerate(working()):
    if (place / str(number)).is_dir():
        model = cell.method.load(family_model(cell.family), place / str(number))
        found[str(number)] = logits(model, family_rows(cell.family, 4, seed=1)).contiguous()
save_file(found, place / "found.safetensors")
"""


def reload(cells: list[Cell], place: Path) -> None:
    """Save every cell, have a child load it, and compare what both say."""
    expected = {}
    for number, cell in enumerate(working()):
        if cell in cells:
            model = disturbed(cell)
            cell.method.save(model, place / str(number))
            expected[str(number)] = logits(model, family_rows(cell.family, 4, seed=1))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(place)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONHASHSEED": "11"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = load_file(place / "found.safetensors")
    assert found.keys() == expected.keys()
    names = {str(number): str(cell) for number, cell in enumerate(working())}
    wrong = {
        names[number]: float((found[number] - value).abs().max())
        for number, value in expected.items()
        if float((found[number] - value).abs().max() / value.abs().max()) > 1e-5
    }
    assert not wrong


def test_another_process_gives_the_same_answers(tmp_path: Path) -> None:
    reload(fast(), tmp_path)


@pytest.mark.slow
def test_another_process_gives_the_same_answers_in_every_cell(tmp_path: Path) -> None:
    reload(working(), tmp_path)


@pytest.mark.parametrize("cell", fast(), ids=str)
def test_the_size_on_disk_is_that_of_what_is_stored(cell: Cell, tmp_path: Path) -> None:
    """The bytes of the numbers that the method says it stores, and a header of names and shapes."""
    model = disturbed(cell)
    cell.method.save(model, tmp_path)
    held = list(tmp_path.rglob("*.safetensors"))
    tensors = [tensor for path in held for name, tensor in load_file(path).items() if name != "final_logits_bias"]
    assert sum(tensor.numel() for tensor in tensors) == cell.method.stored(model)
    header = sum(path.stat().st_size for path in held) - sum(tensor.nbytes for tensor in tensors)
    assert 0 < header <= 200 * len(tensors) + 4096
