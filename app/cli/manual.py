"""`python -m app.cli.manual > docs/cli.md`: the command line's reference, from its code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from app.cli.main import build

_EVERYWHERE = {"--help", "--data-dir", "--install-completion", "--show-completion"}
_HEAD = """\
# The command line

Written by `python -m app.cli.manual > docs/cli.md` from the commands themselves; a test says when
it is not true any more.

`runyard COMMAND --help` tells the same, with an example. `runyard` is a client of the server's API:
it asks the one at `RUNYARD_URL`, else the one of the data folder (`--data-dir`, `RUNYARD_DATA_DIR`,
or your own), with `RUNYARD_TOKEN` or the folder's own token. `serve`, `demo`, `doctor`,
`login-link`, `backup` and `restore` also work without a server.

| exit code | means |
|---|---|
| 0 | done |
| 1 | refused, with the server's sentence on standard error |
| 2 | the command line makes no sense: how it is used, and an example |
| 3 | no server answers; how to start it |
| 4 | the run that was waited for did not succeed |
| 130 | interrupted; a run that was waited for goes on |

- **JSON.** With `--json`, standard output is the API's own answer and nothing else: one object, a
  list as `{"items": [...]}`. Everything else goes to standard error.
- **Ids.** A run is named by its id or by any ending of it with 6 or more characters, as the pages
  show it; where several runs end so, they are named and nothing is done. A project is named by its
  id or its name.
- **Waiting.** `--wait` and `runs wait` show one line on a terminal (the status, the time of its
  budget, the tokens, what happened last) and a line for each event elsewhere. Ctrl-C leaves the
  run alone. A server that is started again in between is waited for, for half a minute.
- **Colours.** On terminals; `NO_COLOR` forbids them, `FORCE_COLOR` wants them everywhere. What
  agents, issues and branches are called can do nothing to a terminal. `runs logs` and the diffs
  pass every byte on into a pipe or a file.
- **Completion.** `runyard --install-completion` teaches bash, zsh, fish or PowerShell the commands,
  their options, and the names and ids that the server knows.
"""


def manual() -> str:
    """Return the whole page as Markdown."""
    root = get_command(build())
    commands = [(path, one) for path, one in _walk("", root) if path]
    told = [one for path, command in commands for one in _tell(path, command)]
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


def _tell(path: str, command: Any) -> Iterator[str]:
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


if __name__ == "__main__":
    print(manual(), end="")
