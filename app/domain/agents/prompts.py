"""Prompts for agents, from the project's template or Runyard's own."""

from __future__ import annotations

from dataclasses import dataclass

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
    """The facts that a prompt is built from."""

    branch: str
    depth: Depth
    framework: str
    delivers: Delivers
    task: str | None = None
    issue: int | None = None
    issue_title: str = ""
    issue_body: str = ""
    continues: bool = False


def title_of(brief: Brief) -> str:
    """Return a run's title: the issue's title, or the first line of its task."""
    if brief.issue is not None:
        return brief.issue_title[:200]
    first = (brief.task or "").strip().partition("\n")[0].strip()
    return first[:120] or f"{brief.depth.capitalize()} run, {brief.framework}"


def compose(brief: Brief, template: str | None) -> str:
    """Return the prompt; in a template, `{task}`, `{issue}`, `{branch}` … are replaced as text."""
    if template:
        return _fill(template, brief)
    parts = [_what(brief), DEPTHS[brief.depth]]
    if brief.continues:
        parts.append(GOES_ON)
    if brief.framework != "auto":
        parts.append(f"Tests are written for {brief.framework}.")
    if brief.delivers is Delivers.CHANGE:
        parts.append(
            f"You are on branch {brief.branch} in your own working copy. Commit your work to this "
            "branch; do not push or open a pull request: Runyard does that."
        )
    else:
        parts.append("Report what you find; nothing you change will be delivered.")
    return "\n\n".join(parts) + "\n"


def _what(brief: Brief) -> str:
    if brief.issue is None:
        return brief.task or "Run the tests of this repository and fix failures."
    text = f"Resolve issue #{brief.issue}: {brief.issue_title}\n\n{brief.issue_body}".rstrip()
    return f"{text}\n\n{brief.task}" if brief.task else text


def _fill(template: str, brief: Brief) -> str:
    values = {
        "{task}": brief.task or "",
        "{issue}": "" if brief.issue is None else str(brief.issue),
        "{title}": brief.issue_title,
        "{body}": brief.issue_body,
        "{branch}": brief.branch,
        "{depth}": str(brief.depth),
        "{framework}": brief.framework,
    }
    # single pass, so that braces in a value are not replaced
    pieces: list[str] = []
    rest = template
    while rest:
        found = [(rest.find(name), name) for name in values if name in rest]
        if not found:
            break
        at, name = min(found)
        pieces += [rest[:at], values[name]]
        rest = rest[at + len(name) :]
    return "".join([*pieces, rest])
