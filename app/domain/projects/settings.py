"""The settings of a project, each described once.

The API's schema, the page's form, the options of the command line and the table in
docs/operating.md read this table; a test holds that it agrees with the database's columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.domain.projects.allowed_agents import AGENT_TOKEN, ALLOWED_AGENTS
from app.domain.projects.approvals import APPROVAL_SETTINGS
from app.domain.projects.checks import CHECK_ROUNDS, MAX_CHECK_ROUNDS, MOST_CHECKS, OnRed
from app.domain.projects.forge_rules import AFTER_DELIVERY
from app.domain.projects.setting import Kind, Part, ProjectSetting
from app.domain.projects.tags import MAX_TAGS
from app.domain.sandbox.levels import (
    DEFAULT_PROCESSES,
    UNSANDBOXED,
    HostService,
    NetworkRule,
    SandboxLevel,
)
from app.domain.sandbox.settings import LIMIT_BOUNDS, MAX_LISTED
from app.domain.tracker.claims import CLAIM_SETTINGS
from app.domain.words import BUILTIN

MAX_SECONDS = 30 * 86400
UNSEEN = "Hidden from agents unless you allow them."
_CLOCK_HINT = "Hours:minutes:seconds, or whole minutes."


def _limit(name: str, label: str, means: str, **place: Any) -> ProjectSetting:
    bound = LIMIT_BOUNDS[name]
    return ProjectSetting(
        name=name,
        kind=Kind.LIMIT,
        means=means,
        label=label,
        hint="Empty: no limit.",
        empty="no limit",
        part=Part.CAPS,
        metavar="MB" if name.endswith("_mb") else "N",
        least=bound.least,
        most=bound.most,
        **place,
    )


_OF_THE_PROJECT = (
    ProjectSetting(
        name="name",
        kind=Kind.LINE,
        means="Its name on this server, which must be unique",
        usual="required",
        label="Name",
        hint="Its name here; its address stays the same.",
        part=Part.PROJECT,
        most=200,
    ),
    ProjectSetting(
        name="base_branch",
        kind=Kind.BRANCH,
        means="The branch that runs start from (default: origin's HEAD)",
        usual="origin's HEAD",
        label="Base branch",
        hint="Runs start from it, and changes are merged into it.",
        part=Part.PROJECT,
        beside=True,
    ),
    ProjectSetting(
        name="tags",
        kind=Kind.LINES,
        means="Words to find it by, such as web or billing",
        default=(),
        label="Tags",
        hint="Words to find it by, such as web. One per line.",
        part=Part.PROJECT,
        option="--tag",
        metavar="TAG",
        most=MAX_TAGS,
    ),
    ProjectSetting(
        name="tracker",
        kind=Kind.LINE,
        means="Where its issues live: builtin, or the id, name or kind of a forge",
        more="It cannot be changed later.",
        default=BUILTIN,
    ),
)
_OF_THE_AGENT = (
    ProjectSetting(
        name="agent",
        kind=Kind.LINE,
        means="An agent preset, or script",
        default="script",
        usual="required, unless a command is given",
        label="Agent",
        hint="A known command line (claude, codex, gemini, opencode, aider, …) or script for "
        "your own command.",
        part=Part.AGENT,
    ),
    ALLOWED_AGENTS,
    ProjectSetting(
        name="model",
        kind=Kind.LINE,
        means="The model of its runs, unless a run names another model or agent",
        usual="the agent's own",
        label="Model",
        hint="As the agent calls it, such as opus. For runs of this agent that name none.",
        empty="the agent's own",
        part=Part.AGENT,
        beside=True,
        most=200,
    ),
    ProjectSetting(
        name="agent_command",
        kind=Kind.COMMAND,
        means="The script agent's command",
        usual="the agent's own",
        label="Command of the script agent",
        hint="One argument per line, no shell. {prompt}, {prompt_file}, {workdir}, {branch}, "
        "{issue} and {model} are filled in.",
        empty="the agent's own",
        part=Part.AGENT,
        most=100,
    ),
    ProjectSetting(
        name="setup_command",
        kind=Kind.COMMAND,
        means="A command that runs before the agent",
        more="It runs in the working copy.",
        label="Setup command",
        hint="Runs in each working copy before the agent. One argument per line.",
        part=Part.AGENT,
        most=100,
    ),
    ProjectSetting(
        name="prompt",
        kind=Kind.TEXT,
        means="The prompt of runs without a template",
        more="Its variables are in double braces, or, in a text without any, in single braces.",
        usual="the built-in one",
        label="Prompt",
        hint="The whole prompt of runs for which no template is chosen, with {{issue.title}}, "
        "{{task}} and other variables. Empty: the built-in one.",
        empty="the built-in one",
        part=Part.AGENT,
        usage="; - reads it from standard input",
    ),
    ProjectSetting(
        name="instructions",
        kind=Kind.TEXT,
        means="Instructions for each agent of the project",
        more="They follow those of the file RUNYARD.md in the repository.",
        usual="only RUNYARD.md",
        label="Instructions",
        hint="For each agent of this project, after those of RUNYARD.md in the repository.",
        empty="only RUNYARD.md",
        part=Part.AGENT,
        usage="; - reads them from standard input",
    ),
)
_OF_ITS_CHECKS = (
    ProjectSetting(
        name="checks",
        kind=Kind.CHECKS,
        means="Commands that run in the working copy before a delivery",
        more="They run in order, inside the sandbox of the run; each has a name, a command, a "
        "timeout in seconds, and whether it is required.",
        default=(),
        label="Checks",
        hint="They run in this order in the working copy, before anything is pushed. No shell "
        "reads a command: quotes only keep words together.",
        part=Part.CHECKS,
        option="--check",
        metavar="NAME=COMMAND",
        usage=", or a JSON object with name, command, timeout_seconds and required; may be "
        'repeated, replaces the list. "" empties it',
        most=MOST_CHECKS,
    ),
    ProjectSetting(
        name="check_rounds",
        kind=Kind.NUMBER,
        means="How many times a run's agent is asked to fix required checks that failed",
        default=CHECK_ROUNDS,
        label="Follow-ups",
        hint=f"How many times the agent may fix what failed, 0 to {MAX_CHECK_ROUNDS}.",
        part=Part.CHECKS,
        least=0,
        most=MAX_CHECK_ROUNDS,
    ),
    ProjectSetting(
        name="on_red",
        kind=Kind.CHOICE,
        means="What happens to work whose required checks still fail at the end",
        more="It is parked, or delivered as a draft.",
        default=OnRed.PARK.value,
        label="If they still fail",
        hint="What happens to the work.",
        part=Part.CHECKS,
        beside=True,
        choices=OnRed,
        labels={OnRed.PARK.value: "Park it", OnRed.DELIVER.value: "Deliver it as a draft"},
    ),
)
_OF_ITS_RUNS = (
    ProjectSetting(
        name="budget_seconds",
        kind=Kind.SECONDS,
        means="How long a run may take",
        usual="`RUNYARD_BUDGET_SECONDS`",
        label="Time for a run",
        hint=_CLOCK_HINT,
        part=Part.LIMITS,
        usage="; 7200 by default",
        least=1,
        most=MAX_SECONDS,
    ),
    ProjectSetting(
        name="stall_seconds",
        kind=Kind.SECONDS,
        means="How long a run may stay silent",
        usual="no limit",
        label="Ended when silent for",
        hint=f"{_CLOCK_HINT} Empty: never.",
        empty="never",
        part=Part.LIMITS,
        beside=True,
        least=1,
        most=MAX_SECONDS,
    ),
    ProjectSetting(
        name="max_concurrency",
        kind=Kind.NUMBER,
        means="How many runs may be open at once",
        usual="`RUNYARD_REPO_CONCURRENCY`",
        label="Runs at once",
        hint="How many runs of this repository may be open, 1 to 100.",
        part=Part.LIMITS,
        least=1,
        most=100,
    ),
    ProjectSetting(
        name="resume_after_limit",
        kind=Kind.SWITCH,
        means="Whether runs resume automatically after their agent's usage limit",
        default=True,
        label="After a usage limit",
        hint="Once the agent's account works again.",
        part=Part.LIMITS,
        beside=True,
        labels={"yes": "Resume automatically", "no": "A person resumes the run"},
    ),
    ProjectSetting(
        name="owner_hooks",
        kind=Kind.SWITCH,
        means="Whether pushes into a folder run its hooks and filters, as they are now",
        more="Once one of them changes, none is run.",
        default=False,
        label="Hooks of the repository",
        hint="Whether the folder's own hooks and filters run at each push and merge into it. Once "
        "switched on, they run until one of them changes.",
        part=Part.PROJECT,
        labels={"no": "Not run", "yes": "Run as they are now"},
    ),
    ProjectSetting(
        name="branch_pattern",
        kind=Kind.BRANCH,
        means="How branches of AFK runs are named, as afk/<N>",
        more="<N> is the issue's number.",
        default="afk/<N>",
        label="Branch of an issue",
        hint="<N> is the issue's number. It cannot change while a run has an issue.",
        part=Part.NAMES,
    ),
    ProjectSetting(
        name="frameworks",
        kind=Kind.LINES,
        means="Test frameworks to choose from, in addition to the known ones",
        usual="only the known ones",
        label="Frameworks of your own",
        hint="To choose from in New run, in addition to the known ones. One per line.",
        part=Part.NAMES,
        option="--framework",
        usage="; may be repeated",
        most=50,
    ),
)
_OF_THE_SANDBOX = (
    ProjectSetting(
        name="sandbox",
        kind=Kind.CHOICE,
        means="How much of this machine its agents can see and touch",
        more="`bubblewrap` is an older name of `sandboxed`.",
        usual="`RUNYARD_SANDBOX`",
        label="Sandbox",
        hint="How much of this machine agents see.",
        part=Part.TOUCHED,
        choices=SandboxLevel,
        labels={
            SandboxLevel.CONTAINED.value: "Contained",
            SandboxLevel.SANDBOXED.value: "Sandboxed",
            SandboxLevel.NONE.value: UNSANDBOXED,
        },
    ),
    ProjectSetting(
        name="network",
        kind=Kind.CHOICE,
        means="What sandboxed agents can reach: everything, allowed hosts only, or nothing",
        more="Agents at other levels reach everything.",
        default=NetworkRule.ALL.value,
        label="Network",
        hint="What agents can reach.",
        part=Part.TOUCHED,
        choices=NetworkRule,
        labels={
            NetworkRule.ALL.value: "Everything",
            NetworkRule.ALLOWED.value: "Only allowed hosts",
            NetworkRule.NONE.value: "Nothing",
        },
    ),
    ProjectSetting(
        name="allowed_hosts",
        kind=Kind.LINES,
        means="Hosts that agents can reach with the network rule allowed",
        more="Those that the agent and the package managers need can be reached anyway.",
        default=(),
        label="Allowed hosts",
        hint="One per line, such as example.org or example.org:8443, in addition to those that the "
        "agent and the package managers need.",
        part=Part.TOUCHED,
        option="--allow-host",
        metavar="HOST[:PORT]",
        most=MAX_LISTED,
    ),
    ProjectSetting(
        name="allow",
        kind=Kind.CHOICES,
        means=f"Services of this machine that agents may use: {', '.join(HostService)}",
        default=(),
        label="Services of this machine",
        hint=UNSEEN,
        part=Part.TOUCHED,
        choices=HostService,
        labels={one.value: one.value for one in HostService},
        metavar="SERVICE",
    ),
    ProjectSetting(
        name="toolchains",
        kind=Kind.LINES,
        means="Folders that sandboxed agents can read, such as ~/.pyenv",
        default=(),
        label="Toolchain folders",
        hint="Read-only for agents, such as /home/me/.pyenv. One per line.",
        part=Part.TOUCHED,
        option="--toolchain",
        metavar="FOLDER",
        most=MAX_LISTED,
    ),
    _limit("memory_mb", "Memory, MB", "How much memory a run may use"),
    _limit(
        "processes",
        "Processes",
        "How many processes a run may have",
        default=DEFAULT_PROCESSES,
        beside=True,
    ),
    _limit("file_mb", "Largest file, MB", "How large a file may get"),
    _limit("disk_mb", "Working copy, MB", "How large a working copy may get", beside=True),
)
_OF_THE_LOOP = (
    ProjectSetting(
        name="auto_enabled",
        kind=Kind.SWITCH,
        means="Start runs for ready issues",
        default=False,
        option="--auto",
    ),
)

PROJECT_SETTINGS: Mapping[str, ProjectSetting] = MappingProxyType(
    {
        one.name: one
        for one in (
            *(*_OF_THE_PROJECT, *_OF_THE_AGENT, *_OF_ITS_CHECKS, *AFTER_DELIVERY),
            *(
                *APPROVAL_SETTINGS,
                *_OF_ITS_RUNS,
                *CLAIM_SETTINGS,
                *_OF_THE_SANDBOX,
                AGENT_TOKEN,
                *_OF_THE_LOOP,
            ),
        )
    }
)
