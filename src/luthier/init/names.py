"""What the name of a column says about its part: an answer, an input, an id, a language."""

from __future__ import annotations

import re

_ANSWERS = {
    *("label", "labels", "answer", "answers", "target", "targets", "output", "outputs", "summary", "completion"),
    *("response", "reply", "reference", "gold", "translation", "highlights", "class", "y", "tldr", "chosen"),
}
_LABELS = {"label", "class", "category", "intent", "sentiment", "target", "gold", "answer"}
_SPELT_OUT = {"text", "name", "str", "string", "word"}
_PLAIN_ANSWERS = {"target", "targets", "output", "outputs", "y", "gold", "reference", "answers"}
_PERHAPS_ANSWERS = {
    *("category", "intent", "sentiment", "topic", "stance", "emotion", "rating", "stars", "score", "type", "relation"),
    *("verdict", "headline", "title", "tag", "polarity", "toxicity", "spam", "priority"),
}
_INPUTS = {
    *("text", "sentence", "question", "query", "input", "prompt", "document", "article", "dialogue", "dialog"),
    *("conversation", "transcript", "passage", "context", "review", "content", "body", "message", "premise"),
    *("hypothesis", "source", "instruction", "utterance", "tweet", "comment", "description", "statement", "claim"),
    *("post", "email", "problem", "story", "paragraph", "word", "goal", "request", "ticket", "note", "report"),
    *("options", "s", "src"),
}
_CONTEXTS = {"passage", "context", "body", "document", "article", "paragraph", "story", "source"}
_QUESTIONS = {"question", "query"}
_TELLING = {
    "rationale",
    "explanation",
    "reasoning",
    "solution",
    "equation",
    "cot",
    "formula",
    "evidence",
    "steps",
    "rejected",
}
_IDS = {
    *("id", "ids", "idx", "index", "uuid", "guid", "key", "hash", "row", "number", "fname", "filename", "file", "path"),
    *("url", "link", "date", "time", "timestamp", "created", "updated", "offset"),
}
_PLACES = {"idx", "index", "row", "number", "offset", "date", "time", "timestamp", "created", "updated"}
"""Of these, what says where or when a row is, and never which source it shares."""
_SUMMARIES = {"summary", "highlights", "tldr"}
_TITLES = {"title", "headline"}
_OPTION = re.compile(r"(?:(ans|answer|choice|option|ending|solution|sol|opt)[_ ]?)?([0-9]|[a-h])", re.IGNORECASE)
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hu": "Hungarian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sv": "Swedish", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese",
    "zh": "Chinese",
}  # fmt: skip


def last_word(name: str) -> str:
    """The word that says what a column is: `gold_label` -> label, `Sentence 2` -> sentence, `questionText` -> text."""
    parts = _words(name)
    if len(parts) > 1 and parts[-1] in ("a", "b"):
        parts.pop()
    return parts[-1] if parts else ""


def is_answer(name: str) -> bool:
    """Whether it names an answer and hardly anything else."""
    parts = _words(name)
    spelt_out = len(parts) > 1 and parts[0] in _LABELS and parts[-1] in _SPELT_OUT  # label_text, beside label
    return spelt_out or last_word(name) in _ANSWERS or name.lower().startswith("is_")


def may_be_answer(name: str) -> bool:
    """Whether it may name an answer where nothing better is there."""
    return last_word(name) in _PERHAPS_ANSWERS


def is_input(name: str) -> bool:
    """Whether it names what is asked about."""
    return last_word(name) in _INPUTS


def is_context(name: str) -> bool:
    """Whether it names what a question is about."""
    return last_word(name) in _CONTEXTS


def is_question(name: str) -> bool:
    """Whether it names a question."""
    return last_word(name) in _QUESTIONS


def tells_the_answer(name: str) -> bool:
    """Whether it names the way to the answer, or the answer's rival: what a prompt must not tell."""
    return last_word(name) in _TELLING


def is_id(name: str) -> bool:
    """Whether it names a row or a place, not a content."""
    return last_word(name) in _IDS or name.lower().startswith("unnamed")


def may_be_shared(name: str) -> bool:
    """Whether an id of this name may be one that several rows share: of a document, an author."""
    return last_word(name) not in _PLACES


def is_summary(name: str) -> bool:
    """Whether it names a summary."""
    return last_word(name) in _SUMMARIES


def is_title(name: str) -> bool:
    """Whether it names a title."""
    return last_word(name) in _TITLES


def language(name: str) -> str | None:
    """The language that a column is named after: `de` -> German."""
    return LANGUAGES.get(name.lower())


def plain(name: str) -> str:
    """What to call the answer in a prompt: `gold_label` -> Gold label, `label_text` -> Label, `target` -> Answer."""
    parts = _words(name)
    if parts and parts[0] in _LABELS and parts[-1] in _SPELT_OUT:
        return shown(parts[0])
    odd = len(parts) > 2 or not re.fullmatch(r"[\w\s-]+", name)
    return "Answer" if odd or last_word(name) in _PLAIN_ANSWERS else shown(name)


def option(name: str) -> tuple[str, int] | None:
    """`choice2` -> ("choice", 2), `B` -> ("", 1): which of several options a column holds, letters from 0."""
    match = _OPTION.fullmatch(name)
    if match is None:
        return None
    place = match[2].lower()
    return (match[1] or "").lower(), int(place) if place.isdigit() else ord(place) - ord("a")


def shown(name: str) -> str:
    """The name as a heading: `gold_label` -> Gold label."""
    text = re.sub(r"[_\s]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", name)).strip()
    return text[:1].upper() + text[1:].lower() if not text.isupper() else text


def _words(name: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [part for part in re.split(r"[^a-z]+", apart.lower()) if part]
