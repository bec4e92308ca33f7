"""Write `docs/methods.md` and `src/luthier/methods/shares.json` from the code; `--check` says whether they are stale.

    python scripts/method_tables.py            # after a change to a method
    python scripts/method_tables.py --check    # part of `make check`

The trainable share is counted by attaching every method to the house models.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from luthier import method_matrix
from luthier.catalogue import entries
from luthier.workbench import silence_libraries

PAGE = Path(__file__).resolve().parents[1] / "docs" / "methods.md"

OPENING = """# Methods

Which weights move, on which models. This page is made from the code by `scripts/method_tables.py`, and
`luthier methods` prints the same. No cell stands here that `tests/contracts/test_methods.py` does not test: there every
one of them is trained, saved, loaded, merged where it can be, switched and compared with the base (`make test` takes a
fair sample, `make test-all` takes all).

**m** trains, and can be merged into the base; **t** trains; **-** cannot work, and the reason stands below the table.
*Switched* is how several on one base are told apart: row by row within one batch, request by request, or not at all.
*Trained* is the share of the weights that moves on the house models, `house/encoder` (4.4M, a head of two classes
included), `house/decoder` (4.7M) and `house/seq2seq` (7.5M); on larger models it is smaller, and `luthier plan` counts
it.

"""


def page() -> str:
    """The page, from the shares that were counted last."""
    lines = [OPENING + method_matrix.as_markdown()]
    for kind, title in (("method", "Settings of the methods"), ("regulariser", "Regularisers")):
        lines += [f"\n## {title}\n", "| word | what it does | settings (defaults) | paper |", "|---|---|---|---|"]
        for row in entries():
            if row["kind"] == kind:
                settings = f"`{row['settings']}`" if row["settings"] else ""
                lines.append(f"| `{row['name']}` | {row['does']} | {settings} | {row['paper']} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write both files, or compare them; the exit code is 1 where one is stale."""
    silence_libraries()
    counted = json.dumps(method_matrix.count_shares(), indent=1, sort_keys=True) + "\n"
    shares = method_matrix.SHARES
    if "--check" not in sys.argv:
        shares.write_text(counted, encoding="utf-8")
        method_matrix.shares.cache_clear()
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    stale = [
        path.name
        for path, text in ((shares, counted), (PAGE, page()))
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for name in stale:
        print(f"{name} is stale: python scripts/method_tables.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
