"""What a method is: which weights move, how they are attached, saved and loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.settings import Named
from luthier.methods.trained_on import base_shape, wrong_base
from luthier.models.encoder_decoder import has_encoder
from luthier.models.families import family_of
from luthier.models.head import head_parts
from luthier.models.kinds import Kind

if TYPE_CHECKING:
    import torch

_BASE, _WEIGHTS, _NUMBERS = "base.json", "adapter_model.safetensors", "numbers"
DEFAULT = "default"
"""What an adapter is called where there is one alone."""

MethodClass = Literal["none", "full", "selective", "reparameterised", "additive", "soft prompt", "combination"]
"""The classes of Lialin et al. 2023 (arXiv 2303.15647), soft prompts apart from the rest of the additive."""
Switching = Literal["row", "request", "never"]
"""How fine one may switch between several that are loaded: each row of a batch for itself, batch by batch, or not."""


class Method(Named):
    """Base of every method. A subclass is one file here and one word in `registry.py`.

    The settings class is the method: its fields are what a user can set, with vetted defaults and their source; heavy
    imports stand inside its functions. What its flags claim is what `tests/contracts/` tests, on every architecture,
    and what `luthier methods` prints.
    """

    trains: ClassVar[bool] = True
    """False only for `none`."""
    belongs_to: ClassVar[MethodClass]
    """Its class in the tables."""
    flat: ClassVar[bool] = True
    """Whether several sequences may share one flat row, on some kind of model at least."""
    mergeable: ClassVar[bool] = False
    """Whether what was trained can be folded into the base's weights."""
    merge_tolerance: ClassVar[float] = 1e-4
    """The most that merging may change a logit, as a share of the largest logit; beyond it a merge is refused."""
    answers_merged: ClassVar[bool] = False
    """Whether a study merges it before it answers, where it can: the same answers to rounding, without the adapter's
    work at every token."""
    switching: ClassVar[Switching] = "request"
    """How several that are loaded onto one base can be switched between."""
    starts_at_base: ClassVar[bool] = True
    """Whether the model answers as its base does once the method is attached, before the first step."""
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.13, "encoder-decoder": 0.08}
    """The share of its loss that a short training on the house model of each kind takes away at least, about six tenths
    of what was measured (`tests/contracts/test_learning.py`); a kind that is not here is one that was not measured, or
    on which it was not seen to learn."""
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """The settings that have a row of their own in the matrix of methods, and are tested apart."""
    moves: ClassVar[str]
    """What is trained, in a few words, for the table of methods."""
    paper: ClassVar[str]
    """Authors, year, arXiv number."""

    @property
    def added_positions(self) -> int:
        """How many positions of the context it takes for itself (virtual tokens)."""
        return 0

    def flat_on(self, kind: Kind) -> bool:
        """Whether several sequences may share one flat row of such a model; as anywhere unless a method says otherwise:
        soft prompts are put before every sequence of a decoder's row alone."""
        return self.flat

    def refusal(self, kind: Kind, family: str) -> str | None:
        """Why it cannot work on such a model, in one sentence; None where it can.

        Args:
            kind: of the model's attention.
            family: one of `models/families.py`, or the model type where it is none of them.
        """
        return None

    def switching_on(self, kind: Kind) -> Switching:
        """How several can be switched between on such a model; as anywhere unless a method says otherwise."""
        return self.switching

    def merge_refusal(self, kind: Kind, family: str) -> str | None:
        """Why it cannot be merged into such a model, in one sentence; None where it can."""
        return None if self.mergeable else "what was trained has no place in the base's own weights"

    def learning_rate(self, parameters: int) -> float:
        """The suggested peak rate for a model of so many parameters."""
        raise NotImplementedError

    def encoder_learning_rate(self, parameters: int) -> float:
        """The suggested rate for an encoder of so many parameters; that of a decoder where nothing else is known."""
        return self.learning_rate(parameters)

    def attach(self, model: Any, tokenizer: Any) -> Any:
        """Give the model what is to be trained; only that, and a classifier's head, requires gradients afterwards.

        The caller has seeded torch: what is drawn here depends on nothing else.
        """
        raise NotImplementedError

    def parameter_groups(self, model: Any, learning_rate: float) -> list[dict[str, Any]]:
        """Parameters by learning rate; one group unless a method says otherwise."""
        return [{"params": list(trainable(model)), "lr": learning_rate}]

    def survey(self, model: Any, data: Any, objective: Any) -> None:
        """Called once, before the optimizers are made: what is read may decide which weights move (a Fisher mask).

        It must come to the same each time: a training that goes on from a checkpoint asks again.

        Args:
            model: with the method attached, on its device, in evaluation mode.
            data: the `TrainingData` that it will be trained on.
            objective: the `Objective` by whose loss.
        """

    def prepare(self, model: Any, steps: int) -> None:
        """Told before the first step how many there will be."""

    def penalty(self, model: Any) -> torch.Tensor | None:
        """What the method itself adds to the mean loss of a step, a scalar (AdaLoRA's orthogonality); None for
        nothing."""
        return None

    def after_step(self, model: Any, step: int) -> None:
        """Called after each optimizer step, the gradients of that step still there (AdaLoRA's budget, for one).

        Args:
            model: with the method attached.
            step: from 0.
        """

    def state(self, model: Any) -> dict[str, torch.Tensor]:
        """What beside the trained weights the next step depends on: it goes into checkpoints."""
        return {}

    def restore(self, model: Any, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` gave."""

    def save(self, model: Any, folder: Path) -> None:
        """Write what was trained, as safetensors."""
        model.save_pretrained(str(folder), safe_serialization=True)

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """Put what `save` wrote onto a base, ready to answer with; nothing requires gradients.

        Args:
            model: a fresh base, or one on which others of the same method were loaded under other names.
            folder: what `save` wrote.
            name: what it is called among several.
        """
        raise NotImplementedError

    def stored(self, model: Any) -> int:
        """How many numbers `save` writes: as many as are trained, unless a method says otherwise."""
        return sum(parameter.numel() for parameter in trainable(model))

    def base_of(self, model: Any) -> Any:
        """What a disabled model answers as: the base itself, unless a method changes it for good (quantisation)."""
        return model

    def switch(self, model: Any, name: str) -> None:
        """Answer with the one of that name from now on; only where `switching` allows it."""
        raise NotImplementedError

    def disabled(self, model: Any) -> AbstractContextManager[None]:
        """Within it, a model that was loaded answers as its base does; only where `switching` allows it."""
        raise NotImplementedError

    def remove(self, model: Any, name: str) -> Any:
        """The model without the one of that name, the others left as they are, or the base where it was the last; only
        where `switching` allows it."""
        raise NotImplementedError

    def merge(self, model: Any) -> Any:
        """The plain model with what was trained folded in; only where `mergeable`."""
        return model

    @property
    def leads_on(self) -> bool:
        """Whether another stage may follow; what can be merged is merged before it."""
        return self.mergeable

    def settle(self, model: Any, folder: Path) -> Any:
        """The model that the stage after this one starts from; only where it `leads_on`.

        Args:
            model: what `load` gave.
            folder: what it was loaded from.

        Raises:
            LuthierError: merging would change what it answers (`methods/merging.py`).
        """
        from luthier.methods.merging import merge_checked

        return merge_checked(self, model)


class PeftMethod(Method):
    """A method that peft has: a subclass only says with which configuration."""

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        """The peft configuration for this model; `attach` puts in what a classifier's head needs."""
        raise NotImplementedError

    def attach(self, model: Any, tokenizer: Any) -> Any:
        from peft import get_peft_model

        config = self.peft_config(model, tokenizer)
        if parts := head_parts(model):
            config.modules_to_save = list(parts)
        try:
            return get_peft_model(model, config)
        except ValueError as error:  # layers that the model does not have, mostly
            raise LuthierError(
                f"{self.label()} does not fit this model: {str(error).splitlines()[0]}",
                where=self.name,
                mend="mend its settings; names of layers are those of the model's own modules",
            ) from None

    def save(self, model: Any, folder: Path) -> None:
        """As peft does, and `base.json`, the shape of the base and how many numbers were written: peft puts an adapter
        onto another base, and some methods take weights of another size, without a word."""
        super().save(model, folder)
        self.note_base(model, folder)

    def note_base(self, model: Any, folder: Path) -> None:
        """Write `base.json` beside the weights as they are now."""
        about = {**base_shape(model), _NUMBERS: _numbers(folder / _WEIGHTS)}
        (folder / _BASE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    def load(self, model: Any, folder: Path, name: str = DEFAULT) -> Any:
        """Put what `save` wrote onto a base, beside others of the same method.

        Raises:
            LuthierError: missing or damaged, trained on a base of another architecture, depth or width, or its
                weights are not those that its configuration speaks of. What was loaded before stays as it was; a fresh
                base may then be left with empty layers of peft's.
        """
        from peft import PeftModel, get_peft_model_state_dict
        from safetensors import safe_open

        weights = folder / _WEIGHTS
        for path in (folder / "adapter_config.json", weights):
            if not path.is_file():
                raise LuthierError("no such file", where=str(path), mend="name the folder of a saved adapter")
        numbers = _numbers(weights)
        if (trained_on := read_object(folder / _BASE)) is not None:  # None where it was saved before this file was
            recorded = trained_on.pop(_NUMBERS, None)
            if trained_on != base_shape(model):
                raise wrong_base(folder, f"{trained_on}, not {base_shape(model)}")
            if recorded is not None and recorded != numbers:
                raise wrong_base(folder, f"{recorded} numbers were saved, and there are {numbers}")
        try:
            if isinstance(model, PeftModel):
                active = model.active_adapter
                model.load_adapter(str(folder), adapter_name=name, is_trainable=False)
                model.set_adapter(name)
                model.requires_grad_(False)
                loaded: Any = model
            else:
                loaded = PeftModel.from_pretrained(model, str(folder), adapter_name=name, is_trainable=False)
        except (KeyError, RuntimeError, ValueError) as error:  # another width, rank or head; no such layers
            if isinstance(model, PeftModel) and name in model.peft_config:
                model.delete_adapter(name)
            raise wrong_base(folder, str(error).splitlines()[-1].strip()) from None
        # To peft, a missing weight is a warning: the empty one stays; and one too many is dropped.
        with safe_open(weights, "pt") as file:
            held = set(file.keys())
        wanted = set(get_peft_model_state_dict(loaded, adapter_name=name, save_embedding_layers=False))
        odd = sorted((wanted - held) | (held - wanted - set(loaded.state_dict())))
        if odd:
            if loaded is model:
                model.delete_adapter(name)
                PeftMethod.switch(self, model, active)  # peft would answer with the first of those that are left
            raise wrong_base(folder, f"{odd[0]} is in only one of them")
        return loaded.requires_grad_(False)

    def switch(self, model: Any, name: str) -> None:
        model.set_adapter(name)
        model.requires_grad_(False)  # peft makes the one that it switches to trainable

    @contextmanager
    def disabled(self, model: Any) -> Iterator[None]:
        # peft lets everything of the active adapter require gradients afterwards, whatever did before.
        before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        try:
            with model.disable_adapter():
                yield
        finally:
            for parameter, required in before:
                parameter.requires_grad_(required)

    def remove(self, model: Any, name: str) -> Any:
        if len(model.peft_config) > 1:
            model.delete_adapter(name)
            return model
        from luthier.methods.peft_repairs import bare_heads

        bare_heads(model, trained=False)
        if model.active_peft_config.is_prompt_learning:
            return model.get_base_model()
        if hasattr(model.base_model, "unload"):
            return model.unload()
        model.base_model.disable_adapter_layers()  # prompts within the attention: this puts the plain one back
        return model.get_base_model()

    def merge(self, model: Any) -> Any:
        return model.merge_and_unload()


def refuse_misfit(method: Method, kind: Kind, model_type: str, where: str) -> None:
    """Nothing, or the method's own sentence on why it cannot work on such a model.

    Args:
        method: what is to be attached.
        kind: of the model's attention.
        model_type: as its config has it.
        where: what the error names.

    Raises:
        LuthierError: it cannot.
    """
    if why := method.refusal(kind, family_of(model_type)):
        raise LuthierError(
            f"{method.label()} cannot be used here: {why}", where=where, mend="take another method, or another model"
        )


def task_type(model: Any) -> Any:
    """What peft calls the kind of a model: its wrapper passes on what such a model takes."""
    from peft import TaskType

    if head_parts(model):
        tagger = type(model).__name__.endswith("ForTokenClassification")
        return TaskType.TOKEN_CLS if tagger else TaskType.SEQ_CLS
    return TaskType.SEQ_2_SEQ_LM if has_encoder(model) else TaskType.CAUSAL_LM


def _numbers(path: Path) -> int:
    """How many a safetensors file holds, from its header.

    Raises:
        LuthierError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise LuthierError(f"cannot be read: {error}", where=str(path), mend="copy or train it again") from None


def trainable(model: Any) -> Iterable[torch.nn.Parameter]:
    """The parameters that require gradients."""
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


def rate_between(parameters: int, small: tuple[float, float], large: tuple[float, float]) -> float:
    """A learning rate on the log-log line through two (parameters, rate) points, held constant beyond them."""
    (n0, rate0), (n1, rate1) = small, large
    share = (math.log(max(parameters, 1)) - math.log(n0)) / (math.log(n1) - math.log(n0))
    share = min(1.0, max(0.0, share))
    return float(f"{math.exp(math.log(rate0) + share * (math.log(rate1) - math.log(rate0))):.2g}")
