"""No training: the model as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from luthier.methods.method import DEFAULT, Method, MethodClass, Switching


class NoMethod(Method):
    """Move nothing: the base model as it is."""

    name: ClassVar[str] = "none"
    belongs_to: ClassVar[MethodClass] = "none"
    trains: ClassVar[bool] = False
    mergeable: ClassVar[bool] = True
    switching: ClassVar[Switching] = "never"
    moves: ClassVar[str] = "nothing"
    paper: ClassVar[str] = ""

    def attach(self, model: Any, tokenizer: Any) -> Any:
        model.requires_grad_(False)
        return model

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        return model
