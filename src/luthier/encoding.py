"""Examples as rows of numbers: asked by a program, rendered, and encoded when they are first asked for.

Rows are named by where their examples stand (file and line), which is what a user can look at when a batch goes wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luthier.core.errors import LuthierError
from luthier.core.types import Example, Message
from luthier.models.encoder_tokens import EncoderRenderer
from luthier.models.labelled import Labelled
from luthier.models.on_demand import OnDemand
from luthier.models.tokens import Encoded, Renderer
from luthier.prompting.prompting import Program


def encode(program: Program, renderer: Renderer, examples: Sequence[Example], added: int = 0) -> OnDemand[Encoded]:
    """Examples as token sequences, each asked as the program asks it and answered by its first reference.

    Args:
        program, renderer, examples: what asks, what renders, what is asked.
        added: positions of the context that the method takes for itself.

    Raises:
        LuthierError: when a row is asked for that is longer than the context.
    """

    def row(place: int) -> Encoded:
        example = examples[place]

        def fits(conversation: tuple[Message, ...]) -> bool:
            return renderer.fits(conversation, answers=[example.reference], added=added)

        name = example.where or example.id
        encoded = renderer.encode(name, program.conversation(example, fits), example.reference)
        taken = renderer.positions(encoded.prompt_length + added, len(encoded.ids) - encoded.prompt_length)
        if renderer.context is not None and taken > renderer.context:
            raise LuthierError(
                f"the row takes {taken} tokens, and the model's context is {renderer.context}",
                where=name,
                mend="shorten it, take a model with a longer context, or leave it out with limit or another file",
            )
        return replace(encoded, task=example.task)

    return OnDemand(row, len(examples))


def label(
    program: Program, renderer: EncoderRenderer, examples: Sequence[Example], added: int = 0
) -> OnDemand[Labelled]:
    """Examples as texts with their class, or as words with their tags.

    Args:
        program, renderer, examples, added: as for `encode`.
    """

    def row(place: int) -> Labelled:
        example = examples[place]
        name = example.where or example.id
        if example.tags:
            labelled = renderer.tagged(name, example.words, example.tags)
        else:
            asked = program.conversation(example, lambda messages: renderer.fits(messages, added=added))
            labelled = renderer.classified(name, asked, example.reference)
        return replace(labelled, task=example.task)

    return OnDemand(row, len(examples))
