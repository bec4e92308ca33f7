"""Worker processes: forked from a server that is whole, each with our variables, and with its signals still blocked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from luthier.core import children


def tell(pipe: Connection, *names: str) -> None:
    """What a worker finds at its start."""
    server = Path(f"/proc/{os.getppid()}/status")
    threads = server.read_text().partition("Threads:")[2].split()[0] if server.exists() else "1"
    loaded = [name for name in ("torch", "peft", "lightning.fabric", "luthier.run") if name in sys.modules]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    pipe.send(([os.environ.get(name) for name in names], loaded, threads, set(children.SIGNALS) <= blocked))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are spawned")
def test_a_worker_is_forked_from_a_server_that_has_imported_and_computed_nothing(monkeypatch: pytest.MonkeyPatch):
    children.get_ready("cpu")
    monkeypatch.setenv("LUTHIER_SET_SINCE", "yes")
    process, pipe = children.start_child(tell, ("LUTHIER_SET_SINCE", "LUTHIER_OWN"), {"LUTHIER_OWN": "its own"}, "cpu")
    found, loaded, threads, blocked = pipe.recv()
    process.join()
    assert found == ["yes", "its own"]
    assert "LUTHIER_OWN" not in os.environ
    assert loaded == ["torch", "peft", "lightning.fabric", "luthier.run"]
    assert threads == "1"  # a second one would not live on in a fork, and what it held would stay locked
    assert blocked


def test_a_worker_on_a_gpu_is_spawned():
    assert not children.forked("cuda")
    assert not children.forked("cuda:1")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are spawned")
def test_the_server_ends_with_the_command():
    code = (
        "from multiprocessing import forkserver; from luthier.core.children import get_ready; get_ready('cpu');"
        "print(forkserver._forkserver._forkserver_pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(f"/proc/{int(done.stdout)}").exists() or "Z" in Path(f"/proc/{int(done.stdout)}/stat").read_text()
