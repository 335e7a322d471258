"""Files that reviews fold: generated ones and lock files, by their names."""

from __future__ import annotations

import re

_FOLDED = re.compile(
    r"""
    (?:^|/) (?: package-lock\.json | npm-shrinkwrap\.json | yarn\.lock | pnpm-lock\.yaml
      | bun\.lockb? | poetry\.lock | pdm\.lock | uv\.lock | Pipfile\.lock | Cargo\.lock | go\.sum
      | Gemfile\.lock | composer\.lock | mix\.lock | flake\.lock | pubspec\.lock | Podfile\.lock ) $
    | (?:^|/) (?: node_modules | vendor | dist | __snapshots__ ) /
    | \.min\.(?:js|css)$ | \.(?:js|css)\.map$ | \.snap$ | _pb2(?:_grpc)?\.pyi?$ | \.pb\.go$
    | \.generated\.\w+$
    """,
    re.VERBOSE,
)


def is_folded(path: str) -> bool:
    """Return True for a file that people seldom read line by line."""
    return _FOLDED.search(path) is not None
