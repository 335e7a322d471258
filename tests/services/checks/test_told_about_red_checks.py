"""Runs on work whose checks failed: what they are told, and what an agent makes of it.

The agents of these tests change nothing but the line that their prompts name.
"""

from __future__ import annotations

import pytest

from app.records.tables import Project, Run
from app.services.kept.retry import RetryOptions
from tests.drivers.checked_runs import begin, check, ends, to_the_end
from tests.drivers.planes import RealPlane

WRONG = "printf 'one\\ntwo\\n' > answer.txt && git add -A && git commit -qm 'Answer'"
# reads, after the name of the check, which line of which file is to be what
OBEDIENT = r"""
said=$(sed -n '/^Check “tests” failed: /,$p' "$RUNYARD_PROMPT_FILE")
place=$(echo "$said" | sed -n 's/^\([a-z.]*\):\([0-9]*\): expected \(.*\)$/\1 \2 \3/p' | tail -n 1)
[ -n "$place" ] || exit 0
set -- $place
sed -i "$2s/.*/$3/" "$1" && git commit -qam "Put $3 into line $2 of $1"
"""
TESTS = (
    "[ \"$(sed -n 2p answer.txt)\" = right ] || { echo 'answer.txt:2: expected right'; exit 3; }"
)
SILENT = '[ "$(sed -n 2p answer.txt)" = right ]'


def obeying(plane: RealPlane, run: Run, **settings: object) -> Project:
    """Let the project's next runs do only what they are told."""
    command = ["sh", "-c", OBEDIENT]
    plane.clock.advance(60)
    plane.ledgers.projects.change(run.project_id, agent_command=command, **settings)
    return plane.project(run.project_id)


def told(plane: RealPlane, run: Run) -> str:
    return plane.services.prompts.of_run(run.id)[0].text


def answer(plane: RealPlane, run: Run) -> str | None:
    found = plane.adapters.mirrors.read_file(
        plane.repository(plane.project(run.project_id)), run.head_sha or "", "answer.txt", most=99
    )
    return found and found.text


def red_draft(plane: RealPlane, line: str = TESTS) -> tuple[Run, int]:
    """Return a run that delivered a draft with a red check, and the number of its change."""
    red = [check(line), check("exit 1", "style", required=False)]
    run = to_the_end(plane, begin(plane, WRONG, *red, check_rounds=0, on_red="deliver"))
    assert (run.cause, run.delivery and run.delivery["number"]) == ("delivered_red", 2)
    return run, 2


@pytest.mark.parametrize("prompt", ["", "{{task}}", "{{checks}}\n--"])
def test_a_run_on_a_red_draft_is_told_where_and_puts_it_right(
    plane: RealPlane, prompt: str
) -> None:
    first, number = red_draft(plane)
    project = obeying(plane, first, prompt=prompt)
    run = to_the_end(plane, plane.start_running(project, pr_number=number, task="Put it right."))
    assert (run.status, run.cause) == ("succeeded", "delivered"), run.because
    [change] = plane.services.changes.all(project.id)
    assert (change.draft, answer(plane, run)) == (False, "one\nright\n")
    text = told(plane, run)
    assert "Check “tests” failed: exit code 3\nCommand: /bin/sh -c " in text
    assert "style" not in text, "it is not required"
    assert f"change request #{number}, “Mend it”: branch afk/1, to be merged into main." in text
    assert "It closes issue #1. Your commits go to this change request" in text
    assert f"“Mend it”: commits: 1, files: 1 (+2 −0), up to {(first.head_sha or '')[:7]}\n" in text
    plane.clock.advance(60)
    after = plane.start_running(project, pr_number=number, task="Once more.")
    assert "Check “" not in told(plane, after), "the last round passed"


def test_what_a_check_does_not_say_reaches_nobody_and_it_stays_red(plane: RealPlane) -> None:
    first, number = red_draft(plane, SILENT)
    project = obeying(plane, first)
    run = to_the_end(plane, plane.start_running(project, pr_number=number, task="Put it right."))
    assert (run.status, run.cause) == ("died", "no_delivery")
    assert "It wrote nothing." in told(plane, run)
    [change] = plane.services.changes.all(project.id)
    assert (change.draft, answer(plane, first)) == (True, "one\ntwo\n")


@pytest.mark.parametrize(("source", "is_told"), [("parked", True), ("fresh", False)])
def test_a_retry_is_told_what_failed_of_the_work_that_it_continues(
    plane: RealPlane, source: str, is_told: bool
) -> None:
    first = to_the_end(plane, begin(plane, WRONG, check(TESTS), check_rounds=0))
    assert (first.cause, first.parked) == ("checks_failed", True)
    obeying(plane, first)
    accepted = plane.services.retry.retry(
        first.id,
        RetryOptions(source=source),  # type: ignore[arg-type]
        plane.requester(),
        plane.clock(),
    )
    plane.rest()
    run = to_the_end(plane, plane.run(accepted.run.id))
    assert ("Check “tests” failed: exit code 3" in told(plane, run)) is is_told
    assert ends(plane, run) == ([(1, "tests", "passed")] if is_told else [])
    assert run.status == ("succeeded" if is_told else "died")
