"""Fields of project settings, and the rules by which changes are merged without a person."""
# stands alone: the schemas of projects fill their file

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.api.schemas.parts import Answer, Body
from app.domain.projects.autoland import MAX_PATTERN, USUALLY_PROTECTED, Autoland
from app.domain.projects.setting import Kind
from app.domain.projects.settings import PROJECT_SETTINGS

_USUAL = Autoland()
Pattern = Annotated[str, StringConstraints(max_length=MAX_PATTERN)]


def setting_field(name: str, default: Any = None, **bounds: Any) -> Any:
    """Return the field of a project setting, described and bounded by the table of settings."""
    one = PROJECT_SETTINGS[name]
    if one.kind in (Kind.SECONDS, Kind.NUMBER):
        bounds |= {"ge": one.least, "le": one.most}
    elif one.kind is Kind.LIMIT:  # its own sentences refuse what is out of bounds
        number = {"type": "integer", "minimum": one.least, "maximum": one.most}
        bounds["json_schema_extra"] = {"anyOf": [number, {"type": "null"}]}
    elif one.most is not None:
        bounds["max_length"] = one.most
    return Field(default, description=one.sentences, **bounds)


class AutolandSettings(Body):
    """The rules of autoland; those that are not given stay as they are."""

    enabled: bool = setting_field("autoland", default=_USUAL.enabled)
    max_files: int = setting_field("max_files", default=_USUAL.max_files)
    max_lines: int = setting_field("max_lines", default=_USUAL.max_lines)
    protected_paths: list[Pattern] = setting_field(
        "protected_paths", default=list(USUALLY_PROTECTED)
    )


class AutolandOut(Answer):
    """The rules of autoland."""

    enabled: bool = _USUAL.enabled
    max_files: int = _USUAL.max_files
    max_lines: int = _USUAL.max_lines
    protected_paths: list[str] = Field(default_factory=lambda: list(USUALLY_PROTECTED))
