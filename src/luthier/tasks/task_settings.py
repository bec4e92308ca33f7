"""The settings of a task: where rows come from, and how a row becomes messages and a reference.

```yaml
data: knkarthick/dialogsum
prompt: "Summarise the dialogue.\\n\\n{{ dialogue }}\\n\\nSummary:"
reference: "{{ summary }}"
limit: {train: 600, test: 150}
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from luthier.core.settings import Settings
from luthier.core.types import SPLITS, Role
from luthier.tasks.instruction_tasks import instruction_task, is_instruction_task
from luthier.tasks.mixture_settings import MixtureSettings
from luthier.tasks.readers import is_data_file
from luthier.tasks.template_settings import Selection, TemplateSettings

GENERATED_PREFIX = "generated/"


def _as_several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_several, json_schema_input_type=str | tuple[str, ...])]
"""One string or a list of them."""


class Turn(Settings):
    """One turn of a prompt."""

    role: Role
    """`system`, `user` or `assistant`."""
    content: str
    """A Jinja template over the row's fields."""


def _as_prompts(value: Any) -> Any:
    """A string, a list of strings, or one list of turns -> a tuple of prompts, each a tuple of turns."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and value and all(isinstance(item, dict | Turn) for item in value):
        value = [value]
    if not isinstance(value, list | tuple) or not all(isinstance(item, str | list | tuple) for item in value):
        raise PydanticCustomError("prompt", "give a template, a list of templates, or a list of turns (role, content)")
    return tuple([{"role": "user", "content": item}] if isinstance(item, str) else item for item in value)


Prompts = Annotated[
    tuple[tuple[Turn, ...], ...],
    BeforeValidator(
        _as_prompts, json_schema_input_type=str | tuple[str, ...] | tuple[Turn, ...] | tuple[tuple[Turn, ...], ...]
    ),
]
"""One or several prompts, each of one or several turns."""


class DataFiles(Settings):
    """Local files, one or several per split: JSONL, JSON, CSV, TSV, Parquet, CoNLL, plain or `.gz`, told by suffix."""

    train: Texts = ()
    """Files to train on."""
    validation: Texts = ()
    """Files that settings are chosen on; where there are none, some of `train` takes their place."""
    test: Texts = ()
    """Files that scores are taken on."""
    all: Texts = ()
    """Files to be split by the task's `split` fractions, in place of the three others."""

    @model_validator(mode="after")
    def _check(self) -> DataFiles:
        if self.all and (self.train or self.validation or self.test):
            raise ValueError("give either all, or train, validation and test")
        if not self.all and not self.test:
            raise ValueError("no test files: give test, or give all and have it split by fractions")
        if self.validation and not self.train:
            raise ValueError("validation without train: give train too, or test alone")
        return self


class HubData(Settings):
    """A dataset of the hub with a configuration of several, or of which other splits are taken than their names say:
    the test sets of GLUE, for one, have no labels."""

    hub: str
    """The dataset's id."""
    config: str | None = None
    """Its configuration (`sst2` of `nyu-mll/glue`), where it has several."""
    train: str = "train"
    """The split to train on."""
    validation: str | None = None
    """The split that settings are chosen on; where it is not given, `validation` if there is one that is neither
    trained nor tested on, or else some of `train`."""
    test: str = "test"
    """The split that scores are taken on."""

    @model_validator(mode="after")
    def _check(self) -> HubData:
        if self.test in (self.train, self.validation) or self.train == self.validation:
            raise ValueError(f"train: {self.train}, validation: {self.validation}, test: {self.test} overlap")
        return self


def _as_data(value: Any) -> Any:
    """A string that ends as a data file does is one file to be split."""
    return {"all": value} if isinstance(value, str) and is_data_file(value) else value


def _kind_of_data(value: Any) -> str | None:
    if isinstance(value, HubData) or (isinstance(value, dict) and "hub" in value):
        return "hub"
    if isinstance(value, dict | DataFiles):
        return "files"
    return "id" if isinstance(value, str) else None


