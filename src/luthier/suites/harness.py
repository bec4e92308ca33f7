"""A judged model on benchmarks by lm-eval's own definitions: prompts, targets, metrics and their aggregates.

lm-eval is the reference harness (Gao et al. 2024, "The language model evaluation harness", doi 10.5281/zenodo.12608602;
its numbers are those of most model cards). What is added: data from folders, shots that fit the context, intervals, the
majority baseline, items without a label apart, and a store from which nothing is asked twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import digest
from luthier.core.types import Progress
from luthier.suites.benchmarks import find_tasks
from luthier.suites.evaluation import Evaluation, group_results, read_evaluation, write_evaluation
from luthier.suites.harness_items import json_plain, task_items
from luthier.suites.harness_tasks import ReadyTask, build_tasks, fit_shots
from luthier.suites.judged import Judged
from luthier.suites.quiet import quiet_harness

_DIGESTED = (".json", ".safetensors")


def evaluate_suite(
    judged: Judged,
    suite: str,
    *,
    data: Path | None = None,
    shots: int | None = None,
    limit: int | None = None,
    out: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Ask a model everything in a suite, and score it.

    Args:
        judged: the model.
        suite: names as in `benchmarks.find_tasks`, with commas between them.
        data: a folder with the tasks' rows; None takes them from the hub, as lm-eval does.
        shots: worked examples in each prompt; None for each suite's published number, or else lm-eval's default.
        limit: the first so many items of each task; None for all.
        out: where what was asked and answered is kept, in `<suite>/<model>/`; what is there already is not asked again.
        say: told what is being done.

    Raises:
        LuthierError: no such suite; data that cannot be had or read; `shots` below 0 or `limit` below 1.
    """
    _refuse_numbers(shots, limit)
    from luthier.suites.harness_model import HarnessModel

    with quiet_harness():
        built, notes = build_tasks(find_tasks(suite, say), data, say)
        lm = HarnessModel(judged, listener=lambda progress: say(_words(judged.name, progress)))
        ready = []
        for asked, task, from_rows in built:
            say(f"fitting the shots of {asked.name}")
            one, said = fit_shots(asked, task, from_rows, lm, shots=shots, limit=limit)
            ready.append(one)
            notes += said
        key = _key(judged, suite, ready, limit)
        folder = None if out is None else out / folder_name(suite) / folder_name(judged.name, judged.quantisation)
        if folder is not None and (stored := read_evaluation(folder, key)) is not None:
            return stored
        found = _ask(judged, suite, ready, lm, limit, key, notes)
    if folder is not None:
        write_evaluation(folder, found)
    return found


def folder_name(name: str, *more: str | None) -> str:
    """A name as a folder's: letters, digits, dots and dashes; what is long is cut and ends in a digest."""
    whole = "-".join([name, *(part for part in more if part)])
    plain = "".join(one if one.isalnum() or one in "._" else "-" for one in whole).strip("-.") or "model"
    return plain if len(plain) <= 80 else f"{plain[:60]}-{digest(whole)}"


def _ask(
    judged: Judged,
    suite: str,
    ready: Sequence[ReadyTask],
    lm: Any,
    limit: int | None,
    key: str,
    notes: Sequence[str],
) -> Evaluation:
    from lm_eval import evaluate

    began = time.perf_counter()
    asked = {one.asked.name: one.task for one in ready}
    logged = evaluate(
        lm=lm,
        task_dict={"tasks": asked, "groups": {}, "group_map": {}},
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
    )
    results, items = [], []
    for one in ready:
        result, of_task = task_items(one, logged["samples"][one.asked.name], lm)
        results.append(result)
        items += of_task
    unscored = [
        f"{one.name}: {one.unscored} of {one.items} items are unscored, no label" for one in results if one.unscored
    ]
    return Evaluation(
        model=judged.name,
        suite=suite,
        key=key,
        tasks=tuple(results),
        groups=group_results(results, items),
        notes=(*notes, *unscored),
        seconds=time.perf_counter() - began,
        harness=f"lm-eval {version('lm-eval')}",
        items=tuple(items),
    )


def _key(judged: Judged, suite: str, ready: Sequence[ReadyTask], limit: int | None) -> str:
    """What the figures depend on: the model and what was trained on it, the definitions, the data, shots and limit."""
    tasks = {}
    for one in ready:
        docs = list(one.task.eval_docs)[:limit]
        pool = one.task.sampler.df if one.shots and hasattr(one.task, "sampler") else []
        of_data = digest([json_plain(doc) for doc in (*docs, *pool)])
        tasks[one.asked.name] = [str(one.task.VERSION), one.shots, of_data]
    return digest(
        {
            "model": [judged.files.digest, judged.trained, judged.quantisation, _trained_digest(Path(judged.name))],
            "suite": suite,
            "tasks": tasks,
            "limit": limit,
            "harness": version("lm-eval"),
        }
    )


def _trained_digest(folder: Path) -> str:
    """Of what lies in an adapter's or a run's folder; nothing for a name that is no folder, or a model's, whose files
    have their own digest."""
    if not folder.is_dir() or (folder / "config.json").is_file():
        return ""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _DIGESTED and path.is_file():
            found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _words(model: str, progress: Progress) -> str:
    doing = "answering" if progress.phase == "generate" else "rating"
    return f"{model}: {doing} {progress.step:,} of {progress.total:,}"


def _refuse_numbers(shots: int | None, limit: int | None) -> None:
    if shots is not None and shots < 0:
        raise LuthierError(f"{shots} shots cannot be given", where="--shots", mend="give 0 or more")
    if limit is not None and limit < 1:
        raise LuthierError(f"a limit of {limit} leaves nothing to ask", where="--limit", mend="give 1 or more")
