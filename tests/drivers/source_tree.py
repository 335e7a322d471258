"""The program's own source, parsed for the architecture tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """A parsed file; `name` is its path below the root."""

    name: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def at(self, node: ast.stmt | ast.expr | None, sentence: str) -> str:
        """Return a problem as `file:line: sentence`; without a node, for the whole file."""
        return f"{self.name}:{node.lineno if node else 1}: {sentence}"


@cache
def sources() -> tuple[Source, ...]:
    paths = sorted((ROOT / "app").rglob("*.py")) + list(ROOT.glob("main.py"))
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    return tuple(Source(name, text, ast.parse(text, name)) for name, text in texts.items())


@cache
def modules() -> frozenset[str]:
    return frozenset(source.module for source in sources())


@cache
def imports(source: Source) -> tuple[tuple[ast.stmt, str, bool], ...]:
    """Return every import: the statement, the dotted name, and True if a function holds it."""
    return tuple(_imports(source))


def _imports(source: Source) -> Iterator[tuple[ast.stmt, str, bool]]:
    held = {id(n) for f in functions(source) for n in ast.walk(f) if n is not f}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, id(node) in held
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                ours = whole.startswith("app.") and whole not in modules()
                yield node, node.module or "" if ours else whole, id(node) in held


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def names(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Yield every dotted name that is used below `node`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Name):
            yield part, ast.unparse(part)


def calls(source: Source) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))


def keywords(source: Source, name: str) -> Iterator[ast.expr]:
    yield from (k.value for call in calls(source) for k in call.keywords if k.arg == name)


def last_name(node: ast.expr) -> str:
    return ast.unparse(node).rsplit(".", 1)[-1]
