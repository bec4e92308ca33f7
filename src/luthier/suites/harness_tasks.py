"""lm-eval's task objects of a suite, on the hub's data or a folder's, with as many shots as fit the model's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.suites.benchmarks import AskedTask
from luthier.suites.folders.read import TaskRows, looked_for, rows_of
from luthier.suites.harness_answers import answer_tokens
from luthier.suites.harness_gold import refuse_unreadable, unlabelled

FEWSHOT_SEED = 1234
"""Of the draw of shots; lm-eval's default (`simple_evaluate`)."""
_SPARE = 8
"""Special tokens that may stand around a text; no prompt has more tokens than bytes and these."""
_LISTED = 8
"""Names in a message."""
_NEAR = 200
"""Characters of a context that may change how what follows is split."""


@dataclass(frozen=True)
class ReadyTask:
    """A task that can be asked.

    Attributes:
        asked: as the suite has it.
        task: lm-eval's object; its number of shots is set.
        wanted_shots: what was asked for, or the default.
        shots: what it has.
        truncated: how many items are longer than the context with no shot at all.
    """

    asked: AskedTask
    task: Any
    wanted_shots: int
    shots: int
    truncated: int = 0


def build_tasks(
    asked: Sequence[AskedTask], data: Path | None, say: Callable[[str], None]
) -> tuple[list[tuple[AskedTask, Any, TaskRows | None]], list[str]]:
    """The task objects, each with the folder's rows that it is on (None: the hub's), and the notes on them.

    Tasks of a group that the folder has nothing for, or that lm-eval cannot load here, are left out and noted.

    Raises:
        LuthierError: nothing of the suite is in the folder, or a task that was named itself is not; a file has what it
            should not; the hub cannot be reached; a task needs pictures, or runs what the model writes.
    """
    built: list[tuple[AskedTask, Any, TaskRows | None]] = []
    missing: list[AskedTask] = []
    notes: list[str] = []
    for one in asked:
        say(f"reading {one.name}")
        rows = None
        if data is not None:
            rows = rows_of(one.name, one.config, data, alone=len(asked) == 1)
            if rows is None:
                missing.append(one)
                continue
        try:
            task = _build(one, rows, data)
        except ImportError as error:
            if one.named:
                raise LuthierError(
                    f"{one.name}: lm-eval's definition cannot be loaded: {error}",
                    where="--suite",
                    mend="install what it needs, or leave it out",
                ) from None
            notes.append(f"{one.name} is left out: lm-eval's definition cannot be loaded ({error})")
            continue
        built.append((one, task, rows))
        notes += rows.notes if rows is not None else ()
    _refuse_missing(asked, missing, data, bool(built))
    return built, [*_left_out(asked, missing), *notes]


def fit_shots(
    asked: AskedTask,
    task: Any,
    rows: TaskRows | None,
    lm: Any,
    *,
    shots: int | None,
    limit: int | None,
    turns: bool = False,
) -> tuple[ReadyTask, list[str]]:
    """Set the most shots, up to what was wanted, with which no item is longer than the context that would not be so
    without any; what is to be said of it comes along.

    A task whose answers may fill the context has them cut to half of it, so that there is room for a prompt.

    Args:
        asked, task, rows: as `build_tasks` gives them.
        lm: lm-eval's model: its tokenizer and its context count.
        shots: what the user wants; None for the suite's default, or else lm-eval's. A task that lm-eval fixes at 0
            stays there, as in lm-eval.
        limit: how many items are asked; None for all.
        turns: whether prompts are written by the model's chat template.

    Raises:
        LuthierError: a row cannot be read by the definition, or its label is none of its choices.
    """
    wanted, fixed = _wanted(asked, task, shots)
    if rows is not None:
        refuse_unreadable(asked.name, task, rows, shots=wanted > 0, limit=limit)
    notes = _shorten_answers(asked.name, task, lm)
    if fixed and shots:
        notes.append(f"{asked.name}: no shots, which lm-eval's definition fixes")
    start = min(wanted, _available(task)) if wanted and (rows is None or rows.shots_from) else 0
    if start < wanted:
        why = f"there are no more than {start} rows" if start else "there are no labelled training rows"
        notes.append(f"{asked.name}: {start} of {wanted} shots, {why} to draw them from")
    too_long = _too_long(task, lm, start, limit, turns)
    chosen = start
    if too_long and start:
        anyway = _too_long(task, lm, 0, limit, turns)
        while too_long - anyway:
            chosen -= 1
            too_long = _too_long(task, lm, chosen, limit, turns) if chosen else anyway
        if chosen < start:
            notes.append(f"{asked.name}: {chosen} of {start} shots, the context is {lm.max_length:,} tokens")
    if too_long:
        notes.append(f"{asked.name}: {len(too_long)} items are longer than the context and lose their beginning")
    _set_shots(task, chosen)
    return ReadyTask(asked, task, wanted, chosen, len(too_long)), notes


def _build(asked: AskedTask, rows: TaskRows | None, data: Path | None) -> Any:
    from lm_eval.tasks._factory import TaskFactory  # what `TaskManager` builds with, which takes no data of ours

    overrides = dict(asked.overrides)
    if rows is not None:
        splits = _datasets(asked.name, rows, str(data))
        overrides |= {**rows.overrides, "custom_dataset": lambda **_: splits}
    try:
        task = TaskFactory().build(asked.entry, overrides=overrides, registry={})
    except (ImportError, LuthierError):
        raise
    except Exception as error:  # definitions are programs, and hubs fail in many ways
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        if data is None:
            raise LuthierError(
                f"the data of {asked.name} cannot be had from the hub: {said}",
                where=str(asked.config.get("dataset_path")),
                mend="--data FOLDER with its files, or the same command once with a network",
            ) from None
        raise LuthierError(
            f"{asked.name}: lm-eval's definition cannot read these rows: {said}",
            where=str(data),
            mend="give every row the columns of the benchmark's data set on the hub",
        ) from None
    if getattr(task, "MULTIMODAL", False) or getattr(task, "UNSAFE_CODE", False):
        why = "needs pictures or sound" if getattr(task, "MULTIMODAL", False) else "runs what the model writes"
        raise LuthierError(f"{asked.name} {why}, which Luthier does not", where="--suite", mend="leave it out")
    return task


