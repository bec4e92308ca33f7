"""What every worker computes with, imported as this module is: in the process from which workers are forked.

`multiprocessing` imports modules there by name (`core/children.py`); nothing else in the library imports this one.
Libraries drag in whatever else is installed, in seconds; what a worker has no use for is kept from them.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_parent = os.getppid()


def preload() -> None:
    """Import what workers need.

    None of it is ever let go of: while it is built up the garbage collector would look at all of it time and again, and
    later, in every worker, it would write into memory that is shared as long as nobody writes.
    """
    gc.disable()
    # As a program of its own has it: a file of the user's that is called as a library is not the library.
    sys.path[:] = [place for place in sys.path if place]
    try:
        _import_all()
    except Exception:  # whoever needs it will meet it, in a run that can say so
        pass
    finally:
        gc.freeze()
        gc.enable()


def _import_all() -> None:
    _load("torch")
    with _in_place_of("scipy", None):  # for a loss of object detection
        _load("transformers.modeling_utils")
    _load("transformers.models.llama.modeling_llama")  # and with it what the other architectures stand on
    _load("transformers.models.auto.modeling_auto")
    _load("transformers.models.auto.tokenization_auto")
    # peft imports bitsandbytes wherever it is; `models/quantise.py` lets peft see it again.
    with _in_place_of("bitsandbytes", None):
        _load("peft")
        availability = import_module("peft.import_utils")
        availability.is_bnb_available(), availability.is_bnb_4bit_available()  # they remember what they say now
    # Fabric lies in a package that imports all of Lightning, and looks for torchmetrics, to leave it alone.
    with _in_place_of("lightning", _empty("lightning")), _in_place_of("torchmetrics", None):
        _load("lightning.fabric")
    _load("luthier.run")


def _load(name: str) -> None:
    """Import a module, unless the command has ended in the meantime: then so does this process."""
    if os.getppid() != _parent:
        raise SystemExit(0)
    import_module(name)


@contextmanager
def _in_place_of(name: str, module: ModuleType | None) -> Iterator[None]:
    """Within it a package seems to be another one, or not to be installed (None); one that is loaded stays."""
    modules: dict[str, Any] = sys.modules
    loaded = name in modules
    if not loaded:
        modules[name] = module
    try:
        yield
    finally:
        if not loaded:
            del modules[name]


def _empty(name: str) -> ModuleType:
    """A package in whose folder its submodules are found, and of which nothing was run."""
    spec = find_spec(name)
    assert spec is not None
    return module_from_spec(spec)


preload()
