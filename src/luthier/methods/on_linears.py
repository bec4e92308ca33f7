"""Methods of peft's that know linear layers alone: GPT-2's Conv1D are turned for them, and turned back in the end.

Nor can peft take such a method off an encoder whose head holds several layers: it looks for the one weight of a layer
there, so the head is unwrapped first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from luthier.methods.method import DEFAULT, PeftMethod


class OnLinears(PeftMethod):
    """A method that peft has for `Linear`, and not, or not in all respects, for `Conv1D`."""

    answers_merged: ClassVar[bool] = True

    def attach(self, model: Any, tokenizer: Any) -> Any:
        from luthier.models.upright import stand_up

        stand_up(model)
        return super().attach(model, tokenizer)

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        from luthier.models.upright import stand_up

        if not hasattr(model, "peft_config"):  # the plain base, nothing loaded onto it yet
            stand_up(model)
        return super().load(model, folder, name)

    def remove(self, model: Any, name: str) -> Any:
        return _plain(super().remove(model, name))

    def merge(self, model: Any) -> Any:
        from luthier.methods.peft_repairs import bare_heads

        bare_heads(model)
        return _plain(super().merge(model))


def _plain(model: Any) -> Any:
    """A base that has nothing of peft's any more, with its Conv1D back; what still has is left as it is."""
    from luthier.models.upright import lie_down

    if not hasattr(model, "peft_config"):
        lie_down(model)
    return model
