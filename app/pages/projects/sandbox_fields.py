"""Form fields for the sandbox: which of them apply, and what their values mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegui import ui

from app.api.schemas import SandboxOut
from app.domain.projects.setting import Part
from app.domain.projects.settings import PROJECT_SETTINGS
from app.domain.sandbox.settings import LIMIT_BOUNDS
from app.pages.components.fields import Field, area_field, choice_field, text_field
from app.state.projects.project_settings import SETTINGS, Setting
from app.state.projects.sandbox_settings import is_asked, level_words, services_words

# fields of a new project that are folded under More settings
MORE = ("allow", "toolchains", *LIMIT_BOUNDS)
_ASKED = ("network", "allowed_hosts", "allow", "toolchains")


class SandboxFields:
    """The sandbox fields of a new project, added to the fields of its form."""

    def __init__(self, fields: dict[str, Field], here: SandboxOut) -> None:
        self._fields = fields
        self._here = here
        level, network = SETTINGS["sandbox"], SETTINGS["network"]
        fields["sandbox"] = chosen_field(level, here.default, mark="project-sandbox")
        fields["network"] = chosen_field(network, "all", mark="project-network")
        self._draw("allowed_hosts")
        for name in ("sandbox", "network"):
            fields[name].control.on_value_change(self._show)

    def draw_more(self) -> None:
        """Draw the remaining fields and explain the values of all."""
        self._fields["allow"] = chosen_field(SETTINGS["allow"], "", mark="project-allow")
        self._draw("toolchains")
        for row in rows_of(Part.CAPS):
            with ui.element("div").classes("pair"):
                for name in row:
                    about = PROJECT_SETTINGS[name]
                    usual = about.empty if about.default is None else str(about.default)
                    self._fields[name] = text_field(
                        about.label, placeholder=usual, mark=f"project-{name}"
                    )
        self._fields["allow"].control.on_value_change(self._show)
        self._show()

    def _draw(self, name: str) -> None:
        about, mark = PROJECT_SETTINGS[name], f"project-{name}"
        self._fields[name] = area_field(about.label, hint=about.hint, mono=True, mark=mark)

    def _show(self) -> None:
        def typed(name: str) -> str:
            return words_of(self._fields[name].control.value)

        show_sandbox_fields(self._fields, typed, self._here)


def show_sandbox_fields(
    fields: Mapping[str, Field], typed: Callable[[str], str], here: SandboxOut
) -> None:
    """Show the fields that apply to the chosen level and network, and explain the values."""
    chosen = {name: typed(name) for name in ("sandbox", "network")}
    for name in _ASKED:
        fields[name].box.set_visibility(is_asked(name, chosen))
    fields["sandbox"].explain(*level_words(chosen["sandbox"], here))
    fields["allow"].explain(*services_words(typed("allow").split()))


def chosen_field(setting: Setting, words: str, *, mark: str) -> Field:
    """Create a select for a setting that has choices."""
    about, many = setting.about, setting.is_many
    shown = value_of(about.name, words)
    return choice_field(
        about.label, dict(about.labels), shown, hint=about.hint, mark=mark, is_many=many
    )


def rows_of(part: Part) -> list[tuple[str, ...]]:
    """Return the fields of a group, row by row; fields of one row are side by side."""
    rows: list[tuple[str, ...]] = []
    for one in PROJECT_SETTINGS.values():
        if one.part is part and one.beside:
            rows[-1] += (one.name,)
        elif one.part is part:
            rows.append((one.name,))
    return rows


def value_of(name: str, words: str) -> str | list[str]:
    """Convert a setting's text to the value of its control."""
    return words.split() if SETTINGS[name].is_many else words


def words_of(value: str | list[str] | None) -> str:
    """Convert a control's value to the setting's text."""
    return "\n".join(value) if isinstance(value, list) else value or ""
