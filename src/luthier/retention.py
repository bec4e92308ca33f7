"""What a training kept of its base: texts and tasks, measured on the untouched base and on the trained model as served.

    base samples      bits per byte of texts that the untouched base itself wrote (temperature 1): what it knew best
    generated prose   bits per byte of texts that our own code writes: the same for every model
    retained tasks    what the study names under `retain`, asked as they are written, in their primary measure

An encoder-decoder writes nothing from nothing: it has no samples, and of each text of generated prose it reads the
first half, and the bits are those of the second.

"As served": with the adapter or the soft prompt in place. A text's bits are those of its tokens after the first,
without an end of sequence: a sample is cut where its length runs out, and a model that has learnt to stop would
otherwise seem to have remembered. Measuring on the base's own samples: Robins 1995, "Catastrophic forgetting, rehearsal
and pseudorehearsal", Connection Science 7; the bits are an estimate of the cross-entropy H(base, tuned), so that their
growth is one of the divergence KL(base || tuned). That divergence itself, over the whole vocabulary at every position
of the same texts, is `drift`, together with how far the weights have moved; and `prose_probe` follows the bits of a few
texts while a training is at work.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from luthier.core.store import Step, Store
from luthier.core.types import Example, Listener, Message, Prediction, Progress, TextPrediction
from luthier.evaluate import score
from luthier.metrics.bits_per_byte import BitsPerByte
from luthier.models.divergence import divergences
from luthier.models.generator import ModelGenerator
from luthier.models.kinds import Kind
from luthier.models.weight_distance import weight_distances
from luthier.outcome import out_of_memory
from luthier.prompting.zero_shot import ZeroShot
from luthier.run_spec import COMPARED, DOCUMENTS, PROBED, SAMPLES, RunSpec
from luthier.study_file import BASE_SAMPLES, PROSE, TaskSpec
from luthier.tasks.generated.prose import documents
from luthier.workbench import Workbench

Rows = Iterator[dict[str, Any]]
_NO_ROOM = "drift not measured: memory ran out with the base and the trained model side by side"


def untouched(spec: RunSpec, bench: Workbench, store: Store) -> Workbench:
    """The base of a run, loaded where something is asked of it, and once for all that is."""
    return Workbench(spec.untouched(), store, bench.device, _heard(spec, bench))


def _heard(spec: RunSpec, bench: Workbench) -> Listener:
    """Whatever is measured here is one phase of the run."""
    return lambda event: bench.listener(replace(event, run=spec.folder, phase="retention"))


def retained_rows(
    spec: RunSpec, base: Workbench, bench: Workbench, store: Store, read: Callable[[TaskSpec], Sequence[Example]]
) -> Rows:
    """A row (task, example_id, before, after) for every text and every retained example.

    Args:
        spec: a run that trains, its trainings done.
        base: as `untouched` gives it.
        bench: with its model.
        store: where the base's measurements are shared between runs.
        read: gives the examples of a retained task.
    """
    if not spec.arm.trained:
        return
    listen = _heard(spec, bench)
    both = (before := _Model(base, store, listen), _Model(bench, store, listen))
    if spec.documents:
        for name, examples in _texts(before).items():
            answers = [model.on_documents(examples) for model in both]
            yield from _paired(name, "bits_per_byte", [score([BitsPerByte()], given, examples)[0] for given in answers])
    for task in spec.retain:
        asked = read(task)
        answers = [model.on_task(task, asked) for model in both]
        yield from _paired(task.task_name, task.primary, [score(task.judges, given, asked)[0] for given in answers])


def drift(spec: RunSpec, base: Workbench, bench: Workbench, store: Store) -> dict[str, Any] | None:
    """How far a run's trained model has moved from its base; None where forgetting is not measured.

    The base and the trained model are on the device together. Both are used up: the base makes room, and what can be
    merged is merged, to see where its update leads. Where memory runs out there is a warning in place of what
    is not measured, and nothing is shared.

    Args:
        spec: a run that trains, its trainings done.
        base: as `untouched` gives it.
        bench: with its model; asked again, it loads it anew.
        store: where it is shared between runs of the same training.

    Returns:
        `kl`: text -> example_id -> KL(base || tuned), nats per token; `distance`: of `weight_distances`; `warnings`.
    """
    if not spec.documents:
        return None

    listen = _heard(spec, bench)
    texts = {name: examples[:COMPARED] for name, examples in _texts(_Model(base, store, listen)).items()}
    step = store.step("drift", spec.drift_key([_whole(example) for several in texts.values() for example in several]))
    with step.claimed():
        if not step.done:
            started = time.perf_counter()
            kl: dict[str, dict[str, float]] = {}
            try:
                ours, theirs = base.generator(listen), bench.generator(listen)
                with bench.autocast():
                    kl = {name: _divergences(ours, theirs, examples, listen) for name, examples in texts.items()}
                del theirs  # it holds the model that is merged next
                before = ours.model.to("cpu")
                after = bench.merged()
                distance = None if after is None else weight_distances(before, after)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                return {"kl": kl, "distance": None, "warnings": [_NO_ROOM]}
            step.finish({"kl": kl, "distance": distance, "seconds": time.perf_counter() - started})
        record = step.record()
    return {**{key: record[key] for key in ("kl", "distance")}, "warnings": []}


def _divergences(
    base: ModelGenerator, tuned: ModelGenerator, examples: Sequence[Example], listen: Listener
) -> dict[str, float]:
    names, texts = [example.id for example in examples], [example.reference for example in examples]
    found = divergences(
        base.model,
        tuned.model,
        base.as_documents(names, texts, [example.messages[0].content for example in examples]),
        flat=base.flat and tuned.flat,
        pad_id=base.renderer.pad_id,
        on_progress=lambda done, total: listen(Progress("", "retention", done, total)),
    )
    return dict(zip(names, found, strict=True))


def prose_probe(bench: Workbench) -> Callable[[], dict[str, float]] | None:
    """What a training measures beside its validation loss: the bits per byte of a few texts of generated prose, by the
    model as it is then; nothing where it gives one of them no finite likelihood. None where forgetting is not measured.

    It draws no random number and leaves the model as it was, so that a training comes to the same weights with it.
    """
    spec = bench.spec
    if not spec.probed:
        return None
    examples = [_document(PROSE, place, text, spec.model.pairs) for place, text in enumerate(documents(PROBED))]
    names, texts = [example.id for example in examples], [example.reference for example in examples]
    before = [example.messages[0].content for example in examples]

    def measure() -> dict[str, float]:
        generator = ModelGenerator(bench.adapted, bench.renderer, flat=bench.flat)
        with bench.autocast():
            given = generator.documents(names, texts, before)
        scored = score([BitsPerByte()], given, examples)[0]
        values = [found.values["bits_per_byte"] for found in scored if "bits_per_byte" in found.values]
        # A mean over some of the texts would be another measure than the base's over all of them.
        return {"prose_bits_per_byte": sum(values) / len(values)} if len(values) == len(scored) else {}

    return measure


def _texts(base: _Model) -> dict[str, list[Example]]:
    """The texts that are measured, by what they are."""
    pairs = base.bench.spec.model.pairs
    samples = {} if pairs else {BASE_SAMPLES: base.samples()}
    return {
        name: [_document(name, place, text, pairs) for place, text in enumerate(several)]
        for name, several in {**samples, PROSE: documents(DOCUMENTS)}.items()
    }


@dataclass
class _Model:
    """A finished model, whose measurements are kept in the store."""

    bench: Workbench
    store: Store
    listener: Listener

    def samples(self) -> list[str]:
        """Texts that it writes from nothing, each with its own random stream; those that are blank left out."""
        step = self.store.step("sample", self.bench.spec.sample_key())
        names = [f"sample {place}" for place in range(DOCUMENTS)]

        def make() -> list[Prediction]:
            texts = self._generator().samples(names, SAMPLES)
            return [TextPrediction(name, text) for name, text in zip(names, texts, strict=True)]

        written = self._kept(step, make)
        return [one.text for one in written if isinstance(one, TextPrediction) and one.text.strip()]

    def on_documents(self, examples: Sequence[Example]) -> list[Prediction]:
        """The likelihood of each text."""
        names, texts = [example.id for example in examples], [example.reference for example in examples]
        before = [example.messages[0].content for example in examples]
        whole = [_whole(example) for example in examples]
        step = self.store.step("predict", self.bench.spec.documents_key(whole))
        return self._kept(step, lambda: list(self._generator().documents(names, texts, before)))

    def on_task(self, task: TaskSpec, asked: Sequence[Example]) -> list[Prediction]:
        """Its answers to a retained task."""
        step = self.store.step("predict", self.bench.spec.retained_key(task))
        program = ZeroShot().program((), 0)
        kinds = [task.kind_for(metric) for metric in task.judges]
        return self._kept(step, lambda: program.predict(asked, self._generator(), task.generation, kinds))

    def _generator(self) -> ModelGenerator:
        return self.bench.generator(self.listener)

    def _kept(self, step: Step, make: Callable[[], list[Prediction]]) -> list[Prediction]:
        """What the step holds; made now where it is not done."""
        with step.claimed():
            if not step.done:
                started = time.perf_counter()
                with self.bench.autocast():
                    step.write_predictions(make())
                step.finish({"seconds": time.perf_counter() - started})
        return step.predictions()


def texts_measured(kinds: Collection[Kind]) -> list[tuple[str, str]]:
    """The texts that forgetting is measured on, with what they are, for a study of models of these kinds."""
    samples, prose = "text sampled from the untouched base", "prose that our own code writes"
    if "encoder-decoder" not in kinds:
        return [(BASE_SAMPLES, samples), (PROSE, prose)]
    none = "an encoder-decoder writes nothing from nothing, so no text is sampled from one"
    second = "its second half, given the first"
    if "decoder" not in kinds:
        return [(PROSE, f"{prose}: {second} ({none})")]
    return [(BASE_SAMPLES, f"{samples} ({none})"), (PROSE, f"{prose} (to an encoder-decoder: {second})")]


def halves(text: str) -> tuple[str, str]:
    """A text cut in two at the white space nearest to its middle."""
    places = [match.start() for match in re.finditer(r"\s+", text)]
    cut = min(places, key=lambda place: abs(2 * place - len(text)), default=0)
    return text[:cut], text[cut:].lstrip()


def _document(name: str, place: int, text: str, pairs: bool) -> Example:
    before, scored = halves(text) if pairs else ("", text)
    return Example(id=f"{name} {place}", messages=(Message("user", before),), references=(scored,))


def _whole(document: Example) -> str:
    """The text with what is read before it."""
    return document.messages[0].content + document.reference


def _paired(task: str, measure: str, scored: Sequence[Any]) -> Rows:
    """A row an example that was scored both before and after."""
    for before, after in zip(*scored, strict=True):
        if measure in before.values and measure in after.values:
            yield {
                "task": task,
                "example_id": before.example_id,
                "before": before.values[measure],
                "after": after.values[measure],
            }
