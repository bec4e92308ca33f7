"""Settings: frozen, strict about keys, with a digest of what they mean.

A class of settings *is* the thing that it configures (a method, a prompting, a task), and it knows its own name in a
study file. Reading one is `read(StudySpec, data, where="study.yaml")`; a mistake in it is a `LuthierError` that names
the key and suggests the nearest one.
"""

from __future__ import annotations

import ast
import copy
import difflib
import hashlib
import inspect
import json
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from luthier.core.errors import LuthierError


class Settings(BaseModel):
    """Base of everything that a user can set. Frozen; unknown keys are refused with a suggestion."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, protected_namespaces=())

    version: ClassVar[int] = 1
    """Raised when the same settings come to mean something else: it enters the digest."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key",
                        "{key}: no such key{suggestion}",
                        {"key": str(key), "suggestion": suggest(str(key), cls.model_fields)},
                    )
        return data

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """What the docstrings under its keys say, by key.

        Read from the source when it is asked for: pydantic's `use_attribute_docstrings` would do it for every class
        at every start, in a second.
        """
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if issubclass(base, Settings):
                found |= _attribute_docstrings(base)
        return {key: text for key, text in found.items() if key in cls.model_fields}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for key, text in cls.descriptions().items():
            properties[key].setdefault("description", text)
        return found

    def fingerprint(self) -> Any:
        """The resolved settings as plain data, each class with its version: what the digest is taken of."""
        return {
            "class": type(self).__name__,
            "version": self.version,
            **{key: _fingerprint(getattr(self, key)) for key in type(self).model_fields},
        }

    def digest(self) -> str:
        """Sixteen hex digits of the SHA-256 of the fingerprint."""
        return digest(self.fingerprint())


@cache
def _attribute_docstrings(cls: type) -> dict[str, str]:
    """The strings under the annotated names of a class, in its own body."""
    try:
        ((definition),) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError):  # installed without sources
        return {}
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for one, next_one in pairwise(definition.body):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(next_one, ast.Expr):
            match next_one.value:
                case ast.Constant(value=str(text)):
                    found[one.target.id] = inspect.cleandoc(text)
    return found


class Named(Settings):
    """Settings that a study file names with one word: `lora`, or `lora: {rank: 8}`."""

    name: ClassVar[str]
    """The word in a study file."""

    def label(self) -> str:
        """The word with what was given beside it: `lora(rank=32)`."""
        given = ", ".join(f"{key}={getattr(self, key)}" for key in sorted(self.model_fields_set))
        return f"{self.name}({given})" if given else self.name


