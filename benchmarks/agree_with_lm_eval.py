"""Our model behind lm-eval's interface against lm-eval's own HF backend: the same figures item by item, and the time.

    python benchmarks/agree_with_lm_eval.py --data ../shared/data --json agreement.json

Both sides get the same task objects, shots and items, a model of their own from the same files (fp32, one thread), and
are asked once each, the backend first. Counted is the processor's time of lm-eval's whole evaluation and, apart, of
what the model takes of it; loading is left out. The backend has the batch size that is quickest for each task among
those tried. It multiplies by torch's usual library, ours by whichever is quicker here, which is a part of ours.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from luthier.core.durable import replace_file
from luthier.core.errors import LuthierError
from luthier.suites.benchmarks import find_tasks
from luthier.suites.harness_tasks import ReadyTask, build_tasks, fit_shots
from luthier.suites.judged import Judged, load_judged
from luthier.suites.quiet import quiet_harness

SUBJECTS = ("anatomy", "astronomy", "computer_security", "high_school_mathematics", "us_foreign_policy")
MMLU = ",".join(f"mmlu_{subject}" for subject in SUBJECTS)
BBH = ",".join(f"bbh_cot_fewshot_{name}" for name in ("boolean_expressions", "date_understanding", "navigate"))
SUITES: tuple[tuple[str, int | None], ...] = (
    ("sst2,rte,boolq,wic,hellaswag,piqa", 0),
    (MMLU, 0),
    (MMLU, 5),
    (BBH, 3),
)
"""Tasks, and the shots of each."""
FOR_ENCODER_DECODERS: tuple[tuple[str, int | None], ...] = (("sst2,rte", 0),)
ABSOLUTE, RELATIVE = 1e-4, 1e-6
"""How far log-likelihoods may lie apart: the first, or where they are large (fp32 has 7 digits) the second of them."""
WANTED = 1.5
"""How many times as fast as the backend we want to be, each model in all."""
Sample = Mapping[str, Any]


@dataclass(frozen=True)
class Side:
    """One evaluation: what was logged of each item, and the processor's seconds of all and of the model in it."""

    samples: Sequence[Sample]
    whole: float
    model: float


@dataclass(frozen=True)
class Agreement:
    """A task on a model.

    Attributes:
        model, task, shots: what was asked.
        items, requests: how many there were.
        absolute, relative: the largest difference of a log-likelihood, and as a share of it.
        beyond: log-likelihoods that lie further apart than `ABSOLUTE` and `RELATIVE` of them.
        greedy, choices, texts, scores: items of which a greedy flag, the chosen answer, a text or a score differs.
        batch_size: the backend's quickest.
        theirs, ours: seconds of the whole evaluation.
        theirs_model, ours_model: seconds of what the model takes of it.
    """

    model: str
    task: str
    shots: int
    items: int
    requests: int
    absolute: float
    relative: float
    beyond: int
    greedy: int
    choices: int
    texts: int
    scores: int
    batch_size: int
    theirs: float
    ours: float
    theirs_model: float
    ours_model: float

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not (self.beyond or self.greedy or self.choices or self.texts or self.scores)


def compare(model: str, given: argparse.Namespace) -> Iterator[Agreement]:
    """Every task on a model, one after the other."""
    from lm_eval.models.huggingface import HFLM

    from luthier.models.load import load_model, load_tokenizer
    from luthier.suites.harness_model import HarnessModel

    judged = load_judged(model)
    ours = HarnessModel(judged)
    sizes: dict[int, Any] = {}
    for size in given.batch_sizes:
        sizes[size] = HFLM(pretrained=load_model(judged.files), tokenizer=load_tokenizer(judged.files), batch_size=size)
    for names, shots in SUITES if ours.backend == "causal" else FOR_ENCODER_DECODERS:
        built, _ = build_tasks(find_tasks(names), given.data, lambda _: None)
        for asked, task, from_rows in built:
            writes = task.OUTPUT_TYPE == "generate_until"
            limit = given.written if writes else given.limit
            if writes:
                task.config.generation_kwargs["max_gen_toks"] = given.max_gen_toks
            ready, _ = fit_shots(asked, task, from_rows, ours, shots=shots, limit=limit)
            # All that is written fits into one batch of the largest size, which is the quickest there.
            tried = {max(sizes): sizes[max(sizes)]} if writes else sizes
            yield _compare_task(judged, ready, ours, tried, limit)


def _compare_task(judged: Judged, ready: ReadyTask, ours: Any, theirs: Mapping[int, Any], limit: int) -> Agreement:
    from luthier.models.kernels import Kernels, kernels_for

    kernels = kernels_for(judged.model, "cpu")
    sides = {}
    for size, backend in theirs.items():
        Kernels().use()
        sides[size] = _evaluate(ready, backend, limit)
    kernels.use()
    found = _evaluate(ready, ours, limit)
    best = min(sides, key=lambda size: sides[size].whole)
    expected = sides[best]
    pairs = list(zip(found.samples, expected.samples, strict=True))
    rated = [both for pair in pairs for both in zip(*map(_rated, pair), strict=True)]
    totals = [(one[0], other[0]) for one, other in rated]
    apart = [abs(one - other) for one, other in totals]
    shares = [gap / max(abs(other), 1e-9) for gap, (_, other) in zip(apart, totals, strict=True)]
    return Agreement(
        model=judged.name,
        task=ready.asked.name,
        shots=ready.shots,
        items=len({sample["doc_id"] for sample in found.samples}),
        requests=sum(len(sample["resps"]) for sample in found.samples),
        absolute=_largest(apart),
        relative=_largest(shares),
        beyond=sum(not _as_near_as_wanted(*pair) for pair in totals),
        greedy=sum([flag for _, flag in _rated(one)] != [flag for _, flag in _rated(other)] for one, other in pairs),
        choices=sum(_chosen(one) != _chosen(other) for one, other in pairs),
        texts=sum(_texts(one) != _texts(other) for one, other in pairs),
        scores=sum(any(one[name] != other[name] for name in one["metrics"]) for one, other in pairs),
        batch_size=best,
        theirs=expected.whole,
        ours=found.whole,
        theirs_model=expected.model,
        ours_model=found.model,
    )


