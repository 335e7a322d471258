"""Settings of a project for what happens to its pull requests at a forge."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from app.domain.projects.autoland import AUTOLAND_SETTINGS
from app.domain.projects.setting import Kind, OpenPr, Part, ProjectSetting

REVIEW_ROUNDS = 5
MOST_ROUNDS = 20


class MergeStyle(StrEnum):
    """The way in which a forge merges a pull request."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"


def _rounds(name: str, **terms: Any) -> ProjectSetting:
    """Return the setting of how often agents are started again without a person."""
    return ProjectSetting(
        name=name, kind=Kind.NUMBER, part=Part.FORGE, least=0, most=MOST_ROUNDS, **terms
    )


_AT_THE_FORGE = (
    ProjectSetting(
        name="merge_style",
        kind=Kind.CHOICE,
        means="How its forge merges changes: with a merge commit, squashed into one, or rebased",
        more="The forge may not allow each of them.",
        default=MergeStyle.MERGE.value,
        label="Merges",
        hint="How the forge merges. It may not allow each of them.",
        part=Part.FORGE,
        choices=MergeStyle,
        labels={
            MergeStyle.MERGE.value: "A merge commit",
            MergeStyle.SQUASH.value: "Squashed into one commit",
            MergeStyle.REBASE.value: "Rebased, without a merge commit",
        },
    ),
    _rounds(
        "ci_rounds",
        default=0,
        means="How many times in a row an agent automatically fixes a change whose CI failed",
        more="Only for projects of a forge.",
        label="Fixes of red CI",
        hint=f"How many times in a row an agent fixes it automatically, 0 to {MOST_ROUNDS}.",
    ),
    _rounds(
        "review_rounds",
        default=REVIEW_ROUNDS,
        means="How many times in a row an agent automatically works through reviews at the forge",
        more="Only for projects of a forge. 0 leaves them to people.",
        label="Rounds of review",
        hint="How many times in a row an agent works through comments of people who may write to "
        f"the repository, 0 to {MOST_ROUNDS}.",
        beside=True,
    ),
    ProjectSetting(
        name="open_pr",
        kind=Kind.CHOICE,
        means="Who opens pull requests",
        more="Agents can do that only at a forge, signed in with their own account (pr_sign_in).",
        default=OpenPr.RUNYARD.value,
        label="Pull requests",
        hint="Who pushes the branch and opens the pull request.",
        part=Part.FORGE,
        choices=OpenPr,
        labels={
            OpenPr.RUNYARD.value: "Runyard opens them",
            OpenPr.AGENT.value: "Agents open them",
        },
    ),
    ProjectSetting(
        name="pr_sign_in",
        kind=Kind.LINE,
        means="The folder where gh or tea keeps the sign-in of the agents' own account",
        more="Runyard gives it only to agents that open pull requests.",
        label="Sign-in of the agents",
        hint="The folder where gh (GitHub) or tea (Forgejo, Gitea) is signed in with the agents' "
        "own account, such as ~/.config/gh-agents. Needed if agents open pull requests.",
        empty="none",
        part=Part.FORGE,
        beside=True,
        metavar="FOLDER",
        most=1000,
    ),
)

# what becomes of a change: by autoland, and at its forge
AFTER_DELIVERY = (*AUTOLAND_SETTINGS, *_AT_THE_FORGE)