class OneOf:
    """Annotation for a field that holds one of several `Named` settings.

    `AnyMethod = Annotated[Method, OneOf(Full, LoRA)]` reads `lora` and `{lora: {rank: 8}}`, and writes the latter.
    """

    def __init__(self, *classes: type[Named]):
        self.by_name = {cls.name: cls for cls in classes}
        if len(self.by_name) != len(classes):
            raise TypeError(f"two of these share a name: {[cls.name for cls in classes]}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {name: handler.generate_schema(cls) for name, cls in self.by_name.items()}
        union = core_schema.tagged_union_schema(choices, discriminator=_tag_of)
        return core_schema.no_info_before_validator_function(
            self._tagged,
            union,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: {value.name: value.model_dump(mode="json")}
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        def one(name: str, cls: type[Named]) -> dict[str, Any]:
            settings = cls.model_json_schema()
            return {
                "type": "object",
                "properties": {name: settings},
                "required": [name],
                "additionalProperties": False,
            }

        return {"anyOf": [{"enum": sorted(self.by_name)}, *(one(n, c) for n, c in self.by_name.items())]}

    def _tagged(self, value: Any) -> Any:
        if isinstance(value, Named):
            return value
        if isinstance(value, str):
            value = {value: {}}
        if not isinstance(value, Mapping) or len(value) != 1:
            raise PydanticCustomError(
                "one_of",
                "give one of {names}, as a word or as a map with one such key",
                {"names": ", ".join(self.by_name)},
            )
        ((name, settings),) = value.items()
        if name not in self.by_name:
            raise PydanticCustomError(
                "one_of",
                "{name}: no such name{suggestion}; there are {names}",
                {
                    "name": str(name),
                    "suggestion": suggest(str(name), self.by_name),
                    "names": ", ".join(self.by_name),
                },
            )
        if not isinstance(settings, Mapping | None):
            raise PydanticCustomError("one_of", "{name}: give its settings as a map of keys", {"name": str(name)})
        return _Tagged(name, settings or {})


class _Tagged(dict[str, Any]):
    """The settings of one alternative, with its name beside them (the discriminator of the union)."""

    def __init__(self, tag: str, settings: Mapping[str, Any]):
        super().__init__(settings)
        self.tag = tag


def _tag_of(value: Any) -> str | None:
    return value.tag if isinstance(value, _Tagged) else getattr(type(value), "name", None)


def suggest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """`"; did you mean rank?"`, or an empty string where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


_WORDS = {"tuple_type": "give a list, as in [a, b]", "model_type": "give a map of settings"}
"""pydantic's messages that speak of Python rather than of YAML."""

SettingsType = TypeVar("SettingsType", bound=Settings)


def read(cls: type[SettingsType], data: Any, where: str) -> SettingsType:
    """Validate plain data into settings; every mistake in it stands in one `LuthierError`."""
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        problems = []
        found = error.errors()
        for item in found:
            if item["type"] == "too_short" and any(len(other["loc"]) > len(item["loc"]) for other in found):
                continue  # pydantic counts entries that were refused as missing
            path = ".".join(str(part) for part in item["loc"])
            message = _WORDS.get(item["type"]) or item["msg"].removeprefix("Value error, ")
            problems.append(f"{path}: {message}" if path else message)
        raise LuthierError("; ".join(problems), where=where, mend="`luthier schema` lists every key") from None


def read_yaml(path: str) -> Any:
    """The plain data of a YAML file."""
    try:
        with open(path, encoding="utf-8") as file:
            return yaml.safe_load(file)
    except FileNotFoundError:
        raise LuthierError("no such file", where=str(path), mend="check the path") from None
    except IsADirectoryError:
        raise LuthierError("this is a folder, not a file", where=str(path), mend="name the YAML file in it") from None
    except OSError as error:
        raise LuthierError(f"cannot be read: {error.strerror}", where=str(path), mend="check its permissions") from None
    except UnicodeDecodeError:
        raise LuthierError("not a text file", where=str(path), mend="give a YAML file in UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise LuthierError(
            f"not valid YAML: {getattr(error, 'problem', error)}",
            where=f"{path}{line}",
            mend="check the indentation (spaces, not tabs), and put templates in quotes",
        ) from None
    except ValueError as error:  # a date that is none
        raise LuthierError(f"not valid YAML: {error}", where=str(path), mend="quote it") from None


def override(data: Any, assignments: Sequence[str]) -> Any:
    """Apply `--set a.b.0=value` assignments to plain data; values are read as YAML. The data given is not changed."""
    data = copy.deepcopy(data)
    if not isinstance(data, dict):
        raise LuthierError("there are no keys to set", where="--set", mend="give a file that is a map of keys")
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            raise LuthierError(f"{assignment!r} is not an assignment", where="--set", mend="write --set a.b=value")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            raise LuthierError(
                f"{text!r} is not a YAML value", where=f"--set {assignment}", mend="quote it, or close its brackets"
            ) from None
        _assign(data, parts, value, assignment)
    return data


def _assign(data: Any, path: Sequence[str], value: Any, assignment: str) -> None:
    *parents, last = path
    for part in parents:
        place = _position(part, data, assignment) if isinstance(data, list) else part
        if isinstance(data, dict):
            data.setdefault(place, {})
        if not isinstance(data[place], dict | list):
            data[place] = {}  # a scalar gives way: `data: hub/id` becomes `data: {train: ...}`
        data = data[place]
    data[_position(last, data, assignment) if isinstance(data, list) else last] = value


def _position(part: str, data: list[Any], assignment: str) -> int:
    if not part.isdigit() or int(part) >= len(data):
        raise LuthierError(
            f"{part!r} is not a position in a list of {len(data)}", where=f"--set {assignment}", mend="count from 0"
        )
    return int(part)


def digest(value: Any) -> str:
    """Sixteen hex digits of the SHA-256 of plain data, keys sorted."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _fingerprint(value: Any) -> Any:
    if isinstance(value, Named):
        return {"name": value.name, **value.fingerprint()}
    if isinstance(value, Settings):
        return value.fingerprint()
    if isinstance(value, Mapping):
        return {str(key): _fingerprint(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fingerprint(item) for item in value]
    return value
