"""SIGTERM and Ctrl-C as an orderly stop: `Interrupted` is raised where the program stands, or where it allows it.

Nearly everything may be left at once: what is half written is not taken for whole, and is done again. A training loses
minutes by that, so it stands within `put_off()`: there a signal is only remembered, and the loop, which looks at
`asked()` between two steps, saves a checkpoint before it stops. A second signal ends the process as the system would.

Handlers are set from the main thread alone, only in place of Python's own, and are put back.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The user, or the system, wants an end. No error: `except Exception` lets it pass, as it does Ctrl-C."""

    def __init__(self, number: int = signal.SIGTERM):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # as shells say it: 130 for Ctrl-C, 143 for SIGTERM


@dataclass
class _State:
    asked: int | None = None
    put_off: int = 0
    afterwards: Any = signal.SIG_DFL


_STATE = _State()


@contextmanager
def answered(*, afterwards: Any = signal.SIG_DFL) -> Iterator[None]:
    """Within it SIGTERM and Ctrl-C raise `Interrupted`, unless they are put off.

    Args:
        afterwards: what the next signal does: end the process (the default), or nothing (`signal.SIG_IGN`) in a worker,
            which may hear the same request from the system and from its parent.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            # What is ignored (nohup, a job in the background) stays ignored, and a caller's own handler stays.
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, _hear)
    if before:
        _STATE.afterwards = afterwards
    try:
        yield
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)
        if before:
            _STATE.asked = None


@contextmanager
def put_off() -> Iterator[None]:
    """Within it a signal waits: until `asked()` is looked at, or else until the end of the outermost `put_off`."""
    with answered():
        _STATE.put_off += 1
        try:
            yield
        finally:
            _STATE.put_off -= 1
        if _STATE.asked is not None and not _STATE.put_off:
            raise Interrupted(_STATE.asked)


def asked() -> bool:
    """Whether a signal has come that was put off."""
    return _STATE.asked is not None


def stop() -> Interrupted:
    """The exception to raise once everything is saved."""
    return Interrupted(_STATE.asked or signal.SIGTERM)


def exit_code(end: BaseException) -> int | None:
    """The exit code of the `Interrupted` that led to this exception; None where none did."""
    found: BaseException | None = end
    while found is not None:
        if isinstance(found, Interrupted):
            return found.exit_code
        found = found.__cause__ or found.__context__
    return None


def _hear(number: int, _: FrameType | None) -> None:
    _STATE.asked = number
    for heard in SIGNALS:
        if signal.getsignal(heard) is _hear:
            signal.signal(heard, _STATE.afterwards)
    if not _STATE.put_off:
        raise Interrupted(number)
    if _STATE.afterwards == signal.SIG_DFL:
        say("stopping after this step, to keep what was done; once more to end at once")


def say(text: str) -> None:
    """A line on standard error, from within a handler too (where `print` may not be entered again)."""
    with suppress(OSError):
        os.write(2, f"\n{text}\n".encode())
