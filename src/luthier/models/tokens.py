"""Conversations to token ids, the same in training, evaluation and serving.

Two formats. **Chat**, where the tokenizer has a template: the prompt is what the template renders up to the
assistant's turn, the completion what it adds for it. **Plain**, where it has none: turns are separated by a blank
line, and a worked answer follows its prompt after one space. Prompt and completion are tokenised apart, so the boundary
between them is one and the same whether the completion is trained on, scored or generated; and a completion always ends
with the token that ends a generation, also where the tokenizer pads with it.

An encoder-decoder reads prompt and completion as two texts, each with what the tokenizer puts around a text: T5 reads
`x </s>` and writes `y </s>`, BART reads `<s> x </s>` and writes `<s> y </s>`.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.settings import digest
from luthier.core.types import Message

Conversation = tuple[Message, ...]

PLAIN_VERSION = 1
"""Raised when the plain format comes to render differently."""
DAY = datetime.date(2024, 7, 26)
"""The day that templates which write today's date are told: a prompt must be the same on every day."""

_PROBE = "luthier"
_DATE = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")


@dataclass(frozen=True)
class Encoded:
    """One example as ids: the prompt's first `prompt_length`, then the completion's, the end of sequence last.

    `task` names the task of a mixture that it comes from; empty outside of mixtures.
    """

    example_id: str
    ids: tuple[int, ...]
    prompt_length: int
    task: str = ""


class Renderer:
    """Renders conversations with one tokenizer.

    Args:
        tokenizer: a transformers tokenizer.
        context: the model's context in tokens; None for no limit.
        pairs: whether an encoder reads the prompt and a decoder of its own the completion; then `context` is that of
            each.

    Attributes:
        eos_id: the token that ends a text.
        stop_ids: the tokens that end a generation: EOS and, in a chat template, the end of a turn.
        pad_id: what fills the end of a row in a batch. It is EOS, which every model has an embedding for; the attention
            mask and the loss go by lengths, never by this id.
        digest: sixteen hex digits of all that the rendering depends on, beside the vocabulary. A model tuned under one
            digest must not be served under another.

    Raises:
        LuthierError: the tokenizer has no EOS, or its chat template fails or is refused by the sandbox.
    """

    def __init__(self, tokenizer: Any, context: int | None, *, pairs: bool = False):
        if tokenizer.eos_token_id is None:
            raise LuthierError(
                "the tokenizer has no end-of-sequence token, so no answer could end",
                where=str(tokenizer.name_or_path) or None,
                mend="set eos_token in its tokenizer_config.json to the token that the model was trained to end with",
            )
        self.tokenizer = tokenizer
        self.context = context
        self.pairs = pairs
        self.eos_id: int = tokenizer.eos_token_id
        self.pad_id: int = self.eos_id
        self._prefix, self._suffix = _around(tokenizer)
        # Such a tokenizer puts a space before every text, a completion too, unless something stands before it.
        first = tokenizer.convert_ids_to_tokens(tokenizer.encode("a", add_special_tokens=False))[0]
        self._adds_space = first.startswith(("\u2581", "\u0120"))
        self._template = _template(tokenizer)
        self._has_system_role = self._template is None or self._accepts_system()
        self._end_id = self.eos_id if self._template is None else self._end_of_turn()
        self.stop_ids = frozenset({self.eos_id, self._end_id})
        self.digest = digest(
            {
                "format": "plain" if self._template is None else "chat",
                "version": PLAIN_VERSION,
                "template": self._template,
                "prefix": self._prefix,
                "special": {key: str(value) for key, value in tokenizer.special_tokens_map.items()},
                "stop": sorted(self.stop_ids),
                **({"suffix": self._suffix} if pairs else {}),
            }
        )

    def prompt(self, conversation: Conversation) -> list[int]:
        """The ids up to where the answer begins, with one BOS where the tokenizer or its template has one."""
        ids = self._ids(self._prompt_text(conversation))
        if self._template is None and ids[: len(self._prefix)] != self._prefix:
            ids = [*self._prefix, *ids]
        while len(ids) > 1 and ids[0] == ids[1] == self.tokenizer.bos_token_id:
            del ids[0]
        ends = not self._suffix or ids[-len(self._suffix) :] == self._suffix
        return ids if ends or not self.pairs else [*ids, *self._suffix]

    def completion(self, conversation: Conversation, answer: str) -> list[int]:
        """The answer's ids as they follow the prompt's; the end of the sequence (or turn) is last."""
        if self.pairs:
            return [*self._prefix, *self._ids(answer), self.eos_id]
        prompt = self._prompt_text(conversation)
        if self._template is None:
            text = answer if not prompt or prompt[-1].isspace() else f" {answer}"
            return [*self._following_ids(text), self.eos_id]
        whole = self._chat_text((*conversation, Message("assistant", answer)), ask=False)
        # A template may render a turn that is past unlike one that is asked for; then the bare answer follows.
        ids = self._following_ids(whole[len(prompt) :] if whole.startswith(prompt) else answer)
        while ids and ids[-1] not in self.stop_ids and self.tokenizer.decode(ids[-1]).isspace():
            ids.pop()  # what stands between the end of this turn and the next turn is never generated
        return ids if ids and ids[-1] in self.stop_ids else [*ids, self._end_id]

    def encode(self, example_id: str, conversation: Conversation, answer: str) -> Encoded:
        """Prompt and completion in one row."""
        prompt = self.prompt(conversation)
        return Encoded(example_id, (*prompt, *self.completion(conversation, answer)), len(prompt))

    @property
    def start(self) -> list[int]:
        """What a text of its own begins with: the tokenizer's BOS, or else the token that ends the text before it."""
        return self._prefix or [self.eos_id]

    def document(self, name: str, text: str, room: int | None) -> Encoded:
        """A text by itself, after what every text begins with; no end of sequence follows.

        Args:
            name: stands as its example id.
            text: the text.
            room: the most tokens to keep; None for all.
        """
        ids = (*self.start, *self._ids(text))
        return Encoded(name, ids[:room], len(self.start))

    def continuation(self, name: str, before: str, text: str, room: int | None) -> Encoded:
        """A text that an encoder-decoder writes after it has read another; no end of sequence follows.

        Args:
            name: stands as its example id.
            before, text: what is read, and what is written.
            room: the most tokens to keep of each; None for all.
        """
        read = [*self._prefix, *self._ids(before)[:room], *self._suffix]
        return Encoded(name, (*read, *self._prefix, *self._ids(text)[:room]), len(read))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, special tokens dropped and white space stripped from both ends."""
        return self.text(ids).strip()

    def text(self, ids: Sequence[int]) -> str:
        """The text of generated ids as it stands, special tokens dropped."""
        kept = [number for number in ids if number not in self.stop_ids]
        text = self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def fits(
        self, conversation: Conversation, answer_tokens: int = 0, *, answers: Sequence[str] = (), added: int = 0
    ) -> bool:
        """Whether the prompt fits into the context with its answer.

        Args:
            conversation: what asks.
            answer_tokens: room for an answer of so many tokens, its end included.
            answers: room for each of these.
            added: positions that are taken besides (virtual tokens).
        """
        if self.context is None:
            return True
        longest = max([answer_tokens, *(len(self.completion(conversation, answer)) for answer in answers)])
        return self.positions(len(self.prompt(conversation)) + added, longest) <= self.context

    def positions(self, prompt: int, completion: int) -> int:
        """How much of the context a prompt and a completion of so many tokens take: the longer of the two in pairs."""
        return max(prompt, completion) if self.pairs else prompt + completion

    def _prompt_text(self, conversation: Conversation) -> str:
        return _plain_text(conversation) if self._template is None else self._chat_text(conversation, ask=True)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def _following_ids(self, text: str) -> list[int]:
        """The ids of a text that follows another: without the space that some tokenizers put before a first word."""
        if self._adds_space:
            before, both = self._ids("\n"), self._ids("\n" + text)
            if both[: len(before)] == before:
                return both[len(before) :]
        return self._ids(text)

    def _chat_text(self, conversation: Conversation, *, ask: bool) -> str:
        turns = conversation if self._has_system_role else _without_system(conversation)
        try:
            text = self._render(turns, ask=ask)
        except Exception as error:  # a template is foreign code: whatever it does, its user is told
            raise _refused(self.tokenizer, error) from None
        return text

    def _render(self, turns: Conversation, *, ask: bool) -> str:
        # transformers renders templates in jinja2's ImmutableSandboxedEnvironment.
        text: str = self.tokenizer.apply_chat_template(
            [{"role": turn.role, "content": turn.content} for turn in turns],
            chat_template=self._template,
            add_generation_prompt=ask,
            tokenize=False,
        )
        return text

    def _accepts_system(self) -> bool:
        """Whether the template has a system role: some raise at it, some leave it out without a word."""
        user = Message("user", "question")
        try:
            self._render((user,), ask=True)
        except Exception as error:  # see _chat_text
            raise _refused(self.tokenizer, error) from None
        try:
            return _PROBE in self._render((Message("system", _PROBE), user), ask=True)
        except Exception:  # a template that works without the role and not with it
            return False

    def _end_of_turn(self) -> int:
        """The first special token that the template writes after an answer; EOS where it writes none."""
        text = self._chat_text((Message("user", "question"), Message("assistant", _PROBE)), ask=False)
        added = self.tokenizer.added_tokens_decoder
        after = self._ids(text[text.rfind(_PROBE) + len(_PROBE) :]) if _PROBE in text else []
        return next((number for number in after if number in added), self.eos_id)


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the post-processor puts before a text (BOS, mostly) and after one (EOS, as T5's does)."""
    bare = tokenizer.encode("a", add_special_tokens=False)
    full = tokenizer.encode("a", add_special_tokens=True)
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return list(full[:start]), list(full[start + len(bare) :])
    return [], []