def _largest(gaps: Sequence[float]) -> float:
    """Of the gaps; what is no number is not hidden by one that is."""
    return max(gaps, key=lambda gap: math.inf if math.isnan(gap) else gap, default=0.0)


def _as_near_as_wanted(one: float, other: float) -> bool:
    """Whether two log-likelihoods agree; what is no number agrees with nothing."""
    return one == other or abs(one - other) <= max(ABSOLUTE, RELATIVE * abs(other))


def _evaluate(ready: ReadyTask, lm: Any, limit: int) -> Side:
    from lm_eval import evaluate

    name = ready.asked.name
    with _timed(lm) as of_model:
        began = time.process_time()
        logged = evaluate(
            lm=lm,
            task_dict={"tasks": {name: ready.task}, "groups": {}, "group_map": {}},
            limit=limit,
            bootstrap_iters=0,
            log_samples=True,
        )
        whole = time.process_time() - began
    return Side(sorted(logged["samples"][name], key=lambda one: (one["doc_id"], one["filter"])), whole, sum(of_model))


@contextmanager
def _timed(lm: Any) -> Iterator[list[float]]:
    """The seconds of each call of the model within it."""
    seconds: list[float] = []

    def timed(method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                seconds.append(time.process_time() - began)

        return call

    methods = ("loglikelihood", "loglikelihood_rolling", "generate_until")
    for name in methods:
        setattr(lm, name, timed(getattr(lm, name)))
    try:
        yield seconds
    finally:
        for name in methods:
            delattr(lm, name)


def _rated(sample: Sample) -> list[tuple[float, bool]]:
    """Log-likelihoods and greedy flags of an item's choices; none where it wrote."""
    answers = [of_request[0] for of_request in sample["resps"]]
    return [] if isinstance(answers[0], str) else [(float(total), bool(flag)) for total, flag in answers]


def _chosen(sample: Sample) -> int:
    totals = [total for total, _ in _rated(sample)]
    return totals.index(max(totals)) if totals else 0


def _texts(sample: Sample) -> list[str]:
    answers = [of_request[0] for of_request in sample["resps"]]
    return [answer for answer in answers if isinstance(answer, str)]


def _line(one: Agreement) -> str:
    differ = "/".join(str(count) for count in (one.greedy, one.choices, one.texts, one.scores))
    return (
        f"{one.task:<38} {one.shots:>5} {one.items:>5} {one.absolute:>8.1e} {one.relative:>8.1e} {differ:>9} "
        f"{one.batch_size:>3} {one.theirs:>8.2f} {one.ours:>8.2f} {one.theirs / one.ours:>6.2f} "
        f"{one.theirs_model / one.ours_model:>6.2f}"
    )


def _total(model: str, found: Sequence[Agreement]) -> str:
    theirs, ours = sum(one.theirs for one in found), sum(one.ours for one in found)
    of_model = sum(one.theirs_model for one in found) / sum(one.ours_model for one in found)
    agreed = sum(one.agrees for one in found)
    return (
        f"{model}: {agreed} of {len(found)} tasks agree; {theirs:.1f} s against {ours:.1f} s, {theirs / ours:.2f} "
        f"times as fast, the model's part {of_model:.2f} times"
    )


def _speeds(found: Sequence[Agreement]) -> str:
    """Of every model, whether its total is as fast as wanted, in a line."""
    told = []
    for model in dict.fromkeys(one.model for one in found):
        mine = [one for one in found if one.model == model]
        times = sum(one.theirs for one in mine) / sum(one.ours for one in mine)
        told.append(f"{model} {'yes' if times >= WANTED else 'no'} ({times:.2f})")
    return f"at least {WANTED:g} times as fast in all: {', '.join(told)}"


def main(given: list[str] | None = None) -> int:
    """Prints the table; 0 where all agree, however fast, else 1; 2 without the data."""
    os.environ["TQDM_DISABLE"] = "1"  # the backend's own bars, told before tqdm is imported
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder with the tasks' rows")
    parser.add_argument("--models", nargs="+", default=["house/decoder", "house/instruct", "house/seq2seq"])
    parser.add_argument("--limit", type=int, default=100, help="items of each task with choices")
    parser.add_argument("--written", type=int, default=20, help="items of each task whose answers are written")
    parser.add_argument("--max-gen-toks", type=int, default=256, help="tokens of an answer; lm-eval's BBH says 1024")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[8, 32], help="tried for lm-eval's backend")
    parser.add_argument("--json", type=Path, help="write the figures into this file too")
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    print(f"{'task':<38} shots items  abs     relative  differ*  bs   lm-eval     ours  times  model")
    everything: list[Agreement] = []
    try:
        for model in options.models:
            of_model = []
            with quiet_harness():
                for one in compare(model, options):
                    of_model.append(one)
                    print(_line(one), flush=True)
            print(_total(model, of_model), flush=True)
            everything += of_model
    except LuthierError as error:
        print(error, file=sys.stderr)
        return 2
    print("* items of which a greedy flag / the chosen answer / the text / a score differs")
    if options.json:
        replace_file(options.json, json.dumps([asdict(one) for one in everything], indent=1).encode())
    print(_speeds(everything))
    return 0 if all(one.agrees for one in everything) else 1


if __name__ == "__main__":
    sys.exit(main())
