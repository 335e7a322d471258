"""The pages of the documentation that are made from code.

`python -m app.cli.manual > docs/cli.md` writes the reference of the command line;
`python -m app.cli.manual docs/operating.md` renews that page's two tables of settings.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from app.cli.main import build
from app.config import Settings
from app.domain.projects.setting import Kind, ProjectSetting
from app.domain.projects.settings import PROJECT_SETTINGS

_EVERYWHERE = {"--help", "--data-dir", "--install-completion", "--show-completion"}
_HEAD = """\
# The command line

Generated from the commands by `python -m app.cli.manual > docs/cli.md`; a test fails when it is out
of date.

`runyard COMMAND --help` shows the same, with an example. `runyard` is a client of the server's API.
It talks to the server at `RUNYARD_URL`, else the one you signed in to with `runyard login`, else
the one that uses the data folder (`RUNYARD_DATA_DIR`, or the default), with `RUNYARD_TOKEN` or the
folder's token. `--data-dir` overrides all of these. `serve`, `demo`, `doctor`, `login-link`,
`token rotate`, `audit verify`, `backup` and `restore` concern this machine, and also work without a
running server.

| exit code | means |
|---|---|
| 0 | done |
| 1 | refused, with the server's sentence on standard error |
| 2 | wrong usage; the usage and an example are printed |
| 3 | no server answers; how to start one is printed |
| 4 | the run that `--wait` or `runs wait` followed did not succeed |
| 130 | interrupted; the run keeps running |

- **JSON.** With `--json`, standard output is the API's answer and nothing else: an object, or a
  list as `{"items": [...]}`. Everything else goes to standard error.
- **Ids.** Name a run by its id or by its last 6 or more characters, as the pages show them. If
  several runs match, they are listed and nothing is done. Name a project by its id or its name.
- **Waiting.** On a terminal, `--wait` and `runs wait` show one line (status, time used, tokens,
  last event); elsewhere, one line per event. Ctrl-C leaves the run alone. If the server restarts
  in the meantime, the command waits up to half a minute for it.
- **Colors.** On terminals only; `NO_COLOR` turns them off, `FORCE_COLOR` turns them on everywhere.
  Control characters in the names of agents, issues and branches are made harmless. `runs logs` and
  the diffs pass every byte on unchanged into a pipe or a file.
- **Completion.** `runyard --install-completion` sets up bash, zsh, fish or PowerShell to complete
  commands, options, and the names and ids that the server knows.
"""


def manual() -> str:
    """Return the whole page as Markdown."""
    root = get_command(build())
    commands = [(path, one) for path, one in _walk("", root) if path]
    told = [one for path, command in commands for one in _describe(path, command)]
    return "\n".join([_HEAD, *_overview(commands), *told]).rstrip() + "\n"


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(f"{path} {name}".strip(), child)


def _is_group(command: Any) -> bool:
    return hasattr(command, "commands")


def _overview(commands: list[tuple[str, Any]]) -> Iterator[str]:
    yield from ("## All commands", "", "| command | |", "|---|---|")
    for path, command in commands:
        if not _is_group(command):
            yield f"| [`{path}`](#runyard-{path.replace(' ', '-')}) | {_first(command)} |"
    yield ""


def _describe(path: str, command: Any) -> Iterator[str]:
    if _is_group(command):
        return
    yield from (f"## runyard {path}", "", command.help, "")
    yield from ("```sh", *_examples(command), "```", "")
    # taken from the help itself, so that both agree
    context = typer.Context(command, info_name=f"runyard {path}")
    params = sorted(command.params, key=lambda one: one.param_type_name == "option")
    records = [one.get_help_record(context) for one in params if not _EVERYWHERE & set(one.opts)]
    if records:
        yield from ("| | |", "|---|---|")
        yield from (
            f"| `{_escaped(names)}` | {_escaped(words).replace('<', '&lt;')} |"
            for names, words in records
        )
        yield ""


def _examples(command: Any) -> list[str]:
    return [line.strip() for line in command.epilog.splitlines()[2:]]


def _first(command: Any) -> str:
    return _escaped(command.help.splitlines()[0])


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def with_settings(page: str) -> str:
    """Return a page of Markdown with the tables between its markers written anew.

    The markers are `<!-- server settings -->`, `<!-- project settings -->` and `<!-- end -->`.
    """
    for name, table in (("server", _server_settings()), ("project", _project_settings())):
        marker = f"<!-- {name} settings -->"
        rows = "\n".join(table)
        between = re.compile(f"{marker}\n.*?<!-- end -->", re.DOTALL)
        page = between.sub(lambda _, new=f"{marker}\n{rows}\n<!-- end -->": new, page)
    return page


def _server_settings() -> Iterator[str]:
    yield from ("| setting | default | means |", "|---|---|---|")
    for name, one in Settings.model_fields.items():
        extra = one.json_schema_extra
        worded = extra.get("usual") if isinstance(extra, dict) else None
        plain = "none" if one.default in (None, ()) else f"`{one.default}`"
        means = _escaped(str(one.description))
        yield f"| `RUNYARD_{name.upper()}` | {worded or plain} | {means} |"


def _project_settings() -> Iterator[str]:
    yield from ("| setting | takes | default | option | means |", "|---|---|---|---|---|")
    for one in PROJECT_SETTINGS.values():
        means = _escaped(one.sentences).replace("<", "&lt;")
        yield f"| `{one.name}` | {_taken(one)} | {_usual(one)} | `{one.flag}` | {means} |"


def _taken(one: ProjectSetting) -> str:
    if one.choices is not None:
        return f"{one.kind} {', '.join(f'`{value}`' for value in one.choices)}"
    if one.least is not None:
        return f"{one.kind}, {one.least:,} to {one.most:,}"
    return f"{one.kind}"


def _usual(one: ProjectSetting) -> str:
    if one.usual or one.default in (None, ()):
        return one.usual or one.empty
    if one.kind is Kind.SWITCH:
        return "yes" if one.default else "no"
    return f"`{one.default}`"


if __name__ == "__main__":
    if pages := [Path(name) for name in sys.argv[1:]]:
        for written in pages:
            written.write_text(with_settings(written.read_text("utf-8")), "utf-8")
    else:
        print(manual(), end="")
