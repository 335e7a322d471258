"""Form fields for the sandbox: which of them apply, and what their values mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegui import ui

from app.api.schemas import SandboxOut
from app.domain.sandbox.levels import DEFAULT_PROCESSES
from app.pages.components.fields import Field, area_field, choice_field, text_field
from app.state.projects.project_settings import SETTINGS, Setting
from app.state.projects.sandbox_settings import is_asked, level_words, services_words

LIST_FIELDS = ("allowed_hosts", "toolchains")
CAPS = (("memory_mb", "processes"), ("file_mb", "disk_mb"))
# fields of a new project that are folded under More settings
MORE = ("allow", "toolchains", *(name for row in CAPS for name in row))
USUAL = {"processes": str(DEFAULT_PROCESSES)}
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
        for row in CAPS:
            with ui.element("div").classes("pair"):
                for name in row:
                    usual = USUAL.get(name, "no limit")
                    self._fields[name] = text_field(
                        SETTINGS[name].label, placeholder=usual, mark=f"project-{name}"
                    )
        self._fields["allow"].control.on_value_change(self._show)
        self._show()

    def _draw(self, name: str) -> None:
        setting, mark = SETTINGS[name], f"project-{name}"
        self._fields[name] = area_field(setting.label, hint=setting.hint, mono=True, mark=mark)

    def _show(self) -> None:
        def typed(name: str) -> str:
            return words_of(self._fields[name].control.value)

        show_surroundings(self._fields, typed, self._here)


def show_surroundings(
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
    shown = value_of(setting.name, words)
    many = setting.is_many
    return choice_field(
        setting.label, dict(setting.choices), shown, hint=setting.hint, mark=mark, is_many=many
    )


def value_of(name: str, words: str) -> str | list[str]:
    """Convert a setting's text to the value of its control."""
    return words.split() if SETTINGS[name].is_many else words


def words_of(value: str | list[str] | None) -> str:
    """Convert a control's value to the setting's text."""
    return "\n".join(value) if isinstance(value, list) else value or ""
