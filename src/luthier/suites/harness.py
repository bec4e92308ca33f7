"""A judged model on benchmarks by lm-eval's own definitions: prompts, targets, metrics and their aggregates.

lm-eval is the reference harness (Gao et al. 2024, "The language model evaluation harness", doi 10.5281/zenodo.12608602;
its numbers are those of most model cards). What is added: data from folders, shots that fit the context, intervals, the
majority baseline, items without a label apart, and a store from which nothing is asked twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import digest
from luthier.core.types import Progress
from luthier.prompting.zero_shot import ZeroShot
from luthier.suites.benchmarks import AskedTask, find_tasks
from luthier.suites.evaluation import Evaluation, TaskResult, group_results, read_evaluation, write_evaluation
from luthier.suites.folders.read import TaskRows
from luthier.suites.harness_items import json_plain, task_items
from luthier.suites.harness_tasks import ReadyTask, build_tasks, fit_shots
from luthier.suites.judged import Judged
from luthier.suites.parts import Part, drop_parts, read_part, write_part
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
    chat_template: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Ask a model everything in a suite, and score it.

    Args:
        judged: the model.
        suite: names as in `benchmarks.find_tasks`, with commas between them.
        data: a folder with the tasks' rows; None takes them from the hub, as lm-eval does.
        shots: worked examples in each prompt; None for each suite's published number, or else lm-eval's default.
        limit: the first so many items of each task; None for all.
        out: where what was asked and answered is kept, in `<suite>/<model>-<key>/`, the key that of what the figures
            depend on; what is there already is not asked again, task by task.
        chat_template: write prompts by the model's chat template, each shot a turn of its own, as lm-eval's
            `--apply_chat_template` does; without it (lm-eval's default) they are plain text.
        say: told what is being done.

    Raises:
        LuthierError: no such suite; data that cannot be had or read; `shots` below 0 or `limit` below 1; a chat
            template that is not there; a run that differs from its base by its prompting alone, which benchmarks do not
            use; nothing of the suite can be asked.
    """
    refuse_numbers(shots, limit)
    prompting = [*_about_prompting(judged), *_about_template(judged, chat_template)]
    from luthier.suites.harness_model import HarnessModel

    with quiet_harness():
        built, of_data = build_tasks(find_tasks(suite, say), data, say)
        notes = [*prompting, *of_data]
        lm = HarnessModel(judged, listener=lambda progress: say(_words(judged.name, progress)))
        ready = []
        for asked, task, rows in built:
            say(f"fitting the shots of {asked.name}")
            one, said = fit_shots(asked, task, rows, lm, shots=shots, limit=limit, turns=chat_template)
            ready.append(one)
            notes += said
        key = _key(judged, suite, ready, limit, chat_template)
        mine = f"{folder_name(judged.name, judged.quantisation)}-{key[:8]}"
        folder = None if out is None else out / folder_name(suite) / mine
        if folder is not None and (stored := read_evaluation(folder, key)) is not None:
            return stored
        parts, left_out = _ask(ready, lm, limit, chat_template, folder, key)
    found = replace(
        _whole(judged, suite, key, parts, [*notes, *left_out]),
        files=_read_from(built),
        limit=limit,
        chat_template=chat_template,
    )
    if folder is not None:
        write_evaluation(folder, found)
        drop_parts(folder)
    return found


def _whole(judged: Judged, suite: str, key: str, parts: Sequence[Part], notes: Sequence[str]) -> Evaluation:
    results = [part.result for part in parts]
    items = tuple(item for part in parts for item in part.items)
    return Evaluation(
        model=judged.name,
        suite=suite,
        key=key,
        tasks=tuple(results),
        groups=group_results(results, items),
        notes=(*notes, *(note for one in results for note in _about_unscored(one))),
        seconds=sum(part.seconds for part in parts),
        harness=f"lm-eval {version('lm-eval')}",
        items=items,
        quantisation=judged.quantisation,
    )


def folder_name(name: str, *more: str | None) -> str:
    """A name as a folder's, another one for every other name: letters, digits, dots, underscores and dashes.

    Where that changes it, or it is longer than 80, it is cut to 60 and ends in a digest of what it was.
    """
    whole = ",".join([name, *(part for part in more if part)])
    plain = "".join(one if one.isalnum() or one in "._-" else "-" for one in whole).strip("-.")
    return plain if plain == whole and len(plain) <= 80 else "-".join(filter(None, [plain[:60], digest(whole)[:8]]))


