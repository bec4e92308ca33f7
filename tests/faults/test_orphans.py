"""Fault 6, its hidden half: workers whose parent was killed die too, before a second process takes the folder over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import multiprocessing, sys, time
from tests.faults.test_orphans import silent

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=silent)
    child.start()
    print(child.pid, flush=True)
    time.sleep(600)
"""


def silent() -> None:
    """A worker in a long step: it says nothing, so no closed pipe tells it that the parent is gone."""
    import threading

    from luthier.workers import _die_with_the_parent

    threading.Thread(target=_die_with_the_parent, daemon=True).start()
    until = time.monotonic() + 600
    while time.monotonic() < until:
        sum(range(10_000))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join([str(root), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    try:
        time.sleep(3)
        assert alive(worker)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        until = time.monotonic() + 60
        while alive(worker) and time.monotonic() < until:
            time.sleep(0.1)
        assert not alive(worker)
    finally:
        parent.kill()
        if alive(worker):
            os.kill(worker, signal.SIGKILL)
