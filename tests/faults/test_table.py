"""The table of `README.md`: every number that is promised, and every test that it names, is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {*range(1, 13), 17, 18, 19}


def test_every_fault_has_its_tests_and_they_exist() -> None:
    found = {}
    for line in (Path(__file__).with_name("README.md")).read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| (\d+) \|", line):
            found[int(row[1])] = re.findall(r"`(tests/\S+?)::(\w+)`", line)
    assert set(found) == PROMISED
    for number, tests in found.items():
        assert tests, f"fault {number} has no test"
        for path, name in tests:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"^\s*def {name}\(", text, re.MULTILINE), f"{path}::{name} is not there"
