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


def test_a_label_that_the_repository_lacks_makes_no_issue_ready(tmp_path: Path) -> None:
    # the forge leaves such a filter out, and lists every open issue
    with ForgeTwin(tmp_path, "gitea") as twin:
        shop = twin.add_repository("acme/shop")
        shop.labels.clear()
        shop.write("Not ready")
        repo = Repository("proj_a", shop.clone_url, full_name=shop.name)
        with closing(ForgeClient(f"{twin.url}/api/v1", twin.add_token("TOKEN_BOT"))) as client:
            ready = GiteaForge(client).ready_issues([repo])[repo]
        assert ready is not None
        assert ready.issues == ()


def test_a_list_that_shifts_between_two_pages_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twins, "PAGE", 20)
    with ForgeTwin(tmp_path, "gitea") as twin:
        shop = twin.add_repository("acme/shop")
        numbers = [shop.write(f"Issue {n}") for n in range(45)]
        asked: list[str] = []

        def close_the_newest(_: str, path: str) -> None:
            asked.append(path)
            if len(asked) == 2:
                shop.close(numbers[-1])

        twin.before = close_the_newest
        below, open_ones = "/repos/acme/shop/issues", {"type": "issues", "state": "open"}
        with closing(ForgeClient(f"{twin.url}/api/v1", twin.add_token("TOKEN_BOT"))) as client:
            rows = client.pages(below, open_ones)
        # the first of the second page moved up to the first one, which was read before
        assert sorted(row["number"] for row in rows) == numbers[:-1]
