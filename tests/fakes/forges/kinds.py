"""A twin of each kind of forge, for tests that hold for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.forge.github import client as github_client
from tests.fakes.forges.github.twin import GithubTwin
from tests.fakes.forges.twin import ForgeTwin

KINDS = ("forgejo", "gitea", "github")


def twin_of(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ForgeTwin:
    """Return a twin, yet to be entered; at GitHub writes follow each other at once."""
    monkeypatch.setattr(github_client, "WRITE_SECONDS", 0.0)
    return GithubTwin(folder) if kind == "github" else ForgeTwin(folder, kind)
