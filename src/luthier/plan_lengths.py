"""Rows that are longer than a model's context, found before anything is trained.

To count tokens as they will be takes the model's tokenizer, and that takes transformers and torch: seconds of imports.
Most rows are so short that their bytes alone say that they fit, and most others that a rough count of their tokens
does. Where that is so of all, and the tokenizer's files leave nothing to ask, transformers is not asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.types import SPLITS, Example, Message
from luthier.models.encoder_tokens import EncoderRenderer
from luthier.models.kinds import config_value
from luthier.models.load import ModelFiles
from luthier.models.tokens import Renderer
from luthier.study_file import StudySpec
from luthier.tasks.task import Task

TooLong = Mapping[tuple[str, str], Sequence[Example]]
"""Examples that do not fit, by (model, task)."""

_AROUND = 32
"""Tokens that may stand around prompt and answer and between their turns: far more than there are."""
_ROUGHLY = 1.25
"""How many tokens of a prompt there may be for one that the bare tokenizer finds in its parts."""
_WIDEST = 36
"""Bytes that a character beyond ASCII may become: U+FDFA, the widest, normalises to 18 characters in 33 bytes."""


def check_lengths_of(
    spec: StudySpec,
    models: Mapping[str, ModelFiles],
    tasks: Mapping[str, Task],
    retained: Mapping[str, Task],
    *,
    skip: bool,
) -> TooLong:
    """Examples whose prompt and longest answer, with the arms' virtual tokens, are longer than a model's context.

    Args:
        spec: the study.
        models: its models.
        tasks: what is trained on and asked.
        retained: what is only measured, before and after.
        skip: whether such examples are to be left out.

    Raises:
        LuthierError: there are some, and they are not to be skipped; a split of which nothing is left; rows of a
            retained task that are too long.
    """
    measures = {name: _Measure(spec, files) for name, files in models.items() if files.context is not None}
    found = {
        (model, name): [example for split in SPLITS for example in task.splits[split] if not measure.holds(example)]
        for model, measure in measures.items()
        for name, task in tasks.items()
    }
    if any(found.values()) and not skip:
        raise _refuse_too_long(found)
    _check_retained(measures, retained)
    _check_something_is_left(tasks, found)
    return found


class _Measure:
    """What a model's context holds of an arm's prompts.

    Args:
        spec: the study.
        files: the model, which has a limit.
    """

    def __init__(self, spec: StudySpec, files: ModelFiles):
        self.files = files
        stages = [stage for arm in spec.arms for stage in arm.stages]
        self._frames = {stage.prompting.frame for stage in stages} - {""}
        self._virtual = max((stage.method.added_positions for stage in stages), default=0)
        assert files.context is not None
        frames = max((_most_tokens(frame) for frame in self._frames), default=0)
        self._free = files.context - _AROUND - self._virtual - frames
        # An encoder's words are counted one by one.
        self._plain = _plain_tokenizer(files.folder) if files.kind != "encoder" else None

    def holds(self, example: Example) -> bool:
        """Whether the example fits, with its longest answer."""
        answers = (*example.references, *example.choices)
        if self._plain is not None and (
            self._at_most(_most_tokens, example, answers) <= self._free
            or _ROUGHLY * self._at_most(self._count, example, answers) <= self._free
        ):
            return True
        if isinstance(self._renderer, EncoderRenderer):
            return self._renderer.fits(example.messages, words=example.words, added=self._added)
        return self._renderer.fits(example.messages, answers=answers, added=self._added)

    @staticmethod
    def _at_most(tokens: Callable[[str], int], example: Example, answers: Sequence[str]) -> int:
        turns = sum(tokens(message.content) + 2 for message in example.messages)
        return turns + max(tokens(answer) for answer in answers)

    def _count(self, text: str) -> int:
        assert self._plain is not None
        return len(self._plain.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _renderer(self) -> Renderer | EncoderRenderer:
        from luthier.models.load import load_tokenizer

        tokenizer = load_tokenizer(self.files)
        if self.files.kind == "encoder":
            return EncoderRenderer(tokenizer, self.files.context)
        return Renderer(tokenizer, self.files.context, pairs=self.files.kind == "encoder-decoder")

    @cached_property
    def _added(self) -> int:
        """The most tokens that any arm puts to a prompt: virtual ones, and those of a frame."""
        framing = (len(self._renderer.prompt((Message("user", frame),))) for frame in self._frames)
        return self._virtual + max(framing, default=0)


def _plain_tokenizer(folder: Path) -> Any:
    """The bare tokenizer, where its files show at once what transformers would ask of them; else None.

    That is one readable file, an end of sequence, no token without an embedding, and no chat template, which could
    write anything around a prompt. In any doubt it is not plain, and the tokenizer itself says what is wrong.
    """
    from tokenizers import Tokenizer

    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        rows = config_value(json.loads((folder / "config.json").read_text(encoding="utf-8")), "vocab_size")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        vocabulary = tokenizer.get_vocab()
        beside = [int(number) for number in settings.get("added_tokens_decoder", ())]
        end = settings["eos_token"]
        ends = (end if isinstance(end, str) else end["content"]) in vocabulary
    except Exception:  # the library raises nothing narrower
        return None
    within = isinstance(rows, int) and max([*vocabulary.values(), *beside]) < rows
    more = [*folder.glob("*chat_template*"), *folder.glob("added_tokens.json")]
    tokenizer.no_truncation()
    return tokenizer if ends and within and not more and not settings.get("chat_template") else None


def _most_tokens(text: str) -> int:
    """No tokenizer makes more tokens of a text than it has bytes, once its characters are normalised.

    One whose own rules make a text longer is conceivable; a row that does not fit after all is refused when it is
    encoded.
    """
    return len(text) if text.isascii() else len(text) + (_WIDEST - 1) * sum(char > "\x7f" for char in text)


def _check_retained(measures: Mapping[str, _Measure], retained: Mapping[str, Task]) -> None:
    """Found only after the training otherwise."""
    for model, measure in measures.items():
        for name, task in retained.items() if measure.files.kind != "encoder" else ():
            long = [example for example in task.splits["test"] if not measure.holds(example)]
            if long:
                raise LuthierError(
                    f"{len(long)} rows of the retained task {name} are longer than the context of {model}",
                    where=", ".join(example.where for example in long[:5]),
                    mend="shorten them, or leave the task out of retain",
                )


def _refuse_too_long(too_long: TooLong) -> LuthierError:
    (model, task), examples = next((key, examples) for key, examples in too_long.items() if examples)
    places = ", ".join(example.where for example in examples[:5])
    more = f" and {len(examples) - 5} more" if len(examples) > 5 else ""
    return LuthierError(
        f"{len(examples)} rows of task {task} are longer than the context of {model}",
        where=places + more,
        mend="shorten them, take a model with a longer context, or leave them out with --skip-bad-rows",
    )


def _check_something_is_left(tasks: Mapping[str, Task], too_long: TooLong) -> None:
    for (model, name), examples in too_long.items():
        gone = {example.id for example in examples}
        for split, there in tasks[name].splits.items():
            if there and all(example.id in gone for example in there):
                raise LuthierError(
                    f"every {split} row of task {name} is longer than the context of {model}",
                    where=f"task {name}, {split}",
                    mend="shorten them, or take a model with a longer context",
                )