Data = Annotated[
    Annotated[str, Tag("id")] | Annotated[DataFiles, Tag("files")] | Annotated[HubData, Tag("hub")],
    Discriminator(
        _kind_of_data,
        custom_error_type="data",
        custom_error_message="give a hub id, {hub: ID, config: NAME}, generated/NAME, a file, or files (train, "
        "validation, test, or all)",
    ),
    BeforeValidator(_as_data),
]
"""A hub id, `{hub: ID, config: NAME, test: SPLIT}`, `generated/NAME`, or files."""


class Fractions(Settings):
    """Parts of the rows; they sum to 1."""

    train: float = Field(default=0.8, gt=0, lt=1)
    """To train on."""
    validation: float = Field(default=0.1, gt=0, lt=1)
    """To choose settings on."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """To take scores on."""

    @model_validator(mode="after")
    def _check(self) -> Fractions:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test sum to {total:g}, not to 1")
        return self


class Limits(Settings):
    """At most so many examples of a split; none is no limit."""

    train: int | None = Field(default=None, ge=1)
    """Training examples."""
    validation: int | None = Field(default=None, ge=1)
    """Validation examples."""
    test: int | None = Field(default=None, ge=1)
    """Test examples."""


class Tagging(Settings):
    """A task in which every word gets a tag (named entities, parts of speech)."""

    words: str = "words"
    """The field with the list of words; a CoNLL file has it as `words`."""
    tags: str = "tags"
    """The field with their tags, as long as the list of words; a CoNLL file has it as `tags`."""
    names: Texts = ()
    """What the tags are called, in order, where the rows hold their numbers."""

    def joined(self, field: str) -> str:
        """The template of a field's items, one space between them."""
        named = field if field.isidentifier() else f"row[{json.dumps(field)}]"
        return f"{{{{ {named} | join(' ') }}}}"