def _datasets(name: str, rows: TaskRows, where: str) -> dict[str, Any]:
    import datasets
    import pyarrow

    try:
        return {split: datasets.Dataset.from_list([dict(row) for row in of]) for split, of in rows.splits.items()}
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, TypeError) as error:
        raise LuthierError(
            f"{name}: a column has values of several kinds: {error}", where=where, mend="write them all alike"
        ) from None


def _refuse_missing(
    asked: Sequence[AskedTask], missing: Sequence[AskedTask], data: Path | None, any_built: bool
) -> None:
    named = [one for one in missing if one.named]
    if not named and (any_built or not asked):
        return
    if not named and len(missing) < len(asked):
        raise LuthierError(
            "lm-eval's definitions of the tasks that there are rows for cannot be loaded here",
            where="--suite",
            mend="name one of them by itself to see why",
        )
    lacking = named or missing
    sought = [looked_for(one.name, one.config) for one in lacking]
    raise LuthierError(
        f"there is nothing for {', '.join(one.name for one in lacking[:_LISTED])}"
        f"{', ...' if len(lacking) > _LISTED else ''} in the folder",
        where=str(data),
        mend=f"looked for {', '.join(sought[:_LISTED])}{', ...' if len(sought) > _LISTED else ''}, and the like",
    )


def _left_out(asked: Sequence[AskedTask], missing: Sequence[AskedTask]) -> list[str]:
    """A note for each suite of which the folder has only a part."""
    notes = []
    for suite in dict.fromkeys(one.groups[0] for one in missing if one.groups):
        of_suite = [one for one in asked if one.groups and one.groups[0] == suite]
        without = [one.name for one in missing if one in of_suite]
        listed = ", ".join(without[:_LISTED]) + (
            f" and {len(without) - _LISTED} more" if len(without) > _LISTED else ""
        )
        there = len(of_suite) - len(without)
        notes.append(f"{suite}: {there} of {len(of_suite)} tasks are in the folder; left out: {listed}")
    return notes


def _wanted(asked: AskedTask, task: Any, shots: int | None) -> tuple[int, bool]:
    """How many shots are wanted, and whether the definition fixes them at none."""
    own = task.get_config("num_fewshot")
    if own == 0:
        return 0, True
    chosen = next(value for value in (shots, asked.shots, own, 0) if value is not None)
    return chosen, False


def _available(task: Any) -> int:
    """How many shots the task's sampler can draw; rows without a label are taken from it."""
    sampler = getattr(task, "sampler", None)
    pool = list(getattr(sampler, "df", None) or [])
    labelled = [doc for doc in pool if not unlabelled(task, doc)]
    if sampler is not None and len(labelled) < len(pool):
        sampler.replace_df(labelled)
    # lm-eval draws one more and drops the item itself where both come from one split.
    of_asked = task.fewshot_cfg.split == task.config.test_split and task.fewshot_cfg.samples is None
    return max(0, len(labelled) - of_asked)


def _set_shots(task: Any, shots: int) -> None:
    task.set_config(key="num_fewshot", value=shots)
    task.set_fewshot_seed(seed=FEWSHOT_SEED)


def _shorten_answers(name: str, task: Any, lm: Any) -> list[str]:
    """Cut what a task asks for to half the context where it is all of it or more; said in a note."""
    if task.OUTPUT_TYPE != "generate_until" or getattr(lm, "backend", "causal") == "seq2seq":
        return []
    settings = task.config.generation_kwargs or {}
    wanted, half = answer_tokens(settings), lm.max_length // 2
    if wanted < lm.max_length:
        return []
    task.set_config(key="generation_kwargs", value={**settings, "max_gen_toks": half})
    return [f"{name}: answers have at most {half:,} of {wanted:,} tokens, the context is {lm.max_length:,}"]


def _too_long(task: Any, lm: Any, shots: int, limit: int | None, turns: bool) -> set[int]:
    """The items whose prompt and answer are longer than the context with so many shots."""
    _set_shots(task, shots)
    written = {"apply_chat_template": True, "chat_template": lm.apply_chat_template} if turns else {}
    task.build_all_requests(limit=limit, fewshot_as_multiturn=turns, **written)
    lengths: dict[str, int] = {}
    found = set()
    for request in task.instances:
        if request.request_type == "loglikelihood_rolling":  # read in windows
            continue
        context, answer = request.arguments[:2]
        # All but the last token of a choice are read; an answer is written to its end.
        text, room = (answer, -1) if isinstance(answer, str) else ("", answer_tokens(answer))
        if getattr(lm, "backend", "causal") == "seq2seq":
            text, room = "", 0
        if len(context.encode()) + len(text.encode()) + room + _SPARE <= lm.max_length:
            continue
        if context not in lengths:
            lengths[context] = len(lm.tok_encode(context))
        length = lengths[context] + (count_tokens(lm, context, text) if text else 0) + room
        if length > lm.max_length:
            found.add(request.doc_id)
    return found


def count_tokens(lm: Any, context: str, continuation: str) -> int:
    """The tokens of a continuation behind its context, as lm-eval splits them; what stands far before is cut off."""
    ids: list[int] = lm._encode_pair(context[-_NEAR:] or " ", continuation)[1]
    return len(ids)
