"""What a study file can name, as a table: for `luthier methods` and the README."""

from __future__ import annotations

import inspect

from luthier.registry import registry


def entries() -> list[dict[str, str]]:
    """One row per class: its word, what it is, what it does, its settings with their defaults, its paper."""
    rows = []
    for kind, classes in registry().items():
        for cls in classes:
            paper = getattr(cls, "paper", "")
            settings = {name: field.get_default(call_default_factory=False) for name, field in cls.model_fields.items()}
            rows.append(
                {
                    "name": cls.name,
                    "kind": kind,
                    "does": " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split()),
                    "settings": ", ".join(f"{key}: {_shown(value)}" for key, value in settings.items()),
                    "paper": paper if isinstance(paper, str) else "each type its own: docs/methods.md",
                }
            )
    return rows


def as_markdown(rows: list[dict[str, str]]) -> str:
    """A Markdown table, without the settings."""
    lines = ["| word | kind | what it does | paper |", "|---|---|---|---|"]
    lines += [f"| `{row['name']}` | {row['kind']} | {row['does']} | {row['paper']} |" for row in rows]
    return "\n".join(lines)


def as_text(rows: list[dict[str, str]]) -> str:
    """Aligned lines, grouped by kind."""
    lines: list[str] = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        lines.append(f"{kind}:")
        for row in rows:
            if row["kind"] == kind:
                settings = f"  ({row['settings']})" if row["settings"] else ""
                lines.append(f"  {row['name']:<16} {row['does']}{settings}")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return str(value).replace("\n", "\\n").replace("|", "\\|")