def _as_templates(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


Templates = Annotated[TemplateSettings, BeforeValidator(_as_templates, json_schema_input_type=str | TemplateSettings)]
"""A file of templates, or it with what is used of it."""


class TaskSettings(Settings):
    """A task. Templates are Jinja over the row's fields; `row["any name"]` reaches fields with odd names."""

    name: str | None = None
    """What the task is called; by default the last part of the hub id, or the name of the file or its folder."""
    data: Data | None = None
    """A hub id, `{hub: ID, config: NAME}`, `generated/NAME` (text that our own code writes), files `{train, validation,
    test}`, or one file or `{all: [FILE, ..]}` to be split."""
    mixture: MixtureSettings | None = None
    """Tasks to be trained on as one, in place of `data`."""
    prompt: Prompts = ()
    """The template of the user's turn; a list of templates, of which each row gets one by its hash; or a list of turns
    `{role, content}`, the last of which is to be answered."""
    system: str | None = None
    """The template of a system message before the prompt."""
    reference: Texts = ()
    """The template of a good answer, or several; the first is the one trained on."""
    templates: Templates | None = None
    """A file of templates in promptsource's layout, in place of `prompt`, `reference` and `choices`; each row gets one
    of those that apply to it, by its hash. Generated instruction tasks bring their own. Beside a mixture: which of
    their templates (`test`) ask the test sets of the members that do not say."""
    source: str | None = None
    """The template of the text that the answer is about (what the baselines lead-3 and copy look at); by default, of
    the fields that the prompt names, the one with the longest texts."""
    choices: Texts = ()
    """The templates of the candidate answers, where there is a fixed list of them; the reference must be one."""
    tagging: Tagging | None = None
    """Where every word is to get a tag: which fields hold words and tags. The prompt is then the words and the
    reference the tags, unless they are given."""
    cluster: str | None = None
    """The template of what rows of one source share (document, author). Rows of one cluster are never split apart."""
    split: Fractions = Fractions()
    """The parts into which `all`, or a hub dataset with a single split, is cut."""
    limit: Limits = Limits()
    """At most so many examples: the same sample each time, ordered by the hash of the example, not the file's head."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Where the data has no validation split: how many validation examples to take out of train, as a fraction of the
    training examples in use (`limit.validation`, where given, says how many instead). They are rows that `limit.train`
    leaves over; where it leaves too few, the training set gives the rest."""

    @model_validator(mode="before")
    @classmethod
    def _words_are_the_prompt(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("tagging"), Mapping | Tagging):
            return data
        try:
            tagging = Tagging.model_validate(data["tagging"])
        except ValueError:  # told by the field's own validation
            return data
        return {
            "prompt": tagging.joined(tagging.words),
            "reference": tagging.joined(tagging.tags),
            **data,
        }

    @model_validator(mode="after")
    def _says_how_rows_are_asked(self) -> TaskSettings:
        if self.tagging is not None and (self.choices or self.templates):
            other = "choices" if self.choices else "templates"
            raise ValueError(f"tagging and {other}: a task either tags words or asks for an answer")
        if self.mixture is not None:
            return self._refuse_beside_mixture()
        if self.data is None:
            raise ValueError("data: give rows, or a mixture of tasks")
        if self.templates is not None or (is_instruction_task(self.data) and not self.prompt and not self.reference):
            for key in ("prompt", "reference", "choices"):
                if getattr(self, key):
                    raise ValueError(f"{key}: the templates say it: give either {key} or templates")
            if self.templates and self.templates.file is None and not is_instruction_task(self.data):
                raise ValueError("templates: give a file: only generated instruction tasks have their own")
        else:
            for key in ("prompt", "reference"):
                if not getattr(self, key):
                    raise ValueError(f"{key}: give at least one template, or a file of templates")
        return self

    def _refuse_beside_mixture(self) -> TaskSettings:
        owned = ("data", "prompt", "system", "reference", "source", "choices", "tagging", "cluster")
        for key in (*owned, "split", "validation_fraction"):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key}: give it to the members of the mixture")
        of_file = self.templates.model_copy(update={"test": "training"}) if self.templates else None
        if of_file not in (None, TemplateSettings()):
            raise ValueError("templates: beside a mixture they only say test; give the rest to its members")
        if self.name is None:
            raise ValueError("name: give the mixture one")
        return self

    @model_validator(mode="after")
    def _turns_can_be_answered(self) -> TaskSettings:
        for turns in self.prompt:
            if not turns or turns[-1].role == "assistant":
                raise ValueError("prompt: its last turn is to be answered, so it cannot be the assistant's")
            systems = [position for position, turn in enumerate(turns) if turn.role == "system"]
            if systems not in ([], [0]) or (systems and self.system is not None) or len(systems) == len(turns):
                raise ValueError("prompt: one system message at most, before a user's turn")
        return self

    @property
    def task_name(self) -> str:
        """The given name, or the one derived from the data."""
        if self.name:
            return self.name
        assert self.data is not None, "a mixture has a name"
        if isinstance(self.data, str):
            return self.data.rstrip("/").rpartition("/")[2]
        if isinstance(self.data, HubData):
            return self.data.config or self.data.hub.rpartition("/")[2]
        file = Path((self.data.all or self.data.test)[0]).absolute()
        stem = file.name.partition(".")[0]
        return stem if self.data.all and stem not in SPLITS else file.parent.name

    def selected_templates(self) -> Selection | None:
        """The templates of its file; None where the task has a prompt of its own.

        Raises:
            LuthierError: the file cannot be read, or does not have what is asked for.
        """
        if self.prompt or self.data is None:
            return None
        own = instruction_task(str(self.data)).templates_file if is_instruction_task(self.data) else None
        return (self.templates or TemplateSettings()).selected(own)

    @property
    def lists_choices(self) -> bool:
        """Whether every example has a list of candidate answers."""
        selected = self.selected_templates()
        return bool(self.choices) if selected is None else all(one.lists_choices for one in selected.templates)


MixtureSettings.model_rebuild()
TaskSettings.model_rebuild()
