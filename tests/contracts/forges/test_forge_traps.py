"""Traps of real forges that their recordings show and no other test of the contract walks into."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.forge.client import ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.services.ports import Repository
from tests.fakes.forges import twin as twins
from tests.fakes.forges.twin import ForgeTwin


def test_a_page_that_is_shorter_than_was_asked_for_is_not_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an administrator may allow fewer entries than are asked for
    monkeypatch.setattr(twins, "PAGE", 20)
    with ForgeTwin(tmp_path, "gitea") as twin:
        shop = twin.add_repository("acme/shop")
        numbers = [shop.write(f"Issue {n}") for n in range(45)]
        repo = Repository("proj_a", shop.clone_url, full_name=shop.name)
        with closing(ForgeClient(f"{twin.url}/api/v1", twin.add_token("TOKEN_BOT"))) as client:
            found = GiteaForge(client).issues(repo)
        assert [one.number for one in found] == numbers
