"""Prompts for agents: one maker for launch, preview and the page of a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.domain.agents.follow_ups import RedCheck, checks_text
from app.domain.agents.prompt_parts import (
    INSTRUCTIONS_FILE,
    ChangeBrief,
    ClosedChange,
    Comment,
    MergeBrief,
    ReviewComment,
    as_text,
    change_text,
    closed_text,
    comments_text,
    instructions_text,
    merge_text,
    review_text,
)
from app.domain.agents.templates import (
    BUILT_IN,
    BUILT_IN_NAME,
    BUILT_IN_REPORT,
    Template,
    fill,
    variables_in,
)
from app.domain.words import Delivers, Depth

DEPTHS = {
    Depth.QUICK: "Keep it small: the shortest change that does the job.",
    Depth.STANDARD: "Work as you would on a normal day: the change, its tests, no detours.",
    Depth.DEEP: "Take the time to understand the code first; cover edge cases with tests.",
}

GOES_ON = (
    "An earlier run began this task and left its work here: the commits of this branch and "
    "uncommitted files. Review both first, then continue from there."
)

# for an agent that resumes its session: it knows the rest
CONTINUE = (
    "A usage limit interrupted you; it is over now. Review the files and commits of this "
    "working copy, then continue where you left off and finish your task.\n"
)


@dataclass(frozen=True)
class Brief:
    """The facts that a prompt is made from.

    `guide` is the repository's own file of instructions, `instructions` the project's setting.
    `checks` are the required ones that failed in the last round of the work that the run continues,
    `review` the comments of people on it.
    """

    branch: str
    depth: Depth
    framework: str
    delivers: Delivers
    task: str | None = None
    issue: int | None = None
    issue_title: str = ""
    issue_body: str = ""
    continues: bool = False
    project: str = ""
    base: str = ""
    comments: tuple[Comment, ...] = ()
    closed: tuple[ClosedChange, ...] = ()
    review: tuple[ReviewComment, ...] = ()
    checks: tuple[RedCheck, ...] = ()
    change: ChangeBrief | None = None
    merge: MergeBrief | None = None
    guide: str = ""
    instructions: str = ""
    # the branch it is to be merged into, and the tool with which the agent opens its pull request
    target: str = ""
    opens_with: str = ""
    # the agent has a token with which it comments on its issue
    may_comment: bool = False


@dataclass(frozen=True)
class Prompt:
    """The text for an agent, and the template that made it; None for the built-in text."""

    text: str
    template: Template | None = None


def title_of(brief: Brief, template: Template | None = None) -> str:
    """Return a run's title: the issue's title, the first line of its task, or its template."""
    if brief.issue is not None:
        return brief.issue_title[:200]
    first = (brief.task or "").strip().partition("\n")[0].strip()
    return first[:120] or (template.name if template else BUILT_IN_NAME)


def template_for(
    brief: Brief, chosen: Template | None, setting: Template | None, default: Template | None
) -> Template | None:
    """Return the template that makes a run's prompt, None for the built-in text.

    A template that was `chosen` comes first. Otherwise an issue or a task goes into the project's
    setting `prompt`, if it has one; without both it is the project's `default` template, its
    setting, or the built-in template.
    """
    if chosen is not None:
        found = chosen
    elif brief.issue is not None or (brief.task or "").strip():
        return setting
    else:
        found = default or setting or BUILT_IN
    is_report = brief.delivers is Delivers.REPORT
    return BUILT_IN_REPORT if found == BUILT_IN and is_report else found


def make_prompt(brief: Brief, template: Template | None) -> Prompt:
    """Make the prompt of a run's first turn.

    What a template has no variable for follows its text, so that nothing people said is lost.
    """
    if template is None:
        return Prompt(as_text(_built_in(brief)))
    text = fill(template, _values(brief))
    if not template.is_older:
        text = f"{text.strip()}\n"
    rest = _left_out(brief, variables_in(template))
    if brief.continues:
        rest.append(GOES_ON)
    if brief.opens_with:
        rest.append(opening_text(brief))
    if brief.may_comment:
        rest.append(commenting_text(brief))
    if rest:
        text = "\n\n".join([text.rstrip(), *rest]).lstrip() + "\n"
    return Prompt(as_text(text), template)


def opening_text(brief: Brief) -> str:
    """Return how an agent is to deliver that opens its pull request itself."""
    into = f" into {brief.target}" if brief.target else ""
    closes = f", whose text says `Closes #{brief.issue}`" if brief.issue is not None else ""
    command = "gh pr create" if brief.opens_with == "gh" else "tea pulls create"
    return (
        "In this project you deliver your work yourself, whatever else is said about that: commit "
        f"to branch {brief.branch}, push it to origin, and open exactly one pull request of it"
        f"{into} with `{command}`{closes}. It must not be a draft. You are signed in for that."
    )


def commenting_text(brief: Brief) -> str:
    """Return how an agent comments on its own issue."""
    place = f"$RUNYARD_URL/api/v1/projects/$RUNYARD_PROJECT_ID/issues/{brief.issue}"
    return (
        f"While you work you may read issue #{brief.issue} (GET {place}), read its comments "
        f"(GET {place}/comments) and comment on it (POST there, with the JSON "
        '{"body": "…"}). Send the header `Authorization: Bearer $RUNYARD_TOKEN`. Where the program '
        f'runyard is installed: `runyard issues comment {brief.issue} -p "$RUNYARD_PROJECT" TEXT`. '
        "Nobody answers while you work."
    )


def continue_prompt(comments: Sequence[Comment]) -> Prompt:
    """Make the prompt of an agent that resumes its session, with comments that are new to it."""
    said = comments_text([one for one in comments if one.is_new])
    new = f"\nComments on the issue since then:\n\n{said}\n" if said else ""
    return Prompt(as_text(CONTINUE + new))


def _built_in(brief: Brief) -> str:
    parts = [_what(brief), *_around(brief), DEPTHS[brief.depth]]
    if brief.continues:
        parts.append(GOES_ON)
    if brief.framework != "auto":
        parts.append(f"Tests are written for {brief.framework}.")
    if brief.opens_with:
        where = f"You are on branch {brief.branch} in your own working copy."
        parts.append(f"{where} {opening_text(brief)}")
    elif brief.delivers is Delivers.CHANGE:
        parts.append(
            f"You are on branch {brief.branch} in your own working copy. Commit your work to this "
            "branch; do not push or open a pull request: Runyard does that."
        )
    else:
        parts.append("Report what you find; nothing you change will be delivered.")
    if brief.may_comment:
        parts.append(commenting_text(brief))
    return "\n\n".join([*parts, *_instructions(brief)]) + "\n"


def _what(brief: Brief) -> str:
    if brief.issue is None:
        return brief.task or "Run the tests of this repository and fix failures."
    text = f"Resolve issue #{brief.issue}: {brief.issue_title}\n\n{brief.issue_body}".rstrip()
    return f"{text}\n\n{brief.task}" if brief.task else text


def _left_out(brief: Brief, named: Collection[str]) -> list[str]:
    """Return the parts for which a template with these variables has no place."""
    task = (brief.task or "").strip() if "task" not in named else ""
    parts = [_issue_left_out(brief, named), f"Task:\n\n{task}" if task else ""]
    parts += _around(brief, named)
    if "instructions" not in named:
        parts += _instructions(brief)
    return [part for part in parts if part]


def _issue_left_out(brief: Brief, named: Collection[str]) -> str:
    if brief.issue is None:
        return ""
    head = "" if "issue.title" in named else f"Issue #{brief.issue}: {brief.issue_title}"
    body = "" if "issue.body" in named else brief.issue_body.strip()
    if body and not head:
        head = f"Text of issue #{brief.issue}:"
    return "\n\n".join(part for part in (head, body) if part)


def _around(brief: Brief, named: Collection[str] = ()) -> list[str]:
    """Return the change and what people and checks said, each kind under a line of its own.

    A kind that is among the `named` variables is left out.
    """
    said = (
        ("issue.comments", "Comments on the issue:", comments_text(brief.comments)),
        (
            "issue.comments",
            "Earlier changes for it that were not wanted:",
            closed_text(brief.closed),
        ),
        ("review", "Comments of the review:", review_text(brief.review)),
        ("checks", "Required checks that failed in the last round:", checks_text(brief.checks)),
    )
    is_change = brief.delivers is Delivers.CHANGE
    change = [change_text(brief.change, takes_commits=is_change)] if brief.change else []
    change += [merge_text(brief.merge)] if brief.merge else []
    told = [f"{heading}\n\n{text}" for name, heading, text in said if text and name not in named]
    return change + told


def _instructions(brief: Brief) -> list[str]:
    told = instructions_text(brief.guide, brief.instructions)
    heading = f"Instructions of this project ({INSTRUCTIONS_FILE} and its settings):"
    return [heading, told] if told else []


def _values(brief: Brief) -> dict[str, str]:
    # what was wrong with earlier changes belongs to what people said about the issue
    said = (comments_text(brief.comments), closed_text(brief.closed))
    return {
        "project.name": brief.project,
        "branch": brief.branch,
        "base": brief.base,
        "depth": str(brief.depth),
        "framework": brief.framework,
        "issue.number": "" if brief.issue is None else str(brief.issue),
        "issue.title": brief.issue_title,
        "issue.body": brief.issue_body,
        "issue.comments": "\n\n".join(part for part in said if part),
        "task": brief.task or "",
        "instructions": instructions_text(brief.guide, brief.instructions),
        "review": review_text(brief.review),
        "checks": checks_text(brief.checks),
    }
