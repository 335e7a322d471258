"""Accounts at their usage limit: held, probed by one run, then released one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.agents.prompts import CONTINUE
from app.domain.usage_limits import HEAD_START, LONG_ENOUGH, MAX_RESUMES, NEXT_PROBE, STAGGER
from app.errors import AccountHeld, NotFound, NotResumable, StillLive
from app.records.feed import Numbered
from app.records.people.audit_ledger import Deed
from app.records.tables import Run
from app.services.kept.retry import RetryOptions
from tests.fakes.limited_agents import HOUR, SESSION, Limited, install_claude, limited


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Limited]:
    for name, value in install_claude(tmp_path / "bin").items():
        monkeypatch.setenv(name, value)
    with limited(tmp_path / "data") as yard:
        yield yard


def test_a_limit_holds_the_account_and_keeps_the_line_as_evidence(yard: Limited) -> None:
    run = yard.meet_limit(yard.order(yard.project()))
    assert (run.status, run.cause, run.is_strike) == ("limited", "usage_limit", False)
    hold = yard.hold()
    assert (hold.agent, hold.family, hold.run_id, hold.hits) == ("claude", "", run.id, 1)
    assert hold.until is not None
    assert timedelta(seconds=60) <= hold.until - yard.now - HOUR <= timedelta(minutes=5)
    assert "limit" in hold.evidence
    assert any("until" in line for line in yard.lines(run))


def test_while_it_is_held_nobody_starts_and_nothing_is_written(yard: Limited) -> None:
    project = yard.project()
    run = yard.meet_limit(yard.order(project))
    number = yard.plane.add_issue(project)
    before = yard.plane.ledgers.runs.newest_of(project.id, limit=10)
    services = yard.plane.services
    for start in (
        lambda: yard.order(project),
        lambda: services.afk.start(project.id, number, yard.plane.requester(), yard.now),
        lambda: services.retry.retry(run.id, RetryOptions(), yard.plane.requester(), yard.now),
    ):
        with pytest.raises(AccountHeld) as held:
            start()
        assert held.value.members["until"] == yard.hold().until
    assert yard.plane.ledgers.runs.newest_of(project.id, limit=10) == before
    # runs due after the hold, and those of other agents, are accepted
    assert yard.order(project, delay_seconds=2 * 3600).status == "delayed"
    other = yard.plane.add_project(yard.world)
    assert yard.order(other).status == "running"


def test_the_loop_waits_and_says_until_when(yard: Limited) -> None:
    project = yard.project()
    yard.meet_limit(yard.order(project))
    yard.plane.add_issue(project)
    deed = Deed(yard.plane.person, "auto", "by a person", "test", project.id)
    yard.plane.services.afk.set_auto(project.id, deed, yard.now, enabled=True)
    yard.tick()
    assert yard.plane.services.afk.plan(project.id, yard.now).because.startswith(
        "the usage limit of claude is reached, until "
    )
    assert len(yard.world.launches) == 1


def test_a_run_that_waits_stays_queued_with_the_time_in_its_hold(yard: Limited) -> None:
    project = yard.project()
    first = yard.order(project)
    late = yard.order(project, delay_seconds=60)
    yard.meet_limit(first)
    yard.tick(after=60)
    waits = yard.run(late.id)
    until = f"{yard.hold().until:%d %b %H:%M} UTC"
    assert (waits.status, until in (waits.hold or "")) == ("queued", True)


def test_at_the_reset_one_resume_goes_first_with_the_agents_own_session(yard: Limited) -> None:
    project = yard.project()
    runs = [yard.order(project) for _ in range(3)]
    for run in runs:
        yard.world.commit(run.id)
        yard.meet_limit(run)
    assert yard.hold().hits == 1
    yard.tick(after=HOUR)
    assert len(yard.world.launches) == 3
    yard.pass_limit()
    (heir,) = yard.heirs(runs[0])
    assert yard.world.launches[3:] == [heir.id]
    assert (heir.trigger, heir.status, heir.retry_of) == ("resume", "running", runs[0].id)
    assert (heir.work_branch, heir.charged_to) == (runs[0].work_branch, None)
    assert (heir.session_id, heir.resumes) == (SESSION, 1)
    order = yard.world.orders[heir.id]
    assert order.argv[-2:] == ["--resume", SESSION]
    assert (order.prompt, order.reads_prompt) == (CONTINUE, True)
    assert heir.id in yard.world.copies
    # the others follow one by one once it has made progress
    yard.tick(after=STAGGER)
    assert len(yard.world.launches) == 4
    yard.work(heir)
    yard.tick()
    assert len(yard.world.launches) == 5
    yard.tick()
    assert len(yard.world.launches) == 5
    yard.tick(after=STAGGER)
    assert len(yard.world.launches) == 6
    assert [yard.heirs(run)[0].status for run in runs] == ["running"] * 3
    # no run waits any longer
    yard.tick(after=STAGGER)
    assert yard.plane.services.limits.ledger.all() == []
    assert [yard.deliver(yard.heirs(run)[0]).status for run in runs] == ["succeeded"] * 3


def test_a_queued_run_follows_after_the_resume(yard: Limited) -> None:
    project = yard.project()
    first, late = yard.order(project), yard.order(project, delay_seconds=60)
    yard.meet_limit(first)
    yard.tick(after=60)
    yard.pass_limit()
    assert yard.run(late.id).status == "queued"
    assert "one run tries it first" in (yard.run(late.id).hold or "")
    yard.deliver(yard.heirs(first)[0])
    yard.tick()
    assert yard.run(late.id).status == "running"


def test_without_anything_to_resume_the_first_that_comes_tries_it(yard: Limited) -> None:
    project = yard.project(resume_after_limit=False)
    yard.meet_limit(yard.order(project))
    yard.tick(after=yard.hold().until - yard.now + HEAD_START)  # type: ignore[operator]
    first, second = yard.order(project), yard.order(project)
    assert (first.status, second.status) == ("running", "queued")
    assert yard.hold().probe_run_id == first.id
    yard.deliver(first)
    yard.tick()
    assert yard.run(second.id).status == "running"


def test_a_first_one_that_meets_the_limit_again_renews_the_hold(yard: Limited) -> None:
    run = yard.order(yard.project())
    yard.meet_limit(run, None)
    waits = []
    for hits in range(1, 4):
        assert yard.hold().hits == hits
        waits.append(yard.hold().until - yard.now)  # type: ignore[operator]
        yard.pass_limit()
        yard.meet_limit(yard.heirs(run)[-1], None)
    assert waits == [timedelta(minutes=minutes) for minutes in (15, 30, 60)]


def test_after_five_resumes_in_a_row_a_person_decides(yard: Limited) -> None:
    run = yard.order(yard.project())
    yard.meet_limit(run)
    for _ in range(MAX_RESUMES):
        yard.pass_limit()
        yard.meet_limit(yard.heirs(run)[-1])
    heirs = yard.heirs(run)
    assert [heir.resumes for heir in heirs] == [1, 2, 3, 4, 5]
    assert any("a person decides" in line for line in yard.lines(heirs[-1]))
    yard.pass_limit()
    yard.tick(after=HEAD_START)
    assert len(yard.heirs(run)) == MAX_RESUMES
    # a person's resume starts a new series
    resumed = resume(yard, heirs[-1])
    assert (resumed.status, resumed.resumes) == ("running", 0)


def resume(yard: Limited, run: Run) -> Run:
    now = yard.plane.clock.advance(1)
    accepted = yard.plane.services.resume.resume(run.id, yard.plane.requester(), now)
    yard.plane.rest()
    return yard.run(accepted.run.id)


def test_a_person_resumes_at_once_and_the_others_wait_for_what_comes_of_it(yard: Limited) -> None:
    project = yard.project()
    runs = [yard.order(project) for _ in range(2)]
    for run in runs:
        yard.meet_limit(run)
    heir = resume(yard, runs[1])
    assert (heir.status, heir.trigger, heir.created_by) == ("running", "resume", yard.plane.person)
    assert yard.hold().probe_run_id == heir.id
    yard.tick()
    assert yard.heirs(runs[0]) == []
    yard.work(heir)
    yard.tick()
    assert yard.heirs(runs[0])[0].status == "running"


def test_a_limit_that_only_a_person_ends_is_not_tried_by_itself(yard: Limited) -> None:
    run = yard.order(yard.project())
    yard.world.say(run.id, '{"type":"result","is_error":true,"result":"Credit balance is too low"}')
    yard.end(run, 1)
    assert yard.hold().until is None
    with pytest.raises(AccountHeld) as held:
        yard.order(yard.project())
    assert held.value.members == {"until": None}
    yard.tick(after=timedelta(days=9))
    assert yard.heirs(run) == []
    deed = Deed(yard.plane.person, "lift hold", "by a person", "test")
    yard.plane.services.limits.lift("claude", "", deed, yard.now)
    yard.tick()
    assert yard.heirs(run)[0].status == "running"
    with pytest.raises(NotFound):
        yard.plane.services.limits.lift("codex", "", deed, yard.now)


def test_a_project_may_opt_out(yard: Limited) -> None:
    run = yard.order(yard.project(resume_after_limit=False))
    yard.meet_limit(run)
    yard.pass_limit()
    yard.tick(after=HEAD_START)
    assert yard.heirs(run) == []
    assert resume(yard, run).status == "running"


def test_a_limit_of_some_models_holds_those_alone(yard: Limited) -> None:
    project = yard.project()
    yard.meet_limit(yard.order(project, model="opus"), family="opus")
    assert yard.hold().family == "opus"
    with pytest.raises(AccountHeld):
        yard.order(project, model="claude-opus-4")
    assert yard.order(project, model="sonnet").status == "running"


def test_another_sign_in_is_not_held(yard: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    project = yard.project()
    run = yard.meet_limit(yard.order(project))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "two")
    assert yard.order(project).status == "running"
    yard.tick()
    assert yard.heirs(run)[0].status == "running"


@pytest.mark.parametrize("code", [1, 0])
def test_a_first_one_that_shows_nothing_leaves_its_place_to_another(
    yard: Limited, code: int
) -> None:
    project = yard.project()
    runs = [yard.order(project) for _ in range(2)]
    for run in runs:
        yard.meet_limit(run)
    yard.pass_limit()
    yard.end(yard.heirs(runs[0])[0], code)
    yard.tick()
    assert yard.heirs(runs[1]) == []
    yard.tick(after=NEXT_PROBE)
    assert yard.hold().probe_run_id == yard.heirs(runs[1])[0].id


def test_who_has_worked_long_enough_has_shown_that_the_account_works(yard: Limited) -> None:
    project = yard.project()
    runs = [yard.order(project) for _ in range(2)]
    for run in runs:
        yard.meet_limit(run)
    yard.pass_limit()
    yard.tick(after=LONG_ENOUGH)
    assert yard.heirs(runs[1])[0].status == "running"


def test_a_run_that_a_person_retried_or_stopped_is_not_resumed(yard: Limited) -> None:
    project = yard.project()
    first = yard.order(project)
    second = yard.meet_limit(yard.order(project))
    yard.meet_limit(first)
    heir = resume(yard, first)
    yard.plane.services.stopper.stop(heir.id, "by a person", yard.now)
    yard.plane.rest()
    yard.plane.reaper.reap_once(heir.id)
    yard.tick(after=NEXT_PROBE + STAGGER)
    yard.tick(after=HOUR + HOUR)
    assert len(yard.heirs(first)) == 1
    assert len(yard.heirs(second)) == 1


def test_what_cannot_be_resumed_says_so(yard: Limited) -> None:
    project = yard.project()
    live = yard.order(project)
    with pytest.raises(StillLive):
        resume(yard, live)
    with pytest.raises(NotResumable):
        resume(yard, yard.deliver(live))
    requester = yard.plane.requester()
    with pytest.raises(NotFound):
        yard.plane.services.resume.resume("run_none", requester, yard.now)


def test_the_holds_are_listed_with_those_that_wait(yard: Limited) -> None:
    project = yard.project()
    first, late = yard.order(project), yard.order(project, delay_seconds=60)
    yard.meet_limit(first)
    yard.tick(after=60)
    (view,) = yard.plane.services.limits.views(yard.now)
    assert (view.hold.run_id, view.stand, view.waiting) == (first.id, "held", 2)
    assert yard.run(late.id).status == "queued"


def test_what_was_taken_before_the_limit_is_not_launched_and_comes_again(yard: Limited) -> None:
    project = yard.project()
    first = yard.order(project)

    def meet() -> None:
        yard.world.while_fetching = lambda: None
        yard.meet_limit(first, waits=False)

    yard.world.while_fetching = meet
    late = yard.order(project)
    assert (late.status, late.cause) == ("not_started", "usage_limit")
    assert "until" in (late.because or "")
    assert late.id not in yard.world.launches
    assert late.may_resume
    yard.pass_limit()
    yard.deliver(yard.heirs(first)[0])
    yard.tick(after=STAGGER)
    assert yard.heirs(late)[0].status == "running"
    assert yard.world.orders[yard.heirs(late)[0].id].prompt != CONTINUE


def test_a_try_by_hand_that_shows_nothing_leaves_the_account_its_time(yard: Limited) -> None:
    run = yard.meet_limit(yard.order(yard.project()))
    until = yard.hold().until
    yard.end(resume(yard, run), 1)
    yard.tick()
    assert (yard.hold().until, yard.hold().probe_run_id) == (until, None)


def test_what_was_discarded_is_not_resumed(yard: Limited) -> None:
    run = yard.meet_limit(yard.order(yard.project()))
    deed = Deed(yard.plane.person, "discard", "by a person", "test", run.project_id, run.id)
    branch = run.work_branch
    yard.plane.services.parked.discard(run.project_id, branch, branch, deed, yard.now)
    yard.plane.rest()
    yard.pass_limit()
    assert yard.heirs(run) == []
    assert not yard.run(run.id).may_resume


def test_a_resume_that_is_too_late_leaves_its_run_to_be_resumed_once(yard: Limited) -> None:
    project = yard.project()
    first, other = yard.order(project), yard.order(project)
    yard.meet_limit(first)

    def meet() -> None:
        yard.world.while_fetching = lambda: None
        yard.meet_limit(other, family="opus", waits=False)

    yard.world.while_fetching = meet
    late = resume(yard, first)
    assert (late.status, late.cause) == ("not_started", "usage_limit")
    yard.tick(after=HOUR + HOUR)
    yard.deliver(yard.heirs(first)[-1])
    yard.tick(after=HOUR)
    assert [run.status for run in yard.heirs(first)] == ["succeeded"]
    assert yard.heirs(late) == []


def test_the_time_of_each_hold_is_told_once(yard: Limited) -> None:
    project = yard.project(resume_after_limit=False)
    for family in ("opus", "sonnet"):
        yard.meet_limit(yard.order(project, model=family), family=family)
    yard.tick(after=HOUR + HOUR)
    told: list[Numbered] = []
    yard.plane.feed.subscribe(told.append)
    yard.tick()
    assert told == []


def test_a_clock_that_is_set_back_makes_nobody_wait_a_day_for_a_turn(yard: Limited) -> None:
    project = yard.project()
    runs = [yard.order(project) for _ in range(3)]
    for run in runs:
        yard.meet_limit(run)
    yard.pass_limit()
    yard.work(yard.heirs(runs[0])[0])
    yard.tick()
    yard.tick(after=-24 * HOUR)
    yard.tick(after=STAGGER)
    assert [yard.heirs(run)[0].status for run in runs] == ["running"] * 3


@pytest.mark.parametrize("template", ["nightly", "fix-tests", "prompt"])
def test_a_resume_keeps_the_template_of_its_run_and_is_only_told_to_continue(
    yard: Limited, template: str
) -> None:
    project = yard.project(prompt="Mine: {{task}}")
    yard.plane.services.templates.add(
        project.id, "nightly", "Do {{task}}", "ann", yard.now, is_default=True
    )
    run = yard.order(project, template=template)
    yard.meet_limit(run)
    yard.pass_limit()
    (heir,) = yard.heirs(run)
    assert (heir.status, heir.session_id) == ("running", SESSION)
    assert yard.world.orders[heir.id].prompt == CONTINUE
    assert heir.provenance["template"] == run.provenance["template"] == f"{template}@1"


def test_what_was_said_while_the_account_was_held_reaches_the_agent_that_resumes(
    yard: Limited,
) -> None:
    project = yard.project()
    issue = yard.plane.add_issue(project)
    yard.plane.services.issues.comment(project.id, issue, "ada", "Before.", yard.now)
    yard.plane.clock.advance(1)
    run = yard.meet_limit(yard.order(project, issue=issue, task=None))
    later = yard.plane.clock.advance(1)
    yard.plane.services.issues.comment(project.id, issue, "bob", "Only on Mondays.", later)
    yard.pass_limit()
    (heir,) = yard.heirs(run)
    told = yard.world.orders[heir.id].prompt
    assert told.startswith(CONTINUE)
    assert told.endswith(" (new)\n> Only on Mondays.\n")
    assert "Before." not in told
