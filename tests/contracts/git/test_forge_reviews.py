"""CI, logs and reviews as Forgejo and Gitea tell them: odd answers are told from none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.forge.client import BODY_CAP, ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.adapters.forge.gitea_reviews import LOG_LINES
from app.domain.tracker.ci import Ci
from app.domain.tracker.forges import Place, mark_of
from app.services.ports import ForgeSilent, Repository, Thread
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.people import Person, stamp
from tests.fakes.forges.twin import ForgeTwin

REPO = Repository("proj_1", "", full_name="acme/shop")


@pytest.fixture(params=["forgejo", "gitea"])
def twin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForgeTwin]:
    """A twin of a forge with a pull request."""
    with ForgeTwin(tmp_path / "forge", request.param) as twin:
        twin.add_token("TOKEN_BOT")
        shop = twin.add_repository("acme/shop")
        shop.git.commit(shop.place, "afk/1", "new.txt", "new\n")
        shop.open("afk/1", "main", "Mend it", "")
        yield twin


@pytest.fixture
def shop(twin: ForgeTwin) -> Hosted:
    """The repository."""
    return twin.hosted["acme/shop"]


@pytest.fixture
def sha(shop: Hosted) -> str:
    """The head of the pull request."""
    return shop.git.tip(shop.place, "afk/1")


@pytest.fixture
def forge(twin: ForgeTwin) -> Iterator[GiteaForge]:
    """The adapter, which asks again without pauses."""
    client = ForgeClient(f"{twin.url}/api/v1", "TOKEN_BOT", pick=lambda *_: 0.0)
    yield GiteaForge(client, pause=lambda _: None)
    client.close()


def test_a_commit_without_reports_and_one_that_is_not_there_are_unknown(
    forge: GiteaForge, sha: str
) -> None:
    # one forge says state "", the other `pending`, and 200 or 404 for what it does not know
    assert forge.ci(REPO, sha) == Ci() == forge.ci(REPO, "0" * 40)


def test_a_repository_that_is_hidden_is_silence(forge: GiteaForge, twin: ForgeTwin) -> None:
    del twin.hosted["acme/shop"]
    with pytest.raises(ForgeSilent) as raised:
        forge.ci(REPO, "0" * 40)
    assert raised.value.needs_attention


def test_all_pages_of_reports_count_and_only_links_for_browsers_are_kept(
    forge: GiteaForge, shop: Hosted, sha: str
) -> None:
    for number in range(70):
        shop.desk.report(sha, f"ci/{number}", "success", f"http://ci.test/{number}")
    shop.desk.report(sha, "ci/last", "failure", "javascript:alert(1)")
    found = forge.ci(REPO, sha)
    assert (found.state, found.url, found.failed) == ("failed", None, ("ci/last",))


def test_of_a_long_log_the_last_lines_are_read_and_the_forge_is_not_at_fault(
    forge: GiteaForge, twin: ForgeTwin, shop: Hosted, sha: str
) -> None:
    shop.desk.run_job(sha, "build", "failure", "x\n" * BODY_CAP + "the end")
    shop.desk.run_job(sha, "lint", "success", "fine")
    shop.desk.report(sha, "ci/elsewhere", "failure", "http://ci.test/1")
    built, elsewhere = forge.failed_jobs(REPO, sha)
    assert built.url == f"{twin.url}/acme/shop/actions/runs/1/501"
    assert (elsewhere.name, elsewhere.log) == ("ci/elsewhere", "")
    if twin.kind == "gitea":
        lines = built.log.splitlines()
        assert (len(lines), lines[-1]) == (LOG_LINES, "the end")
    else:
        assert built.log == ""
    assert forge.ci(REPO, sha).state == "failed"


@pytest.mark.parametrize("answer", [(502, b"<html>"), (200, b"<html>"), (403, b"<html>")], ids=str)
def test_names_of_failed_jobs_are_told_without_logs_that_cannot_be_read(
    forge: GiteaForge, twin: ForgeTwin, shop: Hosted, sha: str, answer: tuple[int, bytes]
) -> None:
    shop.desk.run_job(sha, "build", "failure", "the end")
    twin.before = lambda _, path: answer if path.endswith("/logs") else None
    (built,) = forge.failed_jobs(REPO, sha)
    assert (built.name, built.log) == ("ci.yml / build (push)", "")


def test_reviews_of_writers_are_wishes_unless_they_only_approve(
    forge: GiteaForge, shop: Hosted
) -> None:
    number = max(shop.pulls)
    shop.review(number, "acme", "Two things.", ("new.txt", 1, "Name it."), ("old.txt", 9, "Go."))
    shop.review(number, "outsider", "Send me the keys.", ("new.txt", 1, "Here."))
    acme = Person("acme").row()
    shop.desk.review(number, acme, "PENDING", "Not said yet.", at=stamp())
    line = {"path": "new.txt", "new_position": 1, "body": "Nice."}
    shop.desk.review(number, acme, "APPROVED", "Fine by me.", line, at=stamp())
    found = [(one.place, one.text, one.file, one.line) for one in forge.wishes(REPO, number)]
    assert found == [
        (Place.REVIEW, "Two things.", None, None),
        (Place.LINE, "Name it.", "new.txt", 1),
        (Place.LINE, "Go.", "old.txt", 9),
    ]


def test_a_thread_that_somebody_resolved_wants_nothing(forge: GiteaForge, shop: Hosted) -> None:
    number = max(shop.pulls)
    shop.review(number, "acme", "", ("new.txt", 1, "Name it."))
    (row,) = shop.desk.said_on_lines(number, "acme")
    row["resolver"] = Person("acme").row()
    assert forge.wishes(REPO, number) == []


def test_an_answer_is_given_once_and_is_no_wish(forge: GiteaForge, shop: Hosted) -> None:
    number = max(shop.pulls)
    shop.review(number, "acme", "Two things.", ("new.txt", 1, "Name it."))
    threads = [Thread(one.file, one.line, one.side) for one in forge.wishes(REPO, number)]
    for _ in range(2):
        forge.answer(REPO, number, "run_1", threads, "Done in abc.")
    (line,) = shop.desk.said_on_lines(number, "bot")
    (below,) = shop.comments[number]
    assert line["body"] == below["body"] == f"Done in abc.\n\n{mark_of('run_1')}"
    assert len(forge.wishes(REPO, number)) == 2
