"""The command line: a thin skin over the study, pretraining, the suites and the report. No logic here.

A file for each group of commands. Imports stand inside the commands: `luthier --help` must not wait for any of them.
"""

from __future__ import annotations

import shlex
import sys
from typing import NoReturn

import typer

from luthier.cli.about import doctor, methods, schema
from luthier.cli.before import plan, pretrain, scale
from luthier.cli.judging import evaluate, leaks, rescore
from luthier.cli.studies import compare, init, report, study
from luthier.cli.trained import combine, convert, merge

app = typer.Typer(
    name="luthier",
    help="Compare the ways of adapting a language model to a task, on equal terms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_COMMANDS = (
    *(study, init, report, compare),
    *(evaluate, leaks, rescore),
    *(merge, combine, convert),
    *(pretrain, plan, scale),
    *(methods, schema, doctor),
)
for command in _COMMANDS:
    app.command()(command)

_INTERRUPTED = 130
"""The exit code with which typer answers Ctrl-C."""
_TERMINATED = 143
"""The exit code after SIGTERM: 128 + 15, as shells say it."""


def _keeps(arguments: list[str]) -> bool:
    """Whether a command, stopped and given again, goes on from where it was; `evaluate` does so by tasks of lm-eval."""
    if arguments[:1] != ["evaluate"]:
        return True
    alone = any(one in ("bits", "helm", "--suite=bits", "--suite=helm") for one in arguments)
    return not alone and any(one.split("=")[0] == "--out" for one in arguments)


def main() -> NoReturn:
    """The console script: a user's mistake is one clear message and exit code 2, never a traceback."""
    from luthier.core.interruption import answered, exit_code

    try:
        with answered():
            app(standalone_mode=True)
    except (SystemExit, KeyboardInterrupt) as end:  # typer makes a SystemExit of an interrupt
        code = exit_code(end) or (end.code if isinstance(end, SystemExit) else _INTERRUPTED)
        if code in (_INTERRUPTED, _TERMINATED):
            command = shlex.join(["luthier", *sys.argv[1:]])
            said = (
                "what was done is kept; to go on"
                if _keeps(sys.argv[1:])
                else "what was done is not used again; to begin anew"
            )
            print(f"\nstopped; {said}: {command}", file=sys.stderr)
            raise SystemExit(code) from None
        raise
    except Exception as error:
        from luthier.core.errors import LuthierError

        if not isinstance(error, LuthierError):
            raise
        print(f"luthier: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    raise SystemExit(0)
