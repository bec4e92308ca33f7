"""QLoRA (Dettmers et al. 2023, arXiv 2305.14314): LoRA beside matrices that are kept in four bits.

    h = dequantise(W4) x + (alpha / r) B A x        W4: NF4 with double quantisation, or int8; A, B: in full precision

The linear layers within the layers are quantised when the method is attached, the same each time (models/quantise.py);
the adapter alone is saved. At first the model answers as its quantised base does, which is not quite as the base does:
`disabled` gives that quantised base. In NF4 a weight takes 4.127 bits, where bf16 takes 16.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.methods.method import DEFAULT, MethodClass, PeftMethod, rate_between, task_type
from luthier.methods.targets import Targets, target_names
from luthier.models.kinds import Kind

_SETTINGS = "quantised.json"


class QLoRA(PeftMethod):
    """Train a low-rank update of every linear layer but the head, over a base in four or eight bits."""

    name: ClassVar[str] = "qlora"
    belongs_to: ClassVar[MethodClass] = "reparameterised"
    starts_at_base: ClassVar[bool] = False
    moves: ClassVar[str] = "a rank-r update of each linear layer, over a quantised base"
    paper: ClassVar[str] = "Dettmers et al. 2023, arXiv 2305.14314"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"bits": "int8"})

    bits: Literal["nf4", "int8"] = "nf4"
    """How the base's linear layers are kept: `nf4`, 4-bit NormalFloat with double quantisation (the paper's), or
    `int8` (LLM.int8(), arXiv 2208.07339)."""
    rank: int = Field(default=8, ge=1)
    """r, the rank of each update: that of `lora`, so that the two differ in the base alone. The paper took 64 for 7B to
    65B, and found that the rank did not matter once all layers have an update (section 4)."""
    alpha: float | None = Field(default=None, gt=0)
    """The update is scaled by alpha / rank; twice the rank where it is not given, as in `lora` (the paper: 16 at rank
    64)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before A, as in `lora` (the paper: 0.1 up to 13B, 0.05 above)."""
    targets: Targets = "all-linear"
    """Which layers have an update: `all-linear` (the paper found that it takes all to match 16 bits), `attention`,
    `mlp`, or names of modules. All linear layers are quantised whichever have one."""

    def merge_refusal(self, kind: Kind, family: str) -> str | None:
        return "the base's weights are quantised: an update added to them would be rounded away with them"

    def learning_rate(self, parameters: int) -> float:
        """That of `lora`: 3e-3 at 6M parameters (measured: 24 steps on the house decoder took 22%, 39% and 52% of the
        held-out loss with 1e-3, 3e-3 and 1e-2; `lora` at 3e-3 took 39%), 2e-4 at 7B (the paper's, Table 9), on a
        log-log line between."""
        return rate_between(parameters, (6e6, 3e-3), (7e9, 2e-4))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import LoraConfig

        return LoraConfig(
            task_type=task_type(model),
            r=self.rank,
            lora_alpha=self.alpha or 2 * self.rank,
            lora_dropout=self.dropout,
            target_modules=target_names(model, self.targets),
        )

    def attach(self, model: Any, tokenizer: Any) -> Any:
        _quantise(model, self.bits)
        return super().attach(model, tokenizer)

    def base_of(self, model: Any) -> Any:
        """The quantised base."""
        _quantise(model, self.bits)
        return model

    def save(self, model: Any, folder: Path) -> None:
        """The adapter alone, and `quantised.json`: over which bits it was trained."""
        super().save(model, folder)
        (folder / _SETTINGS).write_text(json.dumps({"bits": self.bits}) + "\n", encoding="utf-8")

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """Quantise a fresh base as it was in the training, and put the adapter onto it.

        Raises:
            LuthierError: as of every method of peft's; or the base is there in other bits, for those loaded before.
        """
        bits = (read_object(folder / _SETTINGS) or {}).get("bits", self.bits)
        base = model.get_base_model() if hasattr(model, "peft_config") else model
        four, eight = (getattr(base, f"is_loaded_in_{name}", False) for name in ("4bit", "8bit"))
        if not (four or eight):  # the plain base, nothing loaded onto it yet
            _quantise(model, bits)
        elif not (four if bits == "nf4" else eight):
            raise LuthierError(
                f"this was trained over a base in {bits}, and the one that is loaded is in other bits",
                where=str(folder),
                mend="load it onto a base of its own",
            )
        return super().load(model, folder, name)


def _quantise(model: Any, bits: Literal["nf4", "int8"]) -> None:
    """As `models/quantise.py`.

    Raises:
        LuthierError: bitsandbytes, which does it, cannot be imported; or the model cannot be quantised.
    """
    try:
        from luthier.models.quantise import quantise
    except ImportError as error:
        raise LuthierError(
            f"bitsandbytes, which quantises the base, cannot be used: {error}",
            where="qlora",
            mend="install it (`pip install bitsandbytes`), or take `lora`",
        ) from None
    quantise(model, bits)
