"""What a figure was measured on: machine, versions, date, command."""

from __future__ import annotations

import os
import shlex
import sys
from datetime import UTC, datetime
from typing import Any


def machine() -> dict[str, Any]:
    """For the JSON file, and the line above a table."""
    from luthier.core.environment import capture_environment

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
        "cpu_name": cpu_name(),
        "cores": len(cores()),
        "load": round(os.getloadavg()[0], 1),
        **capture_environment(),
    }


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def cpu_name() -> str:
    """As the kernel names it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    except OSError:
        return "unknown"
