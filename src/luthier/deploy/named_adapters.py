"""Several adapters on one base, each under a name, and each request answered by the one that it asks for.

    named = NamedAdapters(model)
    named.add("law", folder)                                        # rank 8
    named.add("medicine", other_folder)                             # rank 32
    named.generate(renderer, requests, sampling, ["law", None, "medicine"])      # None: the base

Where the method switches row by row, all requests share their batches. Where it does not (soft prompts, encoders' own
heads), they are answered one adapter after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from weakref import finalize

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.core.types import ChoicePrediction, TextPrediction
from luthier.deploy.trained import method_of
from luthier.methods.method import Method
from luthier.models.generator import ModelGenerator, Request
from luthier.models.row_adapters import BASE, answered_by, mixes_rows
from luthier.models.sampling import Sampling
from luthier.models.tokens import Renderer

Answer = TypeVar("Answer")


class NamedAdapters:
    """Adapters of one method on one base; their settings (ranks, layers) may differ.

    Args:
        model: the base, in evaluation mode, on its device; it is used up, and answers as `model` from now on, for as
            long as this object is kept.

    Attributes:
        model: the base with all adapters on it; another object once the first was added.
        active: the name of the one that answers where none is asked for; None for the base.
    """

    def __init__(self, model: Any):
        self.model = model
        self.active: str | None = None
        self._loaded: dict[str, tuple[Method, str]] = {}  # with the name within the model
        self._numbers = count()
        self._off = ExitStack()  # holds the adapters disabled while the base answers
        finalize(self, self._off.close)  # before the interpreter takes away what closing it needs

    @property
    def names(self) -> tuple[str, ...]:
        """In the order in which they were added."""
        return tuple(self._loaded)

    @property
    def by_row(self) -> bool:
        """Whether one batch can hold rows of several adapters."""
        if hasattr(self.model, "peft_config"):
            return mixes_rows(self.model)
        return all(method.switching == "row" for method, _ in self._loaded.values())

    def add(self, name: str, folder: Path | str, method: Method | None = None) -> None:
        """Load a saved adapter; which of them is active does not change.

        Args:
            name: what it is called from now on.
            folder: what the method's `save` wrote.
            method: whose it is; read from the folder where it is not given.

        Raises:
            LuthierError: the name is taken, it is of another method than those that are there, it cannot be switched
                off again, or it does not fit the base. The adapters that are there stay as they were.
        """
        folder = Path(folder)
        method = method or method_of(folder)
        if name in self._loaded:
            raise LuthierError(
                f"an adapter is called {name} already", where=str(folder), mend="take another name, or remove that one"
            )
        for other, (present, _) in self._loaded.items():
            if type(present) is not type(method):
                raise LuthierError(
                    f"{method.name} cannot share a base with {other}, which is {present.name}",
                    where=str(folder),
                    mend="put adapters of different methods on copies of the base",
                )
        if method.switching == "never":
            raise LuthierError(
                f"what {method.name} trained takes the place of the base's own weights, and cannot be switched off",
                where=str(folder),
                mend="load it as a model by itself",
            )
        # Names of our own within the model: peft looks for names as parts of others, and takes no dots.
        inner = f"adapter{next(self._numbers):06d}"
        self._off.close()
        try:
            self.model = method.load(self.model, folder, inner)
            self._loaded[name] = (method, inner)
        finally:
            self.use(self.active)

    def use(self, name: str | None) -> None:
        """Answer with that adapter where none is asked for; None for the base.

        Raises:
            LuthierError: no adapter is called so.
        """
        loaded = None if name is None else self._named(name)
        self._off.close()
        self.active = name
        if loaded is not None:
            loaded[0].switch(self.model, loaded[1])
        elif self._loaded:
            method, _ = next(iter(self._loaded.values()))
            self._off.enter_context(method.disabled(self.model))

    def remove(self, name: str) -> None:
        """Take an adapter off; the base answers where it was the active one.

        Raises:
            LuthierError: no adapter is called so.
        """
        method, inner = self._named(name)
        self._off.close()
        self.model = method.remove(self.model, inner)
        del self._loaded[name]
        self.use(None if self.active == name else self.active)

    @contextmanager
    def rows(self, names: Sequence[str | None]) -> Iterator[list[str]]:
        """Within it, each row of a batch is answered by the adapter of its name, or by the base.

        Gives the list that `row_adapters.answered_by` holds: where rows leave the batch, drop theirs from it.

        Raises:
            LuthierError: no adapter is called so, or a batch cannot be mixed (`by_row`).
        """
        inner = self._inner(names)
        if not self.by_row:
            raise LuthierError(
                "these adapters cannot be mixed in one batch",
                where=", ".join(self.names),
                mend="`use` one after the other, or ask by `generate` and `likelihoods`, which do so",
            )
        with self._enabled(), answered_by(self.model, inner):
            yield inner

    def generate(
        self, renderer: Renderer, requests: Sequence[Request], sampling: Sampling, names: Sequence[str | None]
    ) -> list[TextPrediction]:
        """An answer to each request, by the adapter of its name.

        Raises:
            LuthierError: no adapter is called so, or a prompt leaves no room for an answer.
        """

        def ask(places: Sequence[int], adapters: list[str] | None) -> list[TextPrediction]:
            generator = ModelGenerator(self.model, renderer, flat=False)
            return generator.generate([requests[place] for place in places], sampling, adapters=adapters)

        return self._answers(names, ask)

    def likelihoods(
        self,
        renderer: Renderer,
        requests: Sequence[Request],
        choices: Sequence[tuple[str, ...]],
        names: Sequence[str | None],
    ) -> list[ChoicePrediction]:
        """The log-likelihood of each request's choices, by the adapter of its name.

        Raises:
            LuthierError: no adapter is called so, or a prompt with its answer is longer than the context.
        """

        def ask(places: Sequence[int], adapters: list[str] | None) -> list[ChoicePrediction]:
            generator = ModelGenerator(self.model, renderer, flat=False)
            asked, of_each = [requests[place] for place in places], [choices[place] for place in places]
            return generator.likelihoods(asked, of_each, adapters=adapters)

        return self._answers(names, ask)

    def _answers(
        self, names: Sequence[str | None], ask: Callable[[Sequence[int], list[str] | None], list[Answer]]
    ) -> list[Answer]:
        """What `ask` gives for all places: at once with the adapter of each, or for one adapter after the other."""
        inner = self._inner(names)
        if self.by_row:
            with self._enabled():
                return ask(range(len(names)), inner if self._loaded else None)
        before, found = self.active, dict[int, Answer]()
        try:
            for name in dict.fromkeys(names):
                self.use(name)
                places = [place for place, of_place in enumerate(names) if of_place == name]
                found.update(zip(places, ask(places, None), strict=True))
        finally:
            self.use(before)
        return [found[place] for place in range(len(names))]

    @contextmanager
    def _enabled(self) -> Iterator[None]:
        """Within it no adapter is held disabled: rows of the base are told by their name."""
        before = self.active
        if before is None and self._loaded:
            self.use(self.names[0])
        try:
            yield
        finally:
            self.use(before)

    def _inner(self, names: Sequence[str | None]) -> list[str]:
        return [BASE if name is None else self._named(name)[1] for name in names]

    def _named(self, name: str) -> tuple[Method, str]:
        if name not in self._loaded:
            there = f"there are {', '.join(self.names)}" if self._loaded else "none is loaded"
            raise LuthierError(f"{name}: no such adapter{suggest(name, self.names)}", where="adapters", mend=there)
        return self._loaded[name]
