"""Luthier compares the ways of adapting a language model to a task on equal terms."""

from __future__ import annotations

from luthier.version import __version__

__all__ = ["__version__"]
