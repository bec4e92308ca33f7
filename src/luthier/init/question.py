"""A question on the terminal, for what the data does not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from luthier.core.errors import LuthierError

Ask = Callable[[str, Sequence[str], int], int]
"""(question, options, position of the default) -> position of the answer."""


def on_terminal(question: str, options: Sequence[str], default: int) -> int:
    """Ask by number; Enter takes the default, and what is no number of the list is asked again.

    Raises:
        LuthierError: standard input ended.
    """
    print(question)
    for number, option in enumerate(options, start=1):
        print(f"  {number}. {option}")
    while True:
        try:
            said = input(f"number [{default + 1}]: ").strip()
        except EOFError:
            raise LuthierError(f"no answer to: {question}", mend="give it as a flag: luthier init --help") from None
        if not said:
            return default
        if said.isascii() and said.isdigit() and 1 <= int(said) <= len(options):
            return int(said) - 1
        print(f"a number from 1 to {len(options)}, please")
