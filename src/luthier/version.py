"""The version of Luthier: it stands here alone, and `pyproject.toml` reads it."""

__version__ = "0.1.0"
