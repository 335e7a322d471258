"""Convert only the values that a command line gives.

Replaces: `typer.core.build_runtime_param`, by one whose converters are built at their first value.
Why: Typer loads pydantic to build a converter for each parameter of a command, given or not.
Gain: a third of the processor time to the first output of most commands.
Tested: typer>=0.29,<0.30
"""

# stands alone: one module for each patch

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer import core
from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param
from typer._param_types import coerce_cli_path


@dataclass(frozen=True)
class LateConversion(RuntimeParam):
    """Builds the converter when a value comes; texts and paths need none."""

    descriptor: TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, str) and self.parameter_info.parser is None:
            if self.annotation is str:
                return value
            if self.annotation is Path:
                how: dict[str, Any] = {"path_type": Path, "param": param, "ctx": ctx}
                return coerce_cli_path(Path(value), self.parameter_info, **how)
        return build_runtime_param(self.descriptor).coerce(value, param=param, ctx=ctx)


def convert_late() -> None:
    """Put the patch in; safe to call twice."""
    replaced: Any = core
    replaced.build_runtime_param = _build


def _build(descriptor: TypeDescriptor) -> RuntimeParam:
    return LateConversion(descriptor.parameter_info, descriptor.annotation, descriptor)