def _template(tokenizer: Any) -> str | None:
    """The tokenizer's chat template, with the dates that it would write fixed to `DAY`."""
    if not tokenizer.chat_template:
        return None
    try:
        text: str = tokenizer.get_chat_template()
    except ValueError as error:
        raise _refused(tokenizer, error) from None
    return _DATE.sub(lambda found: json.dumps(DAY.strftime(found[2])), text)


def _plain_text(conversation: Conversation) -> str:
    text = ""
    for turn in conversation:
        if turn.role == "assistant":
            text += turn.content if not text or text[-1].isspace() else f" {turn.content}"
        else:
            text += f"\n\n{turn.content}" if text else turn.content
    return text


def _without_system(conversation: Conversation) -> Conversation:
    """The system text put before the first user turn, for templates without a system role."""
    system = "\n\n".join(turn.content for turn in conversation if turn.role == "system")
    turns = [turn for turn in conversation if turn.role != "system"]
    if not system:
        return tuple(turns)
    for place, turn in enumerate(turns):
        if turn.role == "user":
            turns[place] = Message("user", f"{system}\n\n{turn.content}")
            return tuple(turns)
    return (Message("user", system), *turns)


def _refused(tokenizer: Any, error: Exception) -> LuthierError:
    return LuthierError(
        f"the tokenizer's chat template fails: {type(error).__name__}: {error}",
        where=str(tokenizer.name_or_path) or None,
        mend="mend or remove the template (chat_template.jinja, or chat_template in tokenizer_config.json)",
    )
