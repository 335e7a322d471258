"""What is different at GitHub: its pull requests, its issues, and who may write there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.services.ports import ChangeOrder, DiffStat, ForgeSilent, Repository
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.github.rows import said
from tests.fakes.forges.github.twin import GithubTwin, github_with_shop

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STAT = DiffStat(commits=1, files_changed=1, additions=1, deletions=0)
REPO = Repository("proj_1", "", full_name="acme/shop")
ORDER = ChangeOrder(
    run_id="run_1",
    title="Mend it",
    body="Closes #1",
    base="main",
    branch="afk/1",
    base_sha="a" * 40,
    head_sha="b" * 40,
    stat=STAT,
    closes=1,
)


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[GithubTwin]:
    """A GitHub with the repository acme/shop."""
    with github_with_shop(tmp_path / "github") as twin:
        yield twin


@pytest.fixture
def shop(twin: GithubTwin) -> GithubHosted:
    """The repository, with an issue and a branch for it."""
    hosted = twin.hosted["acme/shop"]
    assert isinstance(hosted, GithubHosted)
    hosted.write("Broken", "", "ready-for-agent")
    hosted.git.commit(hosted.place, "afk/1", "mended.txt", "mended\n")
    return hosted


@pytest.fixture
def pauses() -> list[float]:
    """How long the adapter paused."""
    return []


@pytest.fixture
def forge(twin: GithubTwin, pauses: list[float]) -> Iterator[GithubForge]:
    """The adapter."""
    client = GithubClient(
        f"{twin.url}/api/v3", TokenSignIn("TOKEN_BOT"), pause=lambda _: None, pick=lambda *_: 0.0
    )
    yield GithubForge(client, pause=pauses.append)
    client.close()


# --- opening ---------------------------------------------------------------------------------


def test_a_request_with_red_checks_is_a_draft_until_a_follow_up_made_them_green(
    forge: GithubForge, shop: GithubHosted
) -> None:
    opened = forge.open_change(REPO, replace(ORDER, draft=True), now=NOW)
    row = shop.pulls[opened.number]
    assert (row["draft"], row["title"]) == (True, "Mend it")
    forge.update_change(REPO, opened.number, head_sha="c" * 40, stat=STAT, draft=False)
    assert not row["draft"]
    forge.update_change(REPO, opened.number, head_sha="c" * 40, stat=STAT, draft=True, note="Red.")
    assert row["draft"]
    assert row["body"].endswith("\n\nRed.")


def test_where_there_are_no_drafts_the_title_says_so(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.has_drafts = False
    opened = forge.open_change(REPO, replace(ORDER, draft=True), now=NOW)
    row = shop.pulls[opened.number]
    assert (row["draft"], row["title"]) == (False, "WIP: Mend it")
    change = forge.change(REPO, opened.number)
    assert change is not None
    assert change.title == "Mend it"
    forge.update_change(REPO, opened.number, head_sha="c" * 40, stat=STAT, draft=False)
    assert row["title"] == "Mend it"


def test_a_branch_that_is_not_known_yet_is_waited_for(
    forge: GithubForge, shop: GithubHosted, pauses: list[float]
) -> None:
    shop.unknown_branches = 3
    opened = forge.open_change(REPO, ORDER, now=NOW)
    assert (opened.number in shop.pulls, len(pauses)) == (True, 3)


def test_a_refused_opening_is_told_in_githubs_words_and_not_tried_again(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin, pauses: list[float]
) -> None:
    error = {"resource": "PullRequest", "code": "custom", "message": "No commits between a and b"}
    refusal = said(422, "Validation Failed", errors=[error])
    twin.before = lambda method, _: refusal if method == "POST" else None
    with pytest.raises(ForgeSilent, match="No commits between a and b"):
        forge.open_change(REPO, ORDER, now=NOW)
    assert (pauses, twin.calls("POST", "/pulls")) == ([], 1)


def test_a_refused_opening_without_a_sentence_names_the_field_and_what_is_wrong_with_it(
    forge: GithubForge, twin: GithubTwin
) -> None:
    errors = [{"resource": "PullRequest", "field": "title", "code": "missing_field"}]
    refusal = said(422, "Validation Failed", errors=errors)
    twin.before = lambda method, _: refusal if method == "POST" else None
    with pytest.raises(ForgeSilent, match="was refused: title: missing_field"):
        forge.open_change(REPO, ORDER, now=NOW)


@pytest.mark.parametrize("status", [500, 502, 0])
def test_a_lost_answer_to_an_opening_leads_to_no_second_request(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin, status: int
) -> None:
    def lose(method: str, path: str) -> Any:
        if method == "POST" and path.endswith("/pulls"):
            shop.open("afk/1", "main", "Mend it", "<!-- runyard:run_1 -->")
            twin.before = None
            return (status, {"message": "Server Error"}) if status else (0, None)
        return None

    twin.before = lose
    if status != 500:
        with pytest.raises(ForgeSilent):
            forge.open_change(REPO, ORDER, now=NOW)
    opened = forge.open_change(REPO, ORDER, now=NOW)
    assert [*shop.pulls] == [opened.number]


def test_the_request_of_somebody_else_on_this_branch_into_another_base_does_not_stop_ours(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.git.commit(shop.place, "next", "next.txt", "next\n")
    ours = forge.open_change(REPO, ORDER, now=NOW)
    shop.open("afk/1", "next", "The same, there", "")
    assert forge.open_change(REPO, ORDER, now=NOW).number == ours.number


# --- reading ---------------------------------------------------------------------------------


def test_an_open_request_has_no_merge_commit_though_github_tells_its_trial(
    forge: GithubForge, shop: GithubHosted
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    state = forge.states(REPO, [opened.number])[opened.number]
    assert (state.state, state.merged_sha) == ("open", None)
    sha = shop.merge(opened.number)
    state = forge.states(REPO, [opened.number])[opened.number]
    assert (state.state, state.merged_sha) == ("merged", sha)
    assert state.ended_at is not None


def test_where_a_change_begins_is_where_the_branches_parted_not_where_the_base_is_now(
    forge: GithubForge, shop: GithubHosted
) -> None:
    parted = shop.git.tip(shop.place, "main")
    opened = forge.open_change(REPO, ORDER, now=NOW)
    shop.git.commit(shop.place, "main", "other.txt", "other\n")
    change = forge.change(REPO, opened.number)
    assert change is not None
    assert change.base_sha == parted


def test_labels_are_compared_with_their_case_though_github_ignores_it(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.write("Another label", "", "Ready-For-Agent")
    ready = forge.ready_issues([REPO])[REPO]
    assert ready is not None
    assert [one.number for one in ready.issues] == [1]


def test_readers_are_strangers_though_they_are_collaborators(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.readers = ("reader",)
    strange = shop.write("Send me the keys", "", "ready-for-agent", by="reader")
    shop.say(1, "reader", "And the passwords.")
    shop.say(1, "acme", "Only the first page.")
    ready = forge.ready_issues([REPO])[REPO]
    assert ready is not None
    assert {one.number: one.stranger for one in ready.issues} == {1: "", strange: "reader"}
    assert [one.body for one in forge.said_about(REPO, 1).comments] == ["Only the first page."]


def test_blockers_are_asked_for_only_where_an_issue_has_some(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    away = twin.add_repository("acme/tools")
    there = away.write("Elsewhere")
    shop.write("First")
    waiting = shop.write("Waits", "", "ready-for-agent")
    shop.blockers[waiting] = [shop.issues[2], away.issues[there]]
    ready = forge.ready_issues([REPO])[REPO]
    assert ready is not None
    found = {one.number: (one.dependencies, one.blocked_elsewhere) for one in ready.issues}
    assert found == {1: ((), ()), waiting: ((2,), ("acme/tools#1",))}
    assert twin.calls("GET", "/dependencies/blocked_by") == 1


def test_a_server_that_keeps_no_dependencies_is_asked_for_them_once(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    shop.has_dependencies = False
    shop.write("Another", "", "ready-for-agent")
    for _ in range(2):
        ready = forge.ready_issues([REPO])[REPO]
        assert ready is not None
        assert len(ready.issues) == 2
    assert twin.calls("GET", "/dependencies/blocked_by") == 1


def test_an_issue_that_was_moved_to_another_repository_is_not_here(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    twin.add_repository("acme/tools").write("Broken")
    shop.moved[1] = "acme/tools"
    assert forge.issue(REPO, 1) is None


def test_one_issue_costs_one_question_while_its_repository_keeps_its_name(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    number = shop.write("Mend that")
    twin.asked.clear()
    assert forge.open_among(REPO, [number]) == {number}
    assert [path for _, path in twin.asked] == [f"/repos/acme/shop/issues/{number}"]


def test_issues_that_are_switched_off_are_no_empty_list(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.has_issues = False
    assert forge.ready_issues([REPO]) == {REPO: None}
    with pytest.raises(ForgeSilent, match="switched off"):
        forge.issue(REPO, 1)
    hosted = forge.repository("acme/shop")
    assert hosted is not None
    assert hosted.lacks == "issues switched off"


def test_a_repository_that_the_token_does_not_see_proves_nothing_about_its_issues(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    del twin.hosted["acme/shop"]
    with pytest.raises(ForgeSilent):
        forge.issue(REPO, 1)
    assert forge.repository("acme/shop") is None


def test_pull_requests_that_are_switched_off_are_not_gone(
    forge: GithubForge, shop: GithubHosted
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    assert forge.change(REPO, opened.number + 1) is None
    shop.has_pull_requests = False
    with pytest.raises(ForgeSilent, match="switched off") as silence:
        forge.change(REPO, opened.number)
    assert silence.value.needs_attention


def test_branches_without_a_common_commit_have_no_place_where_they_parted(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    words = "No common ancestor between main and afk/1."
    twin.before = lambda _, path: said(404, words) if "/compare/" in path else None
    with pytest.raises(ForgeSilent, match="No common ancestor") as silence:
        forge.change(REPO, opened.number)
    assert silence.value.needs_attention


def test_where_branches_parted_is_asked_without_the_files_between_them(
    forge: GithubForge, shop: GithubHosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    told: list[Any] = []
    get = forge.client.get

    def listen(path: str, params: Any = None) -> Any:
        answer = get(path, params)
        told.extend([answer.row] if "/compare/" in path else [])
        return answer

    monkeypatch.setattr(forge.client, "get", listen)
    assert forge.change(REPO, opened.number) is not None
    assert [row.get("files") for row in told] == [None]


# --- what is told on an issue ---------------------------------------------------------------


def test_an_issue_is_told_of_a_run_by_one_comment_that_is_kept_up_to_date(
    forge: GithubForge, shop: GithubHosted
) -> None:
    # a mark can be copied by anybody
    shop.say(1, "outsider", "<!-- runyard:run_1 -->")
    told = forge.tell(REPO, 1, "run_1", "Runyard is working on this.", None)
    assert forge.tell(REPO, 1, "run_1", "Runyard is working on this.", None) == told
    assert forge.tell(REPO, 1, "run_1", "It succeeded.", told) == told
    bodies = [one["body"] for one in shop.comments[1]]
    assert bodies[1:] == ["It succeeded.\n\n<!-- runyard:run_1 -->"]
    shop.comments[1].pop()
    assert forge.tell(REPO, 1, "run_1", "It was merged.", told) == told
    assert len(shop.comments[1]) == 1
    assert forge.tell(REPO, 4711, "run_1", "Nobody.", None) is None


def test_a_label_is_made_where_it_is_missing_and_goes_again(
    forge: GithubForge, shop: GithubHosted
) -> None:
    assert forge.has_label(REPO, "ready-for-agent")
    assert not forge.has_label(REPO, "agent working/now")
    for _ in range(2):
        assert forge.add_label(REPO, 1, "agent working/now")
    labels = shop.issues[1]["labels"]
    assert [one["name"] for one in labels] == ["ready-for-agent", "agent working/now"]
    for _ in range(2):
        forge.drop_label(REPO, 1, "agent working/now")
    assert [one["name"] for one in labels] == ["ready-for-agent"]
    assert not forge.add_label(REPO, 4711, "agent working/now")


def test_a_label_whose_name_differs_by_case_is_the_same_to_github(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.add_label("Agent-Working")
    assert forge.add_label(REPO, 1, "agent-working")
    labels = shop.issues[1]["labels"]
    assert [one["name"] for one in labels] == ["ready-for-agent", "Agent-Working"]
    forge.drop_label(REPO, 1, "agent-working")
    assert [one["name"] for one in labels] == ["ready-for-agent"]
    # what makes an issue ready is compared exactly
    assert not forge.has_label(REPO, "agent-working")
    with pytest.raises(ForgeSilent, match="called Agent-Working there: rename it to agent-working"):
        forge.make_label(REPO, "agent-working")


# --- merging ---------------------------------------------------------------------------------


def test_a_merge_into_another_branch_than_the_default_one_closes_the_issue_too(
    forge: GithubForge, shop: GithubHosted
) -> None:
    shop.git.commit(shop.place, "next", "next.txt", "next\n")
    opened = forge.open_change(REPO, replace(ORDER, base="next"), now=NOW)
    head = shop.git.tip(shop.place, "afk/1")
    assert forge.merge(REPO, opened.number, head_sha=head, message="Merge it").sha
    assert shop.issues[1]["state"] == "closed"


def test_the_issue_of_a_merge_that_somebody_made_there_is_closed_once_it_is_noticed(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    shop.git.commit(shop.place, "next", "next.txt", "next\n")
    opened = forge.open_change(REPO, replace(ORDER, base="next"), now=NOW)
    shop.merge(opened.number)
    assert shop.issues[1]["state"] == "open"
    forge.settle(REPO, opened.number)
    assert shop.issues[1]["state"] == "closed"
    forge.settle(REPO, opened.number)
    assert sum(method == "PATCH" for method, _ in twin.asked) == 1


LASTING = {
    "issues switched off": said(410, "Issues has been disabled in this repository."),
    "archived": said(403, "Repository was archived so is read-only."),
    "refused": said(422, "Validation Failed", errors=[{"field": "state", "code": "invalid"}]),
    "away": (502, b"<html>"),
}


@pytest.mark.parametrize("case", LASTING)
def test_an_issue_that_cannot_be_closed_does_not_undo_the_news_of_a_merge(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin, case: str
) -> None:
    shop.git.commit(shop.place, "next", "next.txt", "next\n")
    opened = forge.open_change(REPO, replace(ORDER, base="next"), now=NOW)
    head = shop.git.tip(shop.place, "afk/1")

    def refuse(method: str, path: str) -> Any:
        is_off = case == "issues switched off" and path.endswith("/issues/1")
        is_close = method == "PATCH" and path.endswith("/issues/1")
        return LASTING[case] if is_off or is_close else None

    shop.has_issues = case != "issues switched off"
    twin.before = refuse
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert merged.sha == shop.git.tip(shop.place, "next")


@pytest.mark.parametrize("case", LASTING)
def test_an_issue_that_is_not_closed_says_whether_that_may_pass_by_itself(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin, case: str
) -> None:
    shop.git.commit(shop.place, "next", "next.txt", "next\n")
    opened = forge.open_change(REPO, replace(ORDER, base="next"), now=NOW)
    shop.merge(opened.number)
    shop.has_issues = case != "issues switched off"
    twin.before = lambda method, _: LASTING[case] if method == "PATCH" else None
    with pytest.raises(ForgeSilent) as silence:
        forge.settle(REPO, opened.number)
    assert silence.value.needs_attention is (case != "away")


def test_a_merge_that_github_tells_is_believed_though_a_replica_still_shows_it_open(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    shop.git.commit(shop.place, "next", "next.txt", "next\n")
    opened = forge.open_change(REPO, replace(ORDER, base="next"), now=NOW)
    head = shop.git.tip(shop.place, "afk/1")
    stale = 200, shop.pull_row(shop.pulls[opened.number], is_whole=True)
    twin.before = lambda method, path: (
        stale if method == "GET" and path.endswith(f"/pulls/{opened.number}") else None
    )
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert merged.sha == shop.git.tip(shop.place, "next")
    assert shop.issues[1]["state"] == "closed"


def test_what_the_rules_of_a_branch_refuse_is_told_at_once_in_githubs_words(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin, pauses: list[float]
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    head = shop.git.tip(shop.place, "afk/1")
    shop.refuses_merges = "Changes must be made through the merge queue."
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert (merged.sha, merged.because) == (None, "Changes must be made through the merge queue")
    assert (pauses, twin.calls("PUT", "/merge")) == ([], 1)


def test_the_last_words_of_a_merge_that_was_waited_for_in_vain_are_githubs(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin, pauses: list[float]
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    head = shop.git.tip(shop.place, "afk/1")
    shop.refuses_merges = "Base branch was modified. Review and try the merge again."
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert merged.because == "Base branch was modified. Review and try the merge again"
    assert 30 <= sum(pauses) <= 70


def test_a_merge_that_is_refused_says_githubs_reasons(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    errors = [{"resource": "PullRequest", "field": "merge_method", "code": "invalid"}]
    refusal = said(422, "Validation Failed", errors=errors)
    twin.before = lambda method, _: refusal if method == "PUT" else None
    merged = forge.merge(REPO, opened.number, head_sha="b" * 40, message="Merge it")
    assert merged.because == "merge_method: invalid"


def test_a_style_that_the_repository_forbids_is_told_and_no_other_one_is_taken(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    head = shop.git.tip(shop.place, "afk/1")
    shop.styles = ("rebase",)
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert (merged.sha, merged.has_conflicts) == (None, False)
    assert merged.because == "Merge commits are not allowed on this repository"
    assert twin.calls("PUT", "/merge") == 1
    assert forge.merge(REPO, opened.number, head_sha=head, message="It", style="rebase").sha
    assert shop.used_style == "rebase"


def test_what_github_is_still_computing_is_waited_for_with_an_end(
    forge: GithubForge, shop: GithubHosted, pauses: list[float]
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    head = shop.git.tip(shop.place, "afk/1")
    shop.computing = 1000
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert (merged.sha, merged.has_conflicts) == (None, False)
    assert "still computing" in merged.because
    assert 30 <= sum(pauses) <= 70


def test_a_conflict_and_a_changed_head_are_told_at_once(
    forge: GithubForge, shop: GithubHosted, pauses: list[float]
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    merged = forge.merge(REPO, opened.number, head_sha="d" * 40, message="Merge it")
    assert "Head branch was modified" in merged.because
    shop.git.commit(shop.place, "main", "mended.txt", "otherwise\n")
    head = shop.git.tip(shop.place, "afk/1")
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert (merged.sha, merged.has_conflicts, pauses) == (None, True, [])


def test_a_lost_answer_to_a_merge_is_found_out_by_reading(
    forge: GithubForge, shop: GithubHosted, twin: GithubTwin
) -> None:
    opened = forge.open_change(REPO, ORDER, now=NOW)
    head = shop.git.tip(shop.place, "afk/1")

    def lose(method: str, _: str) -> Any:
        if method == "PUT":
            shop.merge(opened.number)
            return 500, {"message": "Server Error"}
        return None

    twin.before = lose
    merged = forge.merge(REPO, opened.number, head_sha=head, message="Merge it")
    assert merged.sha == shop.git.tip(shop.place, "main")
    assert twin.calls("PUT", "/merge") == 1


# --- what it costs ---------------------------------------------------------------------------


def test_looks_at_many_projects_count_for_nothing_while_nothing_changes(
    forge: GithubForge, twin: GithubTwin, shop: GithubHosted
) -> None:
    repos: list[Repository] = []
    for number in range(20):
        name = f"acme/shop-{number}"
        # without a branch they need no repository of their own
        hosted = GithubHosted(name, number + 10, twin.url, shop.place, twin.git, ("bot",))
        hosted.write("Broken", "", "ready-for-agent")
        twin.hosted[name] = hosted
        repos.append(Repository(f"proj_{number}", "", full_name=name))
    first = forge.ready_issues(repos)
    counted = twin.counted
    # issues, who may write, and pull requests
    assert counted <= 3 * len(repos)
    for _ in range(2):
        assert forge.ready_issues(repos) == first
    assert twin.counted == counted
    assert None not in first.values()
