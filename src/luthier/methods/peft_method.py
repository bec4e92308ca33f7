"""Any method that peft has, by peft's own name and settings.

    method: {peft: {type: hra, settings: {r: 16}, targets: attention}}

`type` is the name in `peft.PeftType`, in lower case; `settings` go to peft's configuration class as they are, after our
defaults for the type (`methods/peft_types.py`), which also says what each type trains, where, and what it cannot do.
"""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import JsonValue, WithJsonSchema, field_validator, model_validator

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.methods.method import DEFAULT, MethodClass, Switching, rate_between, task_type, trainable
from luthier.methods.on_linears import OnLinears
from luthier.methods.peft_types import ELSEWHERE, KNOWN, TYPES, VIRTUAL_TOKENS, PeftType, Place
from luthier.methods.soft_prompts.layer_prefix import attention_shape
from luthier.methods.targets import Targets, target_names
from luthier.models.anatomy import anatomy_of
from luthier.models.kinds import Kind

_VALUES = re.compile(r"^(v|v_proj|value|c_attn|query_key_value)$")
"""What value projections are called; GPT-2 and BLOOM have query, key and value in one layer."""
_PLACES: Mapping[Place, str] = {
    "values": "value projections (`target_modules` among its settings names others)",
    "norms": "the norms (`target_modules` among its settings names others)",
    "peft": "what peft chooses for the architecture (`target_modules` among its settings names others)",
    "none": "no module",
}


