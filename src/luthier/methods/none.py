"""No training: the model as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from luthier.methods.method import Method


class NoMethod(Method):
    """Move nothing: the base model as it is."""

    name: ClassVar[str] = "none"
    trains: ClassVar[bool] = False
    mergeable: ClassVar[bool] = True
    moves: ClassVar[str] = "nothing"
    paper: ClassVar[str] = ""

    def attach(self, model: Any, tokenizer: Any) -> Any:
        model.requires_grad_(False)
        return model

    def load(self, model: Any, folder: Path) -> Any:
        return model
