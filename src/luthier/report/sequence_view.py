"""What the page shows of tasks learned one after another: all ways of one model and size beside each other."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from luthier.report.drawing import mark
from luthier.report.findings import Summary
from luthier.report.picture_sequence import heat_map, over_stages, ways_looks
from luthier.report.sequence_tables import CHOSEN, place, turned_note


def sequence_views(summary: Summary) -> list[dict[str, Any]]:
    """One for every order of tasks, model and size; pictures drawn."""
    views = []
    for tasks, model, size in dict.fromkeys((one.tasks, one.model, one.size) for one in summary.sequences):
        ways = [one for one in summary.sequences if (one.tasks, one.model, one.size) == (tasks, model, size)]
        drawn = ways_looks(ways)
        views.append(
            {
                "place": place(ways[0]),
                "ways": [{"way": way, "map": heat_map(way, ways)} for way in ways],
                "columns": "two" if len(ways) in (1, 2, 4) else "three",
                "lines": [over_stages(ways, task) for task in tasks],
                "marks": {name: Markup(mark(look)) for name, look in drawn.items()},
                "seeds": sorted({len(way.seeds) for way in ways}),
                "turned": turned_note(ways[0]),
                "chosen": CHOSEN,
            }
        )
    return views
