"""The program's own source, parsed for the architecture tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """A file; `name` is its path below the root."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The file, parsed at the first use: parsing all of them takes seconds."""
        return ast.parse(self.text, self.name)

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
    return tuple(Source(name, text) for name, text in texts.items())


@cache
def modules() -> frozenset[str]:
    return frozenset(source.module for source in sources())


@cache
def imports(source: Source) -> tuple[tuple[ast.stmt, str, bool], ...]:
    """Return every import: the statement, the dotted name, and True if a function holds it."""
    return tuple(_imports(source))


def _imports(source: Source) -> Iterator[tuple[ast.stmt, str, bool]]:
    held = {id(n) for f in functions(source) for n in ast.walk(f) if n is not f}
    for node in nodes(source):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, id(node) in held
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                ours = whole.startswith("app.") and whole not in modules()
                yield node, node.module or "" if ours else whole, id(node) in held


@cache
def nodes(source: Source) -> tuple[ast.AST, ...]:
    """Return every node of a file; walking a tree takes far longer than reading this."""
    return tuple(ast.walk(source.tree))


@cache
def functions(source: Source) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
    return tuple(
        node for node in nodes(source) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@cache
def names(source: Source) -> tuple[tuple[ast.expr, str], ...]:
    """Return every dotted name that is used in a file."""
    return tuple(
        (node, dotted(node)) for node in nodes(source) if isinstance(node, ast.Attribute | ast.Name)
    )


@cache
def calls(source: Source) -> tuple[ast.Call, ...]:
    return tuple(node for node in nodes(source) if isinstance(node, ast.Call))


def keywords(source: Source, name: str) -> Iterator[ast.expr]:
    yield from (k.value for call in calls(source) for k in call.keywords if k.arg == name)


def dotted(node: ast.expr) -> str:
    """Return an expression as text; for names ten times faster than `ast.unparse`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ast.unparse(node)


def last_name(node: ast.expr) -> str:
    return dotted(node).rsplit(".", 1)[-1]
