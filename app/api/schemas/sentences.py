"""Error sentences for invalid values, one per type of pydantic error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOT_READ = "This value is not usable here."
_SENTENCES = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such field.",
    "json_invalid": "This content cannot be read as JSON.",
    "string_pattern_mismatch": "Must not be blank or contain characters that are not allowed here.",
    "greater_than_equal": "Must be {ge} or more.",
    "greater_than": "Must be more than {gt}.",
    "less_than_equal": "Must be {le} or less.",
    "less_than": "Must be less than {lt}.",
    "too_long": "Must have at most {max_length} entries.",
    "too_short": "Must have at least {min_length} entries.",
    "string_too_long": "Must have at most {max_length} characters.",
    "enum": "Must be one of: {expected}.",
    "literal_error": "Must be one of: {expected}.",
}
# by the first part of the error type: int_parsing, int_from_float, bool_type, and so on
_KINDS = {
    "int": "Must be a whole number.",
    "float": "Must be a number.",
    "decimal": "Must be a number.",
    "bool": "Must be true or false.",
    "string": "Must be text.",
    "list": "Must be a list.",
    "tuple": "Must be a list.",
    "dict": "Must be an object with fields.",
    "model": "Must be an object with fields.",
    "date": "Must be a date such as 2026-11-23.",
    "datetime": "Must be a date and time such as 2026-11-23T02:00:00Z.",
}
_QUOTES = str.maketrans("", "", "'")


def sentence_of(error: Mapping[str, Any]) -> str:
    """Return the sentence for one pydantic error."""
    kind, facts = str(error["type"]), dict(error.get("ctx") or {})
    if kind in ("value_error", "assertion_error"):
        # the validator's own sentence
        return str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "string_too_short":
        least = facts.get("min_length", 1)
        return "Must not be empty." if least == 1 else f"Must have at least {least} characters."
    if "expected" in facts:
        facts["expected"] = str(facts["expected"]).replace(" or ", ", ").translate(_QUOTES)
    sentence = _SENTENCES.get(kind) or _KINDS.get(kind.partition("_")[0], _NOT_READ)
    try:
        return sentence.format(**facts)
    except LookupError:
        return _NOT_READ
