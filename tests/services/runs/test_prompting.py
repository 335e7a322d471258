"""The prompts of runs: kept as the agents read them, and the same in a preview."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.agents.prompts import CONTINUE
from app.errors import Invalid
from app.records.tables import Project, Run, RunPrompt
from tests.builders.parked import discard
from tests.builders.repositories import commit_file, run_git
from tests.drivers.planes import DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane

READS = 'cat "$RUNYARD_PROMPT_FILE" > told.txt; git add -A; git commit -qm "Read it"'


def turns(plane: RealPlane, run: Run) -> list[RunPrompt]:
    return plane.services.prompts.of_run(run.id)


def text_of(plane: RealPlane, run: Run) -> str:
    (turn,) = turns(plane, run)
    return turn.text


def say(plane: RealPlane, project: Project, issue: int, words: str) -> None:
    plane.services.issues.comment(project.id, issue, "ada", words, plane.clock.advance(60))


def preview(plane: DrivenPlane, project: Project, **wishes: object) -> str:
    order = plane.order(project, **wishes)
    return plane.services.prompts.preview(order, plane.requester(), plane.clock()).text


def close_change(plane: RealPlane, project: Project, because: str) -> None:
    (change,) = [one for one in plane.services.changes.all(project.id) if one.state == "open"]
    plane.services.changes.close(project.id, change.number, plane.clock(), because)


def test_what_is_kept_is_what_the_agent_read(plane: RealPlane) -> None:
    project = plane.add_project(READS)
    issue = plane.add_issue(project, "Mend it", "It is broken.").number
    say(plane, project, issue, "Only on Mondays.")
    shown = preview(plane, project, issue=issue)
    done = plane.finish(project, issue=issue)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    read = run_git(mirror, "show", f"{done.head_sha}:told.txt")
    assert text_of(plane, done).strip() == read.strip() == shown.strip()
    assert "> Only on Mondays." in read
    assert (turns(plane, done)[0].n, done.provenance.get("template")) == (1, None)


def test_a_prompt_is_kept_before_its_agent_starts(plane: RealPlane) -> None:
    project = plane.add_project(READS, setup_command=["false"])
    refused = plane.launch(project, task="Do it.")
    assert refused.status == "not_started"
    assert text_of(plane, refused).startswith("Do it.\n")


def test_comments_after_the_last_run_are_new_and_reasons_are_told(plane: RealPlane) -> None:
    project = plane.add_project(READS)
    issue = plane.add_issue(project).number
    say(plane, project, issue, "Before.")
    first = plane.finish(project, issue=issue)
    assert "(new)" not in text_of(plane, first)
    say(plane, project, issue, "After.")
    close_change(plane, project, "It broke the build.")
    discard(plane, first, first.work_branch)
    text = preview(plane, project, issue=issue)
    assert "Comment by ada, 2026-" in text
    heads = [line for line in text.splitlines() if line.startswith("Comment by")]
    assert [head.endswith(" (new)") for head in heads] == [False, True]
    assert "was closed without a merge" in text
    assert "> It broke the build." in text


def test_instructions_are_those_of_the_base_commit_then_those_of_the_settings(
    plane: RealPlane,
) -> None:
    project = plane.add_project(READS)
    commit_file(Path(project.origin), "RUNYARD.md", "Use tabs.\n")
    plane.services.projects.change(project.id, instructions="Write few words.")
    done = plane.finish(project, task="Do it.")
    assert text_of(plane, done).endswith("Use tabs.\n\nWrite few words.\n")
    commit_file(Path(project.origin), "RUNYARD.md", "Use spaces.\n")
    assert "Use tabs." in preview(plane, project, task="Do it."), "as last fetched"


def test_a_run_without_task_and_issue_is_made_by_the_built_in_template(plane: RealPlane) -> None:
    project = plane.add_project(READS)
    accepted = plane.accept(plane.order(project))
    assert (accepted.title, accepted.provenance["template"]) == ("fix-tests", "fix-tests@1")
    plane.rest()
    done = plane.see_end(plane.run(accepted.id))
    (turn,) = turns(plane, done)
    assert (turn.template, turn.version) == ("fix-tests", 1)
    assert f"You are on branch {done.work_branch} in" in turn.text
    assert done.provenance["template"] == "fix-tests@1"


def test_a_run_that_waits_keeps_the_version_that_it_was_accepted_with(plane: RealPlane) -> None:
    project = plane.add_project(READS)
    templates, now = plane.services.templates, plane.clock()
    templates.add(project.id, "nightly", "First: {{task}}", "ann", now, is_default=True)
    waiting = plane.accept(plane.order(project, delay_seconds=3600))
    assert (waiting.title, waiting.provenance["template"]) == ("nightly", "nightly@1")
    templates.change(project.id, "nightly", "ann", now, text="Second: {{task}}")
    templates.remove(project.id, "nightly", now)
    plane.services.planned.start_now(waiting.id, "ann", plane.clock())
    plane.tick()
    done = plane.see_end(plane.run(waiting.id))
    assert text_of(plane, done) == "First:\n"
    assert done.provenance["template"] == "nightly@1"


def test_the_setting_prompt_makes_the_prompt_of_tasks_too(plane: RealPlane) -> None:
    project = plane.add_project(READS, prompt="Older: {task} on {branch}")
    plane.services.projects.change(project.id, prompt="Newer: {{task}} in {{project.name}}")
    done = plane.finish(project, task="Do it.")
    assert text_of(plane, done) == f"Newer: Do it. in {project.name}\n"
    assert done.provenance["template"] == "prompt@2"


@pytest.mark.parametrize("wanted", ["nightly", "nightly@9", "prompt", "x" * 200])
def test_an_unknown_template_is_refused_before_anything_is_written(
    twin: TwinPlane, wanted: str
) -> None:
    project = twin.add_project(READS)
    wishes = {"task": "Do it.", "template": wanted}
    with pytest.raises(Invalid, match="no template"):
        twin.accept(twin.order(project, **wishes))
    with pytest.raises(Invalid, match="no template"):
        preview(twin, project, **wishes)
    assert twin.rows() == []


@pytest.mark.parametrize(
    ("first", "task", "label"),
    [
        ("small", "this", "small@1"),
        ("fix-tests", "this", "fix-tests@1"),
        (None, None, "fix-tests@1"),
        ("prompt", "this", None),
    ],
)
def test_a_retry_has_the_template_of_its_run(
    twin: TwinPlane, first: str | None, task: str | None, label: str | None
) -> None:
    project, now = twin.add_project("exit 1", prompt="Mine: {{task}}"), twin.clock()
    templates = twin.services.templates
    templates.add(project.id, "small", "Only {{task}}", "a", now, is_default=False)
    if task is None:
        twin.services.projects.change(project.id, prompt="")
    died = twin.finish(project, task=task, template=first)
    # what new runs get by now is another text
    templates.add(project.id, "other", "Else: {{task}}", "a", now, is_default=True)
    templates.remove(project.id, "small", now)
    twin.services.projects.change(project.id, prompt="")
    again = twin.services.retry.retry_once(died.id, twin.requester(), twin.clock()).run
    assert again.provenance.get("template") == label


def test_an_agent_that_resumes_is_only_told_to_continue(plane: RealPlane) -> None:
    project = plane.add_project(READS)
    run = plane.finish(project, task="Do it.")
    run.session_id = "s-1"
    made = plane.services.prompts.first_turn(run, project, None, run.base_sha or "", continues=True)
    assert (made.text, made.template) == (CONTINUE, None)
