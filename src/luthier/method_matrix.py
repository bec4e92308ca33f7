"""The matrix of methods: what each can do on each family of models, as its class claims and the contract tests prove.

Every method has a row for each of its variants. A cell says whether the method trains there, whether what was trained
can be merged into the base, and how several can be switched between; or, in one sentence, why it cannot work. The
trainable share is counted on the house models and kept in `methods/shares.json`, which `scripts/method_tables.py`
writes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import luthier.methods
from luthier.methods.additive.fusion import Fusion
from luthier.methods.method import Method
from luthier.models.families import FAMILIES
from luthier.models.kinds import Kind
from luthier.registry import METHODS

HOUSE: Mapping[Kind, str] = {
    "encoder": "house/encoder", "decoder": "house/decoder", "encoder-decoder": "house/seq2seq"
}  # fmt: skip
"""On which model the trainable share of each kind is counted."""
SHARES = Path(luthier.methods.__file__).with_name("shares.json")

_WIDEST = 40
"""The most characters of a row's name on a terminal."""
_HOW = {"row": "by row", "request": "by request", "never": "no"}
_NAMES = {
    "bert": "BERT", "roberta": "RoBERTa", "gpt2": "GPT-2", "bloom": "BLOOM", "llama": "Llama", "mistral": "Mistral",
    "gemma": "Gemma", "t5": "T5", "bart": "BART",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A method on a family of models.

    Attributes:
        family: of the models.
        why_not: why it cannot work, in one sentence; None where it trains.
        why_unmerged: why it cannot be merged; None where it can.
    """

    family: str
    why_not: str | None
    why_unmerged: str | None

    @property
    def sign(self) -> str:
        """`m` where it trains and merges, `t` where it only trains, `-` where it cannot work."""
        return "-" if self.why_not else "t" if self.why_unmerged else "m"


def rows() -> list[Method]:
    """Every method that trains, once for each of its variants, in the order of the registry."""
    return [cls(**settings) for cls in METHODS if cls.trains for settings in cls.variants]


def cells(method: Method) -> list[Cell]:
    """A row of the matrix."""
    return [
        Cell(family, method.refusal(kind, family), method.merge_refusal(kind, family))
        for family, kind in FAMILIES.items()
    ]


def ready(method: Method, base: Callable[[], Any], folder: Path) -> Method:
    """The method as it can be attached: for `fusion`, which its word alone leaves without adapters, over two new ones.

    Args:
        method: a row of the matrix.
        base: gives a plain model.
        folder: where the adapters are put.
    """
    if not isinstance(method, Fusion):
        return method
    from luthier.methods.additive.adapter import Adapter

    for name in ("first", "second"):
        adapter = Adapter()
        adapter.save(adapter.attach(base(), None), folder / name)
    return Fusion(adapters=(str(folder / "first"), str(folder / "second")))


@cache
def shares() -> dict[str, dict[str, float]]:
    """Row -> kind of model -> the share of the weights that are trained, as it was counted."""
    return json.loads(SHARES.read_text(encoding="utf-8")) if SHARES.is_file() else {}


def count_shares() -> dict[str, dict[str, float]]:
    """Count the trainable share of every row on the house models; seconds of imports and of attaching."""
    import torch

    from luthier.methods.method import trainable
    from luthier.models.head import Head, train_head
    from luthier.models.load import find_model, load_model, load_tokenizer

    counted: dict[str, dict[str, float]] = {}
    for kind, name in HOUSE.items():
        files = find_model(name)
        head = Head("class", ("negative", "positive")) if kind == "encoder" else None
        tokenizer = load_tokenizer(files)
        plain = load_model(files, head=head)
        weights = sum(parameter.numel() for parameter in plain.parameters())
        for method in rows():
            if method.refusal(kind, files.model_type):
                continue
            torch.manual_seed(0)
            with TemporaryDirectory() as folder:
                prepared = ready(method, partial(copy.deepcopy, plain), Path(folder))
                model = train_head(prepared.attach(copy.deepcopy(plain), tokenizer))
            moved = sum(parameter.numel() for parameter in trainable(model))
            counted.setdefault(method.label(), {})[kind] = float(f"{moved / weights:.3g}")
    return counted


def as_data() -> list[dict[str, Any]]:
    """The matrix for programs."""
    return [
        {
            "method": method.label(),
            "class": method.belongs_to,
            "moves": method.moves,
            "paper": method.paper,
            "switching": method.switching,
            "starts_at_base": method.starts_at_base,
            "trainable_share": shares().get(method.label(), {}),
            "cells": {
                cell.family: {
                    "trains": cell.why_not is None,
                    "merges": cell.why_not is None and cell.why_unmerged is None,
                    "switches": "never" if cell.why_not else method.switching_on(FAMILIES[cell.family]),
                    "why_not": cell.why_not or cell.why_unmerged,
                }
                for cell in cells(method)
            },
        }
        for method in rows()
    ]


def as_text() -> str:
    """The matrix in aligned columns, for a terminal."""
    width = _WIDEST
    head = f"{'':<{width}}  " + "  ".join(_NAMES.values()) + "  switched    trained (encoder, decoder, encoder-decoder)"
    lines = [
        "m: trains, can be merged; t: trains; -: cannot work; why, and what the columns mean: docs/methods.md",
        "",
        head,
    ]
    for method in rows():
        row = "  ".join(f"{cell.sign:^{len(_NAMES[cell.family])}}" for cell in cells(method))
        label = method.label() if len(method.label()) <= width else f"{method.label()[: width - 3]}..."
        lines.append(f"{label:<{width}}  {row}  {_HOW[method.switching]:<10}  {_shares(method)}")
    return "\n".join(lines)


def as_markdown() -> str:
    """The matrix as tables of Markdown, a class of methods each, with the reasons under them."""
    parts = []
    for name in dict.fromkeys(method.belongs_to for method in rows()):
        members = [method for method in rows() if method.belongs_to == name]
        parts += [f"## {name.capitalize()}", ""]
        parts.append(
            "| method | " + " | ".join(_NAMES.values()) + " | switched | trained: encoder, decoder, encoder-decoder |"
        )
        parts.append("|---" * (len(_NAMES) + 3) + "|")
        for method in members:
            signs = " | ".join(cell.sign for cell in cells(method))
            parts.append(f"| `{method.label()}` | {signs} | {_HOW[method.switching]} | {_shares(method)} |")
        parts += ["", *_reasons(members)]
    return "\n".join(parts).rstrip() + "\n"


def _shares(method: Method) -> str:
    found = shares().get(method.label(), {})
    return ", ".join(f"{100 * found[kind]:.3g}%" if kind in found else "-" for kind in HOUSE)


def _reasons(members: list[Method]) -> list[str]:
    """A line for each reason, with what it holds for."""
    held: dict[str, list[str]] = {}
    for method in members:
        for cell in cells(method):
            why = cell.why_not or cell.why_unmerged
            if why:
                held.setdefault(f"{'cannot work' if cell.why_not else 'not merged'}: {why}", []).append(
                    f"{method.label()} on {_NAMES[cell.family]}"
                )
    lines = []
    for why, where in held.items():
        by_method: dict[str, list[str]] = {}
        for place in where:
            label, _, family = place.partition(" on ")
            by_method.setdefault(label, []).append(family)
        said = "; ".join(
            f"`{label}`" + ("" if len(families) == len(_NAMES) else f" on {', '.join(families)}")
            for label, families in by_method.items()
        )
        lines.append(f"- {said}: {why}.")
    return [*lines, ""] if lines else []
