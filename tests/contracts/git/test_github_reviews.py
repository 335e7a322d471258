"""CI, reviews and answers at GitHub: statuses and check runs, threads and who may write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.forge.gitea_reviews import LOG_BYTES, LOG_LINES
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.adapters.forge.github.reviews import MOST_NOTED
from app.domain.tracker.ci import Ci, CiState
from app.domain.tracker.forges import Place, mark_of
from app.domain.words import Side
from app.services.ports import ForgeSilent, Repository, Thread
from tests.fakes.forges.github.desk import GithubDesk
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.github.twin import GithubTwin
from tests.fakes.forges.people import Person, stamp

REPO = Repository("proj_1", "", full_name="acme/shop")


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[GithubTwin]:
    """A GitHub with a pull request."""
    with GithubTwin(tmp_path / "github") as twin:
        twin.add_token("TOKEN_BOT")
        shop = twin.add_repository("acme/shop")
        shop.git.commit(shop.place, "afk/1", "new.txt", "new\n")
        shop.open("afk/1", "main", "Mend it", "")
        yield twin


@pytest.fixture
def shop(twin: GithubTwin) -> GithubHosted:
    """The repository."""
    hosted = twin.hosted["acme/shop"]
    assert isinstance(hosted, GithubHosted)
    return hosted


@pytest.fixture
def desk(shop: GithubHosted) -> GithubDesk:
    """Its statuses, check runs and reviews."""
    return shop.github_desk


@pytest.fixture
def sha(shop: GithubHosted) -> str:
    """The head of the pull request."""
    return shop.git.tip(shop.place, "afk/1")


@pytest.fixture
def forge(twin: GithubTwin) -> Iterator[GithubForge]:
    """The adapter, which asks again without pauses."""
    client = GithubClient(
        f"{twin.url}/api/v3", TokenSignIn("TOKEN_BOT"), pause=lambda _: None, pick=lambda *_: 0.0
    )
    yield GithubForge(client, pause=lambda _: None)
    client.close()


# --- CI --------------------------------------------------------------------------------------


def test_a_commit_without_reports_and_one_that_is_not_there_are_unknown(
    forge: GithubForge, sha: str
) -> None:
    # GitHub sums up no statuses as `pending`, and answers 404 or 422 for what it does not know
    assert forge.ci(REPO, sha) == Ci() == forge.ci(REPO, "0" * 40)


@pytest.mark.parametrize("hidden", ["status", "check-runs", "check-suites", "repository"])
def test_what_is_hidden_is_silence_whatever_the_rest_says(
    forge: GithubForge, twin: GithubTwin, desk: GithubDesk, sha: str, hidden: str
) -> None:
    desk.report(sha, "ci/test", "success")
    desk.run_job(sha, "build", "success", "")
    if hidden == "repository":
        del twin.hosted["acme/shop"]
    else:
        desk.hidden = (hidden,)
    with pytest.raises(ForgeSilent) as raised:
        forge.ci(REPO, sha)
    assert raised.value.needs_attention


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        (["success", "neutral", "skipped"], CiState.PASSED),
        (["success", "in_progress"], CiState.PENDING),
        (["queued", "failure"], CiState.FAILED),
        (["timed_out"], CiState.FAILED),
        (["cancelled"], CiState.FAILED),
        (["action_required"], CiState.FAILED),
        ([], CiState.PASSED),
    ],
    ids=str,
)
def test_statuses_and_check_runs_count_together_and_the_worst_wins(
    forge: GithubForge, desk: GithubDesk, sha: str, ends: list[str], state: CiState
) -> None:
    desk.report(sha, "ci/elsewhere", "success", "https://ci.test/1")
    for at, end in enumerate(ends):
        desk.run_job(sha, f"job {at}", end, "")
    found = forge.ci(REPO, sha)
    assert found.state is state
    assert len(found.failed) == (state is CiState.FAILED)


@pytest.mark.parametrize("hidden", ["status", "check-runs"])
def test_what_failed_is_told_though_the_rest_is_hidden(
    forge: GithubForge, desk: GithubDesk, sha: str, hidden: str
) -> None:
    desk.report(sha, "ci/elsewhere", "failure")
    desk.run_job(sha, "build", "failure", "the end")
    desk.hidden = (hidden,)
    name = "build" if hidden == "status" else "ci/elsewhere"
    assert forge.ci(REPO, sha).failed == (name,)
    assert [one.name for one in forge.failed_jobs(REPO, sha)] == [name]


def test_ci_has_not_passed_while_a_job_waits_for_another_one(
    forge: GithubForge, twin: GithubTwin, desk: GithubDesk, sha: str
) -> None:
    desk.run_job(sha, "build", "success", "")
    desk.waiting.add(sha)
    assert forge.ci(REPO, sha).state is CiState.PENDING
    desk.run_job(sha, "deploy", "in_progress", "")
    desk.waiting.clear()
    assert forge.ci(REPO, sha).state is CiState.PENDING
    assert twin.calls("GET", "/check-suites") == 1
    desk.jobs[-1]["conclusion"] = "success"
    # an App that runs nothing leaves its suite queued for good
    assert forge.ci(REPO, sha).state is CiState.PASSED


@pytest.mark.parametrize("conclusion", ["stale", "something_new"])
@pytest.mark.parametrize("others", [[], ["success"], ["success", "success"]], ids=len)
def test_a_job_that_does_not_say_how_it_ended_has_not_passed(
    forge: GithubForge,
    twin: GithubTwin,
    desk: GithubDesk,
    sha: str,
    conclusion: str,
    others: list[str],
) -> None:
    desk.report(sha, "ci/elsewhere", "success")
    run = {"id": 1, "name": "e2e", "status": "completed", "conclusion": conclusion}
    rows = [run] + [run | {"id": at, "conclusion": one} for at, one in enumerate(others, 2)]
    told = 200, {"total_count": len(rows), "check_runs": rows}
    twin.before = lambda _, path: told if path.endswith("/check-runs") else None
    with pytest.raises(ForgeSilent, match="does not say whether e2e passed") as silence:
        forge.ci(REPO, sha)
    assert silence.value.needs_attention
    desk.report(sha, "ci/elsewhere", "pending")
    assert forge.ci(REPO, sha).state is CiState.PENDING
    desk.report(sha, "ci/elsewhere", "failure")
    assert forge.ci(REPO, sha).state is CiState.FAILED


def test_a_list_that_is_cut_short_is_read_again_and_never_taken_for_whole(
    forge: GithubForge, twin: GithubTwin, desk: GithubDesk, sha: str
) -> None:
    run = {"id": 1, "name": "build", "status": "completed", "conclusion": "success"}
    totals = [2, 2, 1]
    told: list[int] = []

    def answer(_: str, path: str) -> Any:
        if not path.endswith("/check-runs"):
            return None
        told.append(totals[min(len(told), len(totals) - 1)])
        return 200, {"total_count": told[-1], "check_runs": [run]}

    twin.before = answer
    assert forge.ci(REPO, sha).state is CiState.PASSED
    totals[:], told[:] = [2], []
    with pytest.raises(ForgeSilent, match="1 of 2 check runs"):
        forge.ci(REPO, sha)


def test_a_status_that_failed_is_not_hidden_by_check_runs_that_passed(
    forge: GithubForge, desk: GithubDesk, sha: str
) -> None:
    desk.run_job(sha, "build", "success", "")
    desk.report(sha, "ci/elsewhere", "error", "https://ci.test/1")
    assert forge.ci(REPO, sha) == Ci(CiState.FAILED, "https://ci.test/1", ("ci/elsewhere",))


def test_all_pages_count_and_only_links_for_browsers_are_kept(
    forge: GithubForge, desk: GithubDesk, sha: str
) -> None:
    for number in range(120):
        desk.report(sha, f"ci/{number}", "success", f"https://ci.test/{number}")
        desk.run_job(sha, f"job {number}", "success", "")
    desk.report(sha, "ci/last", "failure", "javascript:alert(1)")
    assert forge.ci(REPO, sha) == Ci(CiState.FAILED, None, ("ci/last",))
    desk.run_job(sha, "last job", "failure", "")
    assert forge.ci(REPO, sha).failed == ("ci/last", "last job")


def test_a_job_that_two_events_ran_counts_once_by_its_worse_end(
    forge: GithubForge, desk: GithubDesk, sha: str
) -> None:
    for end in ("success", "failure", "success", "failure"):
        desk.run_job(sha, "build", end, "")
    assert forge.ci(REPO, sha).failed == ("build",)


def test_of_a_failed_check_run_its_words_and_annotations_are_told_and_no_log_is_fetched(
    forge: GithubForge, twin: GithubTwin, desk: GithubDesk, sha: str
) -> None:
    desk.run_job(sha, "lint", "success", "fine")
    desk.run_job(sha, "build", "failure", "line\n" * 500 + "make: *** no rule")
    desk.note("build", "src/cart.py", 7, "undefined name")
    desk.report(sha, "ci/elsewhere", "failure", "https://ci.test/1")
    elsewhere, built = forge.failed_jobs(REPO, sha)
    assert (elsewhere.name, elsewhere.url, elsewhere.log) == (
        "ci/elsewhere",
        "https://ci.test/1",
        "",
    )
    assert built.url is not None
    assert built.url.startswith(f"{twin.url}/acme/shop/runs/")
    lines = built.log.splitlines()
    assert len(lines) == LOG_LINES
    assert lines[-2:] == ["make: *** no rule", "src/cart.py:7: undefined name"]
    assert not [path for _, path in twin.asked if "logs" in path]


def test_what_a_check_run_says_is_bounded(forge: GithubForge, desk: GithubDesk, sha: str) -> None:
    desk.run_job(sha, "build", "failure", "ä" * LOG_BYTES)
    for _ in range(40):
        desk.note("build", "a.py", 1, "one\n" * 50)
    (built,) = forge.failed_jobs(REPO, sha)
    assert len(built.log.encode()) <= LOG_BYTES
    desk.logs = dict.fromkeys(desk.logs, "short\n" * 300)
    (built,) = forge.failed_jobs(REPO, sha)
    lines = built.log.splitlines()
    assert (len(lines), lines.count("short")) == (LOG_LINES, LOG_LINES - MOST_NOTED)


@pytest.mark.parametrize("answer", [(502, b"<html>"), (403, b"<html>"), (404, None)], ids=str)
def test_names_of_failed_jobs_are_told_without_annotations_that_cannot_be_read(
    forge: GithubForge, twin: GithubTwin, desk: GithubDesk, sha: str, answer: Any
) -> None:
    desk.run_job(sha, "build", "failure", "the end")
    desk.note("build", "src/cart.py", 7, "undefined name")
    twin.before = lambda _, path: answer if path.endswith("/annotations") else None
    (built,) = forge.failed_jobs(REPO, sha)
    assert (built.name, built.log) == ("build", "It ended\nthe end")


# --- reviews ---------------------------------------------------------------------------------


def test_reviews_of_writers_are_wishes_unless_they_only_approve(
    forge: GithubForge, shop: GithubHosted, desk: GithubDesk, sha: str
) -> None:
    number = max(shop.pulls)
    shop.readers = ("reader",)
    shop.review(number, "acme", "Two things.", ("new.txt", 1, "Name it."), ("old.txt", 9, "Go."))
    shop.review(number, "reader", "Send me the keys.", ("new.txt", 1, "Here."))
    acme = Person("acme").row()
    desk.review(number, acme, "PENDING", "Not said yet.", at=stamp())
    line = {"path": "new.txt", "new_position": 1, "body": "Nice."}
    asks = line | {"body": "@runyard explain it here"}
    desk.review(number, acme, "APPROVED", "Fine by me.", line, asks, at=stamp())
    desk.review(number, acme, "REQUEST_CHANGES", "Never mind.", at=stamp())
    desk.reviews[number][-1]["dismissed"] = True
    removed = {"path": "gone.txt", "old_position": 3, "body": "Keep this.", "sha": sha}
    desk.review(number, acme, "COMMENT", "", removed, at=stamp())
    shop.say(number, "acme", "Thanks!")
    shop.say(number, "acme", "@runyard add a test")
    found = [
        (one.place, one.text, one.file, one.line, one.side) for one in forge.wishes(REPO, number)
    ]
    assert found == [
        (Place.TALK, "@runyard add a test", None, None, Side.NEW),
        (Place.REVIEW, "Two things.", None, None, Side.NEW),
        (Place.LINE, "Name it.", "new.txt", 1, Side.NEW),
        (Place.LINE, "Go.", "old.txt", 9, Side.NEW),
        (Place.LINE, "@runyard explain it here", "new.txt", 1, Side.NEW),
        (Place.LINE, "Keep this.", "gone.txt", 3, Side.OLD),
    ]


def test_a_comment_whose_line_is_gone_since_stands_where_it_was_written(
    forge: GithubForge, shop: GithubHosted, desk: GithubDesk, sha: str
) -> None:
    number = max(shop.pulls)
    shop.review(number, "acme", "", ("new.txt", 1, "Name it."))
    desk.said_on_lines(number, "acme")[0]["is_outdated"] = True
    (wish,) = forge.wishes(REPO, number)
    assert (wish.file, wish.line, wish.sha) == ("new.txt", 1, sha)


def test_threads_that_somebody_resolved_want_nothing(
    forge: GithubForge, shop: GithubHosted, desk: GithubDesk
) -> None:
    number = max(shop.pulls)
    # more than a page of them
    lines = [("new.txt", line, f"Comment {line}.") for line in range(1, 6)]
    shop.review(number, "acme", "", *lines)
    rows = desk.said_on_lines(number, "acme")
    desk.answer(
        "POST",
        f"/pulls/{number}/comments/{rows[4]['id']}/replies",
        {},
        {"body": "I do it."},
        Person("acme").row(),
        stamp(),
    )
    for row in (rows[0], rows[4]):
        row["resolver"] = Person("acme").row()
    found = [one.text for one in forge.wishes(REPO, number)]
    assert found == ["Comment 2.", "Comment 3.", "Comment 4."]


def test_while_nobody_tells_which_threads_are_resolved_no_wish_is_known(
    forge: GithubForge, twin: GithubTwin, shop: GithubHosted
) -> None:
    number = max(shop.pulls)
    shop.review(number, "acme", "", ("new.txt", 1, "Name it."))
    odd = {"data": {"repository": {"pullRequest": None}}}
    for answer in ((502, b"<html>"), (200, odd)):
        twin.before = lambda _, path, told=answer: told if path == "/graphql" else None
        with pytest.raises(ForgeSilent):
            forge.wishes(REPO, number)


# --- answers ---------------------------------------------------------------------------------


def threads_of(forge: GithubForge, number: int) -> list[Thread]:
    """Return where the wishes of a pull request stand."""
    return [Thread(one.file, one.line, one.side) for one in forge.wishes(REPO, number)]


def test_an_answer_is_a_reply_in_each_thread_once_for_a_run_and_is_no_wish(
    forge: GithubForge, shop: GithubHosted, desk: GithubDesk
) -> None:
    number = max(shop.pulls)
    shop.review(number, "outsider", "", ("new.txt", 1, "Mine."))
    shop.review(number, "acme", "Two things.", ("new.txt", 1, "Name it."), ("new.txt", 2, "Go."))
    desk.said_on_lines(number, "acme")[1]["is_outdated"] = True
    wished = [row["id"] for row in desk.said_on_lines(number, "acme")]
    for _ in range(2):
        forge.answer(REPO, number, "run_1", threads_of(forge, number), "Done in abc.")
    said = desk.said_on_lines(number, "bot")
    assert [one["in_reply_to_id"] for one in said] == wished
    (below,) = shop.comments[number]
    whole = f"Done in abc.\n\n{mark_of('run_1')}"
    assert [one["body"] for one in said] == [whole, whole]
    assert below["body"] == whole
    assert len(forge.wishes(REPO, number)) == 3
    # another run answers again
    forge.answer(REPO, number, "run_2", threads_of(forge, number), "Done in def.")
    assert len(desk.said_on_lines(number, "bot")) == 4


def test_where_the_comment_is_gone_its_line_is_answered_and_else_the_request(
    forge: GithubForge, shop: GithubHosted, desk: GithubDesk
) -> None:
    number = max(shop.pulls)
    threads = [Thread("new.txt", 1), Thread("old.txt", 3, Side.OLD)]
    for _ in range(2):
        forge.answer(REPO, number, "run_1", threads, "Done in abc.")
    said = desk.said_on_lines(number, "bot")
    assert [(one["path"], one["position"], one["original_position"]) for one in said] == [
        ("new.txt", 1, 0),
        ("old.txt", 0, 3),
    ]
    assert number not in shop.comments
    desk.refuses_lines = True
    for _ in range(2):
        forge.answer(REPO, number, "run_2", threads, "Done in def.")
    (below,) = shop.comments[number]
    assert below["body"] == f"Done in def.\n\n{mark_of('run_2')}"


@pytest.mark.parametrize("ending", ["/replies", "/reviews"])
@pytest.mark.parametrize("status", [500, 0])
def test_a_lost_answer_to_an_answer_leads_to_no_second_one(
    forge: GithubForge,
    twin: GithubTwin,
    shop: GithubHosted,
    desk: GithubDesk,
    ending: str,
    status: int,
) -> None:
    number = max(shop.pulls)
    shop.review(number, "acme", "", ("new.txt", 1, "Name it."))
    threads = threads_of(forge, number)
    if ending == "/reviews":
        desk.lines = {one: [] for one in desk.lines}

    def lose(method: str, path: str) -> Any:
        if method != "POST" or not path.endswith(ending):
            return None
        twin.before = None
        body = {"body": mark_of("run_1"), "event": "COMMENT", "comments": []}
        if ending == "/reviews":
            body["body"] = ""
            body["comments"] = [{"path": "new.txt", "line": 1, "body": mark_of("run_1")}]
        desk.answer("POST", path.removeprefix("/repos/acme/shop"), {}, body, BOT, stamp())
        return status, {"message": "Server Error"}

    twin.before = lose
    with pytest.raises(ForgeSilent):
        forge.answer(REPO, number, "run_1", threads, "Done in abc.")
    forge.answer(REPO, number, "run_1", threads, "Done in abc.")
    assert len(desk.said_on_lines(number, "bot")) == 1
    assert number not in shop.comments


BOT = Person("bot").row()
