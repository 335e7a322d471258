"""Options that several commands take together: a dataclass of them, an option for each field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command, whose parameters that are dataclasses stand for an option for each field.

    The options stand in the parameter's place, in the order of the fields.
    """
    hints = get_type_hints(command, include_extras=True)
    sets: dict[str, Any] = {name: one for name, one in hints.items() if is_dataclass(one)}

    @wraps(command)
    def called(**given: Any) -> None:
        for name, options in sets.items():
            asked = {field.name: given.pop(field.name) for field in fields(options)}
            given[name] = options(**asked)
        command(**given)

    spelled: list[Parameter] = []
    for one in signature(command).parameters.values():
        if one.name in sets:
            spelled += _options_of(sets[one.name])
        else:
            spelled.append(one.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[one.name]))
    # what typer reads: the parameters, and what is said of each
    called.__signature__ = Signature(spelled)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in spelled}
    return called


def _options_of(options: Any) -> list[Parameter]:
    hints = get_type_hints(options, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)
    ]
