"""Luthier compares the ways of adapting a language model to a task on equal terms.

```python
from luthier import Study

Study.load("studies/demo.yaml").run("runs/demo").report()
```
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from luthier.version import __version__

__all__ = ["LuthierError", "Study", "__version__"]

_PUBLIC = {"Study": "luthier.study", "LuthierError": "luthier.core.errors"}


def __getattr__(name: str) -> Any:
    """Public names, imported when they are first used: `import luthier` alone costs nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'luthier' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
