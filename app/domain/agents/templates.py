"""Templates of prompts: named, versioned texts with variables such as `{{issue.title}}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

VARIABLES = (
    *("project.name", "branch", "base", "depth", "framework"),
    *("issue.number", "issue.title", "issue.body", "issue.comments"),
    *("task", "instructions", "review", "checks"),
)
MAX_NAME = 60
_VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
_BRACES = re.compile(r"\{\{|\}\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# the words in single braces of the project setting `prompt`
OLDER = {
    "task": "task",
    "issue": "issue.number",
    "title": "issue.title",
    "body": "issue.body",
    "branch": "branch",
    "depth": "depth",
    "framework": "framework",
}
_OLDER = re.compile(r"\{(" + "|".join(OLDER) + r")\}")

# the template of a run without task and issue, unless its project has one
BUILT_IN_NAME = "fix-tests"
_WHAT = """\
Run the tests of this repository and fix failures.

Depth: {{depth}}. Quick is the shortest change that does the job; standard is the change and its \
tests, without detours; deep is to understand the code first and to cover edge cases with tests.

Test framework: {{framework}}. With auto, use the one that the repository has.

"""
_CHANGE = """\
You are on branch {{branch}} in your own working copy. Commit your work to this branch; do not \
push or open a pull request: Runyard does that.

{{instructions}}
"""
_REPORT = """\
Report what you find; nothing you change will be delivered.

{{instructions}}
"""
# the project setting `prompt`, as a template
SETTING_NAME = "prompt"
# names that no template of a project can have, and what to change instead
RESERVED: Mapping[str, str] = {
    BUILT_IN_NAME: "This template is built in: add one of your own, as the default.",
    SETTING_NAME: "This template is the project's setting `prompt`: change it there.",
}


@dataclass(frozen=True)
class Template:
    """One version of a template; `is_older` if its variables may stand in single braces."""

    name: str
    version: int
    text: str
    is_older: bool = False

    @property
    def label(self) -> str:
        """The name with the version, as in a run's provenance."""
        return f"{self.name}@{self.version}"


BUILT_IN = Template(BUILT_IN_NAME, 1, _WHAT + _CHANGE)
BUILT_IN_REPORT = Template(BUILT_IN_NAME, 1, _WHAT + _REPORT)


def setting_as_template(text: str, version: int) -> Template:
    """Return the project setting `prompt` as a template.

    Without a variable in double braces it is one of the older kind: words in single braces are
    replaced, and others stay as they are.
    """
    is_older = not _VARIABLE.search(text) or template_problem(text) is not None
    return Template(SETTING_NAME, version, text, is_older)


def read_label(label: str) -> tuple[str, int] | None:
    """Return the name and version that a label holds, None if it is none."""
    name, at, version = label.rpartition("@")
    is_number = version.isascii() and version.isdigit() and len(version) < 10
    return (name, int(version)) if at and name and is_number else None


def name_problem(name: str) -> str | None:
    """Return why a template cannot have this name, None if it can."""
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        return f"A name has letters, digits, dots, dashes and underscores, {MAX_NAME} at most."
    if name in RESERVED:
        return f"{name} is a template of every project."
    return None


def template_problem(text: str) -> str | None:
    """Return the first mistake in a template's variables, None if there is none."""
    if not text.strip():
        return "A template needs a text."
    for found in _VARIABLE.finditer(text):
        name = found[1].strip()
        if name not in VARIABLES:
            known = ", ".join(VARIABLES)
            return f"There is no variable {{{{{name[:60]}}}}}. The known ones: {known}."
    if _BRACES.search(_VARIABLE.sub(" ", text)):
        return "Double braces stand around a variable's name, such as {{issue.title}}."
    return None


def setting_problem(text: str) -> str | None:
    """Return the first mistake in the project setting `prompt`, None if there is none.

    Without a name in double braces it is of the older kind, which may have any in single ones.
    """
    return template_problem(text) if _VARIABLE.search(text) else None


def variables_in(template: Template) -> frozenset[str]:
    """Return the names of the variables that stand in a template."""
    if template.is_older:
        return frozenset(OLDER[found[1]] for found in _OLDER.finditer(template.text))
    return frozenset(found[1].strip() for found in _VARIABLE.finditer(template.text))


def fill(template: Template, values: Mapping[str, str]) -> str:
    """Return the text with all variables replaced, in one pass: braces in a value stay."""
    if template.is_older:
        return _OLDER.sub(lambda found: values[OLDER[found[1]]], template.text)
    return _VARIABLE.sub(_by_name(values), template.text)


def _by_name(values: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda found: values[found[1].strip()]
