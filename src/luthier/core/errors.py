"""The one error that a user's mistake raises."""

from __future__ import annotations


class LuthierError(Exception):
    """A mistake that its user can mend: what is wrong, where, and how to mend it.

    Args:
        what: one sentence, naming the thing that is wrong.
        where: file and line, key, row, or folder.
        mend: what to do about it.
        exit_code: 2 for a mistake found in what was given (the default); 1 where the work itself failed
            (NaN loss, out of memory, disk full).
    """

    def __init__(self, what: str, *, where: str | None = None, mend: str | None = None, exit_code: int = 2):
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend
        self.exit_code = exit_code

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.mend:
            parts.append(f"  mend:  {self.mend}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive pickling on their own, and runs report from workers.
        return _rebuild, (self.what, self.where, self.mend, self.exit_code)


def _rebuild(what: str, where: str | None, mend: str | None, exit_code: int) -> LuthierError:
    return LuthierError(what, where=where, mend=mend, exit_code=exit_code)
