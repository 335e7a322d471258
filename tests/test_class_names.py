"""Class names that have a meaning in Quasar's style sheet: no element of ours may have one.

Quasar's `.md` shows an element on windows of a medium width only, so text in a box of that class
is invisible on every phone and on every large monitor.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.drivers.source_tree import ROOT, Source, calls, last_name, sources

BREAKPOINTS = {"xs", "sm", "md", "lg", "xl"}
WRITTEN = re.compile(r"""\bclass(?:Name)?\s*[=:]\s*(?:"([^"]*)"?|'([^']*)'?|([\w-]+))""")
SELECTED = re.compile(r"\.(xs|sm|md|lg|xl)(?![\w-])")


def texts_of(source: Source) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node, node.value


def classes_in(text: str) -> set[str]:
    """Return the class names in a piece of markup or script."""
    return {name for found in WRITTEN.findall(text) for name in " ".join(found).split()}


def classes_given(call: ast.Call) -> set[str]:
    """Return the class names passed to a `.classes(…)` call."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    texts = (
        part.value for one in given for part in ast.walk(one) if isinstance(part, ast.Constant)
    )
    return {name for text in texts if isinstance(text, str) for name in text.split()}


def test_no_element_of_a_page_is_named_like_a_width_of_quasar() -> None:
    problems = []
    for source in sources():
        for node, text in texts_of(source):
            if bad := classes_in(text) & BREAKPOINTS:
                problems.append(source.at(node, f"class {bad}: Quasar hides it by the width"))
        for call in calls(source):
            if last_name(call.func) == "classes" and (bad := classes_given(call) & BREAKPOINTS):
                problems.append(source.at(call, f"class {bad}: Quasar hides it by the width"))
    assert not problems, "\n" + "\n".join(problems)


def test_no_style_sheet_script_or_template_names_a_width_of_quasar() -> None:
    problems = []
    for path in sorted((ROOT / "assets").rglob("*")):
        if path.suffix not in (".css", ".js", ".html", ".jinja"):
            continue
        text = path.read_text("utf-8")
        bad = classes_in(text) & BREAKPOINTS if path.suffix != ".css" else set()
        bad |= set(SELECTED.findall(text)) if path.suffix == ".css" else set()
        problems += [f"{path.relative_to(ROOT)}: class {name}" for name in sorted(bad)]
    assert not problems, "\n" + "\n".join(problems)
