"""A model that is judged: a plain one, or a base with what a study (or any adapter's folder) has trained on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.core.durable import read_object
from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.store import Store
from luthier.core.types import Listener, ignore
from luthier.models.load import ModelFiles, find_model, load_model, load_tokenizer
from luthier.models.tokens import Renderer
from luthier.run_spec import RunSpec

if TYPE_CHECKING:
    from luthier.methods.method import Method
    from luthier.models.generator import ModelGenerator

Quantisation = Literal["nf4", "int8"]


@dataclass(frozen=True)
class Judged:
    """A language model on its device, ready to answer.

    Attributes:
        name: as the user named it: a model, a run's folder, an adapter's.
        files: of the model, or of the base below what was trained.
        model: it, in evaluation mode, what was trained on it.
        flat: whether sequences may share a row.
        device: where it is.
        trained: the method whose weights are on it; None for a plain model.
        quantisation: in how many bits the frozen matrices are; None for all of them.
        prompting: how the run's arm asks, which only a suite that asks by it uses; None where no run was named.
    """

    name: str
    files: ModelFiles
    model: Any
    flat: bool
    device: str
    trained: str | None = None
    quantisation: Quantisation | None = None
    prompting: str | None = None

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return load_tokenizer(self.files)

    @cached_property
    def renderer(self) -> Renderer:
        """What turns conversations into tokens."""
        return Renderer(self.tokenizer, self.files.context, pairs=self.files.kind == "encoder-decoder")

    def generator(self, listener: Listener = ignore) -> ModelGenerator:
        """The model as prompting programs see it."""
        from luthier.models.generator import ModelGenerator

        return ModelGenerator(self.model, self.renderer, flat=self.flat, run=self.name, listener=listener)


def load_judged(
    name: str,
    *,
    model: str | None = None,
    method: str | None = None,
    quantisation: Quantisation | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = lambda _: None,
) -> Judged:
    """Load what is to be judged.

    Args:
        name: a house model, a folder or a hub id; a run of a study (`<out>/runs/<name>`), of one stage or of several; a
            training (`<out>/train/<key>`); or the folder of an adapter.
        model: the base, where an adapter's folder does not say.
        method: the adapter's method, where its folder does not say.
        quantisation: the frozen matrices in so many bits; what was trained stays beside them in full.
        device: `cpu` or `cuda`.
        say: told what is being done.

    Raises:
        LuthierError: there is none, its base is another one, it cannot be quantised, or it is an encoder, which answers
            nothing but what its head was trained for.
    """
    say(f"loading {name}")
    folder = Path(name).expanduser()
    if (spec := read_object(folder / "spec.json")) is not None:
        run = read(RunSpec, spec, where=str(folder / "spec.json"))
        return replace(_run(name, folder, run, quantisation, device), prompting=run.arm.prompting.name)
    if folder.is_dir() and not (folder / "config.json").is_file():
        return _adapted(name, folder, model, method, quantisation, device)
    files = find_model(name)
    _refuse_encoder(name, files)
    return _ready(name, files, _prepared(load_model(files), quantisation), None, quantisation, device)


def _run(name: str, folder: Path, spec: RunSpec, quantisation: Quantisation | None, device: str) -> Judged:
    """The model of a run, with every stage on it."""
    from luthier.workbench import Workbench

    if not spec.arm.prompting.needs_model:
        raise LuthierError("this run asks no model", where=name, mend="name the run of an arm that has one")
    store = Store(folder.resolve().parent.parent)
    missing = [key for key in spec.train_keys() if not store.step("train", key).done]
    if missing:
        raise LuthierError(
            "this run's training is not finished", where=str(store.step("train", missing[0]).folder), mend="finish it"
        )
    files = find_model(spec.model.name)
    _refuse_encoder(name, files)
    trained = spec.arm.trained[-1].method.name if spec.arm.trained else None
    if quantisation is not None:
        if len(spec.arm.trained) > 1:
            raise LuthierError(
                "several stages cannot be put onto a quantised base",
                where=name,
                mend="merge them (luthier merge) first",
            )
        if not spec.arm.trained:
            return _ready(name, files, _prepared(load_model(files), quantisation), None, quantisation, device)
        weights = store.step("train", spec.train_keys()[-1]).weights
        return _adapted(name, weights, None, None, quantisation, device)
    bench = Workbench(spec, store, device, lambda _: None)
    generator = bench.generator(listener=ignore)
    return Judged(name, files, generator.model, generator.flat, device, trained)


def _adapted(
    name: str, folder: Path, model: str | None, method: str | None, quantisation: Quantisation | None, device: str
) -> Judged:
    """The base of an adapter, with it."""
    from luthier.deploy.trained import base_for, trained_in, weights_of
    from luthier.methods.merging import merge_checked

    weights = weights_of(folder)
    origin = trained_in(weights, method)
    files, base = base_for(origin, model, weights)
    _refuse_encoder(name, files)
    if quantisation is not None and origin.method.belongs_to in ("full", "selective"):
        raise LuthierError(
            f"{origin.method.name} trains the base's own weights: there is nothing frozen to quantise below them",
            where=name,
            mend="write the whole model first (luthier merge), and quantise that",
        )
    adapted = origin.method.load(_prepared(base, quantisation), weights)
    if quantisation is None and origin.method.answers_merged:
        try:
            adapted = merge_checked(origin.method, adapted)
        except LuthierError:  # it would answer otherwise; merging has used the model up
            adapted = origin.method.load(_prepared(base_for(origin, model, weights)[1], None), weights)
    return _ready(name, files, adapted, origin.method, quantisation, device)


def _prepared(base: Any, quantisation: Quantisation | None) -> Any:
    """A plain model as it answers quickest, its matrices in so many bits."""
    from luthier.models.quick_layers import quicken

    quicken(base)
    if quantisation is not None:
        from luthier.models.quantise import quantise

        quantise(base, quantisation)
    return base


def _ready(
    name: str, files: ModelFiles, model: Any, method: Method | None, quantisation: Quantisation | None, device: str
) -> Judged:
    """The finished model on its device, by the kernels that are quickest there."""
    from luthier.models.flat import use_flat_attention
    from luthier.models.kernels import kernels_for

    flat = use_flat_attention(model) and (method is None or method.flat_on(files.kind))
    model = model.to(device).eval()
    model.requires_grad_(False)
    kernels_for(model, device).use()
    return Judged(name, files, model, flat, device, method.name if method else None, quantisation)


def _refuse_encoder(name: str, files: ModelFiles) -> None:
    if files.kind == "encoder":
        raise LuthierError(
            "an encoder answers nothing but what its head was trained for",
            where=name,
            mend="judge it in a study: studies/glue.yaml has the tasks of GLUE with their own metrics",
        )