def _ask(
    ready: Sequence[ReadyTask], lm: Any, limit: int | None, chat_template: bool, folder: Path | None, key: str
) -> tuple[list[Part], list[str]]:
    """Task by task, each kept as soon as it is done; one that the model cannot be asked is left out, with a note."""
    parts: list[Part] = []
    refused: dict[str, LuthierError] = {}
    for one in ready:
        name = one.asked.name
        if folder is not None and (kept := read_part(folder, key, name)) is not None:
            parts.append(kept)
            continue
        began = time.perf_counter()
        try:
            samples = _samples(one, lm, limit, chat_template)
        except LuthierError as error:
            refused[name] = error
            continue
        result, items = task_items(one, samples, lm)
        parts.append(Part(result, tuple(items), time.perf_counter() - began))
        if folder is not None:
            write_part(folder, key, parts[-1])
    if not parts:
        raise next(iter(refused.values()))
    return parts, [f"{name} is left out: {error.what}" for name, error in refused.items()]


def _samples(one: ReadyTask, lm: Any, limit: int | None, chat_template: bool) -> Sequence[Mapping[str, Any]]:
    from lm_eval import evaluate

    logged = evaluate(
        lm=lm,
        task_dict={"tasks": {one.asked.name: one.task}, "groups": {}, "group_map": {}},
        limit=limit,
        bootstrap_iters=0,
        log_samples=True,
        apply_chat_template=chat_template,
        fewshot_as_multiturn=chat_template,
    )
    samples: Sequence[Mapping[str, Any]] = logged["samples"][one.asked.name]
    return samples


def _about_unscored(one: TaskResult) -> list[str]:
    """A note for each reason why items have no score."""
    reasons = {"no label": one.unscored - one.numberless, "the model gave no number (NaN)": one.numberless}
    return [f"{one.name}: {n} of {one.items} items are unscored, {why}" for why, n in reasons.items() if n]


def _about_prompting(judged: Judged) -> list[str]:
    """What is to be said of a run that its study asks otherwise than a benchmark does."""
    if judged.prompting in (None, ZeroShot.name):
        return []
    if judged.trained is None:
        raise LuthierError(
            f"this run trains nothing: it differs from its base by its prompting alone ({judged.prompting}), and a "
            "benchmark has its own",
            where=judged.name,
            mend="name the base, or ask by the run's prompting with --suite helm",
        )
    return [
        f"{judged.name}: its study asks it by {judged.prompting}; here it is asked as the benchmark's definition says"
    ]


def _about_template(judged: Judged, chat_template: bool) -> list[str]:
    """What is to be said of a model that has a chat template and is not asked by it."""
    has_one = bool(getattr(judged.tokenizer, "chat_template", None))
    if chat_template and not has_one:
        raise LuthierError("the model has no chat template", where=judged.name, mend="leave out --chat-template")
    if chat_template or not has_one:
        return []
    return [f"{judged.name}: it has a chat template, and is asked in plain text; --chat-template asks by the template"]


def _read_from(built: Sequence[tuple[AskedTask, Any, TaskRows | None]]) -> tuple[str, ...]:
    """The files of all tasks; of one on the hub's data the name of its data set."""
    files = [
        file
        for asked, _, rows in built
        for file in ([f"{asked.config.get('dataset_path')} of the hub"] if rows is None else rows.files)
    ]
    return tuple(dict.fromkeys(files))


def _key(judged: Judged, suite: str, ready: Sequence[ReadyTask], limit: int | None, chat_template: bool) -> str:
    """What the figures depend on: the model and what was trained on it, the definitions, the data, shots and limit, and
    how prompts are written."""
    tasks = {}
    for one in ready:
        docs = list(one.task.eval_docs)[:limit]
        pool = one.task.sampler.df if one.shots and hasattr(one.task, "sampler") else []
        of_data = digest([json_plain(doc) for doc in (*docs, *pool)])
        tasks[one.asked.name] = [str(one.task.VERSION), one.shots, of_data]
    trained = _trained_digest(Path(judged.name).expanduser())
    return digest(
        {
            "model": [judged.files.digest, judged.trained, judged.quantisation, trained],
            "suite": suite,
            "tasks": tasks,
            "limit": limit,
            "chat_template": chat_template,
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
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            found.update(path.relative_to(folder).as_posix().encode() + b"\0" + content)
    return found.hexdigest()[:16]


def _words(model: str, progress: Progress) -> str:
    doing = "answering" if progress.phase == "generate" else "rating"
    return f"{model}: {doing} {progress.step:,} of {progress.total:,}"


def refuse_numbers(shots: int | None, limit: int | None) -> None:
    """Refuse shots and limits that mean nothing.

    Raises:
        LuthierError: `shots` is below 0, or `limit` below 1.
    """
    if shots is not None and shots < 0:
        raise LuthierError(f"{shots} shots cannot be given", where="--shots", mend="give 0 or more")
    if limit is not None and limit < 1:
        raise LuthierError(f"a limit of {limit} leaves nothing to ask", where="--limit", mend="give 1 or more")
