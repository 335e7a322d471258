"""Syntax colors: lines of a file as parts with a color's class, by pygments.

A repository's content is hostile and a regular expression cannot be interrupted: only lexers of
widely used languages read it, and only lines and texts of an ordinary size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pygments.lexers import find_lexer_class_for_filename
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String

# part of a line: the class of its color (empty: none) and its text
Part = tuple[str, str]

LONGEST_LINE = 1_000
LARGEST_TEXT = 64_000
_LANGUAGES = """
    python typescript javascript jsx tsx json yaml toml ini cfg html css scss less xml svg sql
    go rust java kotlin scala swift c cpp csharp objective-c php ruby perl lua r dart elixir
    erlang haskell clojure bash sh zsh fish powershell docker make cmake nix terraform hcl
    protobuf graphql markdown rst vue svelte groovy julia zig diff
"""
# the first that holds a token decides; the classes are those of assets/diff.css
_CLASSES = (
    (Comment, "yc"),
    (String, "ys"),
    (Number, "yn"),
    (Keyword, "yk"),
    (Operator.Word, "yk"),
    (Name.Function, "yf"),
    (Name.Class, "yf"),
    (Name.Decorator, "yf"),
    (Name.Tag, "yk"),
    (Name.Attribute, "yf"),
)
_CALLED = (Name, Name.Other, Name.Builtin)


def colored(path: str, lines: Sequence[str]) -> list[list[Part]]:
    """Return each line as parts; the texts of its parts together are the line.

    Takes time: call it in a thread.
    """
    plain = [[("", line)] for line in lines]
    lexer = _lexer_of(path.rpartition("/")[2])
    if lexer is None or sum(map(len, lines)) > LARGEST_TEXT:
        return plain
    # a long line counts as empty, which keeps the numbers of those after it
    text = "\n".join(line if _is_ordinary(line) else "" for line in lines)
    found = map(_joined, _split(lexer.get_tokens_unprocessed(text), len(lines)))
    return [
        parts if "".join(word for _, word in parts) == line else whole
        for parts, line, whole in zip(found, lines, plain, strict=True)
    ]


def _is_ordinary(line: str) -> bool:
    return len(line) <= LONGEST_LINE and "\r" not in line


@lru_cache(256)
def _lexer_of(name: str) -> Any:
    kind = find_lexer_class_for_filename(name)
    if kind is None or set(kind.aliases).isdisjoint(_LANGUAGES.split()):
        return None
    return kind(stripnl=False, ensurenl=False)


def _split(tokens: Any, count: int) -> list[list[Part]]:
    found: list[list[Part]] = [[]]
    called: list[Part] | None = None
    for _, kind, text in tokens:
        if called is not None and kind in Punctuation and text.startswith("("):
            called[-1] = ("yf", called[-1][1])
        called = None
        for number, word in enumerate(text.split("\n")):
            if number:
                found.append([])
            if word:
                found[-1].append((_class_of(kind), word))
        if kind in _CALLED and found[-1] and text.strip():
            called = found[-1]
    return (found + [[] for _ in range(count - len(found))])[:count]


def _joined(parts: list[Part]) -> list[Part]:
    found: list[Part] = []
    for name, word in parts:
        if found and found[-1][0] == name:
            word = found.pop()[1] + word
        found.append((name, word))
    return found


def _class_of(kind: Any) -> str:
    return next((name for family, name in _CLASSES if kind in family), "")