class Peft(OnLinears):
    """Train what the named one of peft's methods trains."""

    name: ClassVar[str] = "peft"
    answers_merged: ClassVar[bool] = False
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = tuple(
        {"type": name, **({"settings": kind.needs} if kind.needs else {})} for name, kind in TYPES.items()
    )

    type: str = "hra"
    """peft's name of the method, in lower case; HRA (Yuan et al. 2024, arXiv 2405.17484) where none is given."""
    settings: Annotated[dict[str, JsonValue], WithJsonSchema({"type": "object"})] = {}
    """What peft's configuration of it is to hold; all else is peft's default, or ours where that does not serve."""
    targets: Targets | None = None
    """Which layers: `all-linear`, `attention`, `mlp`, or names of modules; those that the type itself is for where it
    is not given, which mostly are all linear ones."""

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if value in ELSEWHERE:
            raise ValueError(f"{value}: {ELSEWHERE[value]}")
        if value not in KNOWN:
            raise ValueError(f"{value}: no such method in peft{suggest(value, KNOWN)}; there are {', '.join(KNOWN)}")
        return value

    @model_validator(mode="after")
    def _enough_is_said(self) -> Peft:
        if self.targets is not None and self._kind.place != "linears":
            raise ValueError(f"{self.type} works on {_PLACES[self._kind.place]}: leave out `targets`")
        if self.targets is not None and "target_modules" in self.settings:
            raise ValueError("`targets` and `target_modules` say the same: give one of them")
        if missing := set(self._kind.needs) - set(self.settings):
            raise ValueError(f"{self.type} needs {', '.join(missing)}, as in `settings: {dict(self._kind.needs)}`")
        if self.type == "adamss" and self.settings.get("use_asa"):
            raise ValueError("adamss: `use_asa` freezes weights in mid-training, which a checkpoint cannot go on from")
        if self.type == "poly" and self.settings.get("n_tasks", 1) != 1:
            raise ValueError("poly: rows are not told apart by their task here: leave `n_tasks` at 1")
        return self

    @property
    def _kind(self) -> PeftType:
        return KNOWN[self.type]

    # What is a flag of the class elsewhere depends on the type here: read-only, which mypy does not take.
    @property
    def belongs_to(self) -> MethodClass:  # type: ignore[override]
        return self._kind.belongs_to

    @property
    def moves(self) -> str:  # type: ignore[override]
        return self._kind.moves

    @property
    def paper(self) -> str:  # type: ignore[override]
        return self._kind.paper

    @property
    def flat(self) -> bool:  # type: ignore[override]
        return self._kind.flat

    @property
    def mergeable(self) -> bool:  # type: ignore[override]
        return "all" not in self._kind.unmerged

    @property
    def switching(self) -> Switching:  # type: ignore[override]
        return self._kind.switching

    @property
    def starts_at_base(self) -> bool:  # type: ignore[override]
        return self._kind.starts_at_base

    @property
    def falls(self) -> Mapping[Kind, float]:  # type: ignore[override]
        return dict.fromkeys(self._kind.learns, self._kind.takes)

    @property
    def added_positions(self) -> int:
        """Of a prompt: as many as it has virtual tokens."""
        if self.type == "cpt":
            given = self.settings.get("cpt_token_ids")
            return len(given) if isinstance(given, list) else VIRTUAL_TOKENS
        count = self.settings.get("num_virtual_tokens", self._kind.settings.get("num_virtual_tokens", 0))
        return count if isinstance(count, int) else 0

    def label(self) -> str:
        """`peft(type=hra, r=16)`."""
        given = {key: getattr(self, key) for key in ("type", "targets") if key in self.model_fields_set}
        inner = ", ".join(f"{key}={value}" for key, value in (*given.items(), *self.settings.items()))
        return f"{self.name}({inner})" if inner else self.name

    def flat_on(self, kind: Kind) -> bool:
        return self.flat and (kind == "decoder" or self.belongs_to != "soft prompt")

    def refusal(self, kind: Kind, family: str) -> str | None:
        return self._kind.refusal(kind, family)

    def merge_refusal(self, kind: Kind, family: str) -> str | None:
        return self._kind.merge_refusal(kind, family)

    def learning_rate(self, parameters: int) -> float:
        """The type's up to 6M parameters (`peft_types.py`), a fifteenth of it at 7B, on a log-log line between: as
        LoRA's rate falls; beyond the smallest models it is unmeasured."""
        return rate_between(parameters, (6e6, self._kind.rate), (7e9, self._kind.rate / 15))

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import PeftType as Names
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

        cls = PEFT_TYPE_TO_CONFIG_MAPPING[Names(self.type.upper())]
        _refuse_unknown(self.settings, cls)
        places = self._places(model)
        settings = {**self._kind.settings, **places, **self._fitting(model, places), **self.settings}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Specified to not save")  # they are drawn again from a key
                return cls(task_type=task_type(model), **settings)
        except (AssertionError, TypeError, ValueError) as error:
            raise self._misfit(error) from None

    def attach(self, model: Any, tokenizer: Any) -> Any:
        """Put it on, by peft.

        Raises:
            LuthierError: a setting that its configuration does not have, or values that do not fit the model.
        """
        try:
            attached = self._mended(super().attach(model, tokenizer))
        except (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError) as error:
            raise self._misfit(error) from None
        if not any(parameter.numel() for parameter in trainable(attached)):
            raise self._misfit(ValueError("it leaves nothing to train"))
        return attached

    def stored(self, model: Any) -> int:
        """What was trained, and what the type keeps beside it (`PeftType.beside`)."""
        from peft import get_peft_model_state_dict

        return sum(value.numel() for value in get_peft_model_state_dict(model, save_embedding_layers=False).values())

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        return self._mended(super().load(model, folder, name)).requires_grad_(False)

    @contextmanager
    def disabled(self, model: Any) -> Iterator[None]:
        from luthier.methods.peft_repairs import without_prompt

        with without_prompt(model) if model.active_peft_config.is_prompt_learning else super().disabled(model):
            yield

    def merge(self, model: Any) -> Any:
        from luthier.methods.peft_repairs import bare_heads, lay_out

        bare_heads(model)
        lay_out(model)
        return super().merge(model)

    def _places(self, model: Any) -> dict[str, Any]:
        """`target_modules`, where it is for us to say."""
        if "target_modules" in self.settings:
            return {}
        if self._kind.place == "linears":
            return {"target_modules": target_names(model, self.targets or "all-linear")}
        if self._kind.place == "norms":
            return {"target_modules": list(anatomy_of(model).norms)}
        if self._kind.place == "values":
            linears = anatomy_of(model).linears
            return {"target_modules": [name for name in linears if _VALUES.match(name.rpartition(".")[2])]}
        return {}

    def _fitting(self, model: Any, places: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that depend on the model's sizes."""
        import torch

        sizes = [tuple(model.get_submodule(name).weight.shape) for name in places.get("target_modules", ())]
        fitting: dict[str, Any] = {}
        if self._kind.divides and sizes:
            name, most = self._kind.divides
            fitting[name] = math.gcd(most, *(width for size in sizes for width in size))
        if self._kind.within and sizes:
            name, most = self._kind.within
            fitting[name] = min(most, *(math.prod(size) for size in sizes))
        if self.type in ("cartridge", "prefix_tuning"):
            fitting |= attention_shape(model)
        if self.type == "adaption_prompt":
            fitting["adapter_layers"] = model.config.get_text_config(decoder=True).num_hidden_layers
        if self.type == "cpt":
            vocabulary = model.get_input_embeddings().weight.shape[0]
            fitting["cpt_token_ids"] = torch.randint(vocabulary, (VIRTUAL_TOKENS,)).tolist()
        return fitting

    def _mended(self, model: Any) -> Any:
        """The model with what peft leaves to its caller done."""
        from luthier.methods import peft_repairs

        mend = {
            "poly": peft_repairs.tell_tasks,
            "glora": peft_repairs.freeze_idle_biases,
            "shadow": peft_repairs.settle_shadow,
        }.get(self.type)
        if mend:
            mend(model)
        return model

    def _misfit(self, error: Exception) -> LuthierError:
        return LuthierError(
            f"{self.label()} does not fit this model: {(str(error) or type(error).__name__).splitlines()[0]}",
            where=f"{self.name}: settings",
            mend="mend its settings, or take another method",
        )


def _refuse_unknown(settings: Mapping[str, Any], cls: Any) -> None:
    """Nothing, or an error that names what the configuration has."""
    from peft import PeftConfig

    general = {field.name for field in dataclasses.fields(PeftConfig)}
    known = sorted(field.name for field in dataclasses.fields(cls) if field.name not in general)
    for key in settings:
        if key not in known:
            raise LuthierError(
                f"{key}: {cls.__name__} has no such setting{suggest(key, known)}",
                where="peft: settings",
                mend=f"it has {', '.join(known)}",
            )
