"""The study file as text: every choice with a comment that says why, and what else could be chosen."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from luthier.init.files import Data
from luthier.init.judging import Judging
from luthier.init.roles import Roles
from luthier.init.sizes import EPOCHS, Sizes
from luthier.init.wording import Wording

_FINAL = "####"


@dataclass(frozen=True)
class Draft:
    """All that a study file is written from.

    Attributes:
        path: where the study file will stand.
        there: examples in each split before limits.
        split: the fractions by which one file is cut, where they are not the default.
        minutes, cores: what the sizes were made for.
        bad_rows, too_long: rows that the study refuses, unless they are to be skipped.
    """

    path: Path
    data: Data
    roles: Roles
    wording: Wording
    judging: Judging
    sizes: Sizes
    there: Mapping[str, int]
    split: Mapping[str, float] | None
    model: str
    minutes: float
    cores: int
    bad_rows: int
    too_long: int

    @property
    def troubles(self) -> list[str]:
        """What is wrong with some rows, a sentence each."""
        left = "--skip-bad-rows leaves them out, and the report names them."
        bad = f"Rows with a missing value, or that cannot be read: {self.bad_rows}; {left}"
        long = f"Rows longer than the model's context, of those in use: about {self.too_long}; {left}"
        return [text for text, count in ((bad, self.bad_rows), (long, self.too_long)) if count]

    @property
    def skip(self) -> str:
        """The flag that the study needs, where some rows are bad."""
        return " --skip-bad-rows" if self.bad_rows or self.too_long else ""


def write(draft: Draft) -> str:
    """The YAML text."""
    return "\n".join([*_head(draft), *_task(draft), *_arms(draft), *_rest(draft)]) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    files = ", ".join(path for paths in draft.data.files.values() for path in paths)
    yield comment(f"A study drafted by `luthier init` from {files}. Paths are read from the folder it is run in.")
    for command, does in commands(draft):
        yield f"#   {command:<{max(len(c) for c, _ in commands(draft))}}   # {does}"
    for line in (*draft.roles.why, *draft.data.notes):
        yield comment(line)
    yield from map(comment, draft.troubles)
    if draft.model.startswith("house/"):
        yield comment(
            "A small base that comes with Luthier: it runs anywhere and knows little. Any decoder can take its place."
        )
    yield f"models: [{scalar(draft.model)}]"
    yield "tasks:"


def commands(draft: Draft) -> list[tuple[str, str]]:
    """What to run next, and what each does."""
    study = f"luthier study {shlex.quote(str(draft.path))}{draft.skip}"
    one = max(1, round(draft.sizes.minutes))
    return [
        (f"{study} --dry-run", "lists the runs with an estimate; runs nothing"),
        (f"{study} --set 'seeds=[0]'", f"one seed: about {one} min on {draft.cores} cores"),
        (study, f"all seeds: about {3 * one} min; what is done is not done again"),
    ]


def _task(draft: Draft) -> Iterator[str]:
    roles, wording, sizes = draft.roles, draft.wording, draft.sizes
    if "all" in draft.data.files:
        yield f"  - data: {scalar(draft.data.files['all'][0])}"
        if draft.split:
            yield comment("So few rows want a larger test set than the usual tenth.", 4)
            yield f"    split: {_flow(draft.split)}"
        else:
            yield comment("One file, cut by the hash of its rows into 80% train, 10% validation and 10% test.", 4)
    else:
        yield "  - data:"
        for split, paths in draft.data.files.items():
            yield f"      {split}: {scalar(paths[0]) if len(paths) == 1 else '[' + ', '.join(map(scalar, paths)) + ']'}"
    yield f"    prompt: {scalar(wording.prompt)}"
    yield f"    reference: {scalar(wording.reference)}"
    yield from _labels(draft)
    yield from _final_answers(draft)
    if wording.source:
        yield comment("What the answers are about: the baselines lead-3 and copy answer from it.", 4)
        yield f"    source: {scalar(wording.source)}"
    if wording.cluster:
        yield comment(f"Rows that share {roles.cluster.name if roles.cluster else ''} are never split apart.", 4)
        yield f"    cluster: {scalar(wording.cluster)}"
    if sizes.limited:
        has = ", ".join(f"{count} {split}" for split, count in draft.there.items())
        yield comment(f"Sized for {draft.minutes:g} minutes a seed; the data has {has}.", 4)
        yield f"    limit: {{train: {sizes.train}, validation: {sizes.validation}, test: {sizes.test}}}"
    yield from _judging(draft)


def _labels(draft: Draft) -> Iterator[str]:
    """The candidates, the commonest answer, and how to give numbers their names."""
    answer, wording = draft.roles.answer, draft.wording
    if wording.choices:
        yield f"    choices: [{', '.join(scalar(choice) for choice in wording.choices)}]"
    if draft.roles.sort not in ("choices", "labels"):
        return
    ((label, count),) = answer.counts.most_common(1)
    share = count / answer.counts.total()
    yield comment(
        f"{answer.distinct} labels; always saying {label!r}, the commonest, is right in {share:.0%} of the rows.", 4
    )
    if draft.roles.sort == "choices" and answer.numeric:
        places = [int(float(text)) for text in answer.labels]
        names = [f"name of {text}" for text in answer.labels]
        yield comment("The labels are numbers, kept as they are. Words tell a model more; with the right names:", 4)
        if places == list(range(len(places))):
            field = re.sub(r"^\{\{ | \}\}$| \| (int|trim)", "", wording.reference)
            yield f"    #   reference: {scalar('{{ ' + str(names) + '[' + field + ' | int] }}')}"
        yield f"    #   choices: [{', '.join(names)}]"


def _final_answers(draft: Draft) -> Iterator[str]:
    """How to ask for the final answer alone, where worked answers mark it (as GSM8K's `#### 72`)."""
    answer = draft.roles.answer
    if draft.roles.sort != "text" or not all(_FINAL in text for text in answer.counts):
        return
    field = draft.wording.reference.removeprefix("{{ ").removesuffix(" }}").removesuffix(" | trim")
    last = "{{ " + f"{field}.split('{_FINAL}')[-1] | trim" + " }}"
    yield comment(
        f"Every answer ends in a final one after {_FINAL}. To ask for that alone, which is right or wrong:", 4
    )
    yield f"    #   reference: {scalar(last)}"
    yield "    #   metrics: [exact_match, nll]"
    yield "    #   primary: exact_match"


def _judging(draft: Draft) -> Iterator[str]:
    judging = draft.judging
    yield comment(f"{judging.why[:1].upper()}{judging.why[1:]}.", 4)
    yield f"    metrics: [{', '.join(judging.metrics)}]"
    yield f"    primary: {judging.primary}  # what arms are compared by"
    if judging.max_new_tokens:
        labels = draft.roles.sort in ("choices", "labels")
        room = "the longest label has so many tokens" if labels else "19 of 20 references have no more"
        yield f"    generation: {{max_new_tokens: {judging.max_new_tokens}}}  # {room}"


def _arms(draft: Draft) -> Iterator[str]:
    yield "# What is compared; `luthier methods` lists what else there is."
    if draft.sizes.why_fewer:
        yield comment(f"{draft.sizes.why_fewer}; so these arms are left out.")
    yield "arms:"
    yield from (f"  - {arm}" for arm in draft.sizes.arms)
    yield "seeds: [0, 1, 2]  # fewer than three claim no ranking"
    yield "reference: zero_shot  # the arm that the others are compared with"


def _rest(draft: Draft) -> Iterator[str]:
    steps = round(EPOCHS * draft.sizes.train / draft.sizes.batch_size)
    yield comment(f"About {steps} steps, the same for every arm.")
    yield f"training: {{epochs: {EPOCHS}, batch_size: {draft.sizes.batch_size}}}"
    yield comment(
        "Tries per arm on validation, the same for all (learning rates, draws of shots). With 3 each arm is taken"
    )
    yield comment("at its best of three, in about three times the time.")
    yield "trials: 1"
    what = f"What difference in {draft.judging.primary} would not matter to you: "
    yield comment(what + "the report names the cheapest arm that is not worse than the best by more.")
    yield "margin: 0.01"
    yield "# What should not be lost by training: tasks that are measured before and after it."
    yield "# retain: [generated/sentiment, generated/yes_no]"


def comment(text: str, indent: int = 0) -> str:
    """Comment lines of at most 120 characters; control characters of a user's data do not end them early."""
    words = "".join(character if character.isprintable() else " " for character in text).split()
    start = " " * indent + "#"
    lines = [start]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > 120 and lines[-1] != start:
            lines.append(start)
        lines[-1] += f" {word}"
    return "\n".join(lines)


def scalar(text: str) -> str:
    """The text as a YAML scalar: plain where that reads as the same text, else in double quotes."""
    if re.fullmatch(r"(\.{0,2}/)?[A-Za-z0-9_][A-Za-z0-9_./-]*", text) and yaml.safe_load(text) == text:
        return text
    quoted: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return quoted.strip()


def _flow(values: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{key}: {value:g}" for key, value in values.items()) + "}"
