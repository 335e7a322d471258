"""Entry point of the command line: its commands and its exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

from app import __version__
from app.cli.client.connection import Misused, Refused, Unreachable
from app.cli.output.options import DataDir, example
from app.cli.output.terminal import Painted, err, out
from app.cli.server.serve import Host, Native, NoOpen, Port, serve_here
from app.failpoints import set_failpoints

REFUSED = 1
UNREACHABLE = 3
# set by a shell that asks for completions
COMPLETING = "_RUNYARD_COMPLETE"


@dataclass(frozen=True)
class Part:
    """Top-level commands and groups by name, and the function below app.cli that adds them."""

    names: tuple[str, ...]
    module: str
    function: str = "register"

    def add_to(self, app: typer.Typer) -> None:
        """Import the module and add its commands."""
        getattr(import_module(f"app.cli.{self.module}"), self.function)(app)


# In the order of the help. Imported when needed: a command pays only for its own part.
PARTS = (
    Part(("serve", "login-link", "doctor"), "server.serve"),
    Part(("token", "login", "logout"), "commands.access"),
    Part(("users", "organisations"), "commands.people.users"),
    Part(("tokens",), "commands.people.tokens"),
    Part(("demo",), "commands.demo"),
    Part(("projects",), "commands.projects"),
    Part(("forges", "secrets"), "commands.forges"),
    Part(("templates",), "commands.templates"),
    Part(("issues",), "commands.issues"),
    Part(("changes",), "commands.changes"),
    Part(("approvals",), "commands.approvals"),
    Part(("runs",), "commands.runs.runs"),
    Part(("batch",), "commands.batch"),
    Part(("afk",), "commands.auto"),
    Part(("parked",), "commands.parked"),
    Part(("retention",), "commands.system", "register_retention"),
    Part(("stuck",), "commands.system", "register_stuck"),
    Part(("quota",), "commands.limits", "register_quota"),
    Part(("limits",), "commands.limits"),
    Part(("keys",), "commands.limits", "register_keys"),
    Part(("notifications",), "commands.system"),
    Part(("audit",), "commands.audit"),
    Part(("export",), "commands.runs.read", "register_export"),
    Part(("backup",), "commands.backup"),
    Part(("restore",), "commands.backup", "register_restore"),
)


def main(seams: Mapping[str, Any] | None = None) -> None:
    """Run the command line; exit 0 done, 1 refused, 2 usage, 3 no server, 4 run failed.

    `seams` are further arguments of `app.server.application.serve`, for other entry points.
    """
    set_failpoints(os.environ)
    for stream in (sys.stdout, sys.stderr):
        # Print an escape instead of failing where the encoding of the terminal has no "…".
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app = get_command(build(parts_for(sys.argv[1:])))
        sys.exit(app.main(prog_name="runyard", standalone_mode=False, obj=seams))
    except Refused as refusal:
        _complain(str(refusal), refusal.correlation_id)
        sys.exit(REFUSED)
    except Unreachable as problem:
        _complain(str(problem))
        sys.exit(UNREACHABLE)
    except typer.Abort:
        sys.exit(REFUSED)
    except typer.TyperException as misuse:
        _explain(misuse)
        sys.exit(misuse.exit_code)


def parts_for(words: Sequence[str]) -> Sequence[Part]:
    """Return the part of the command that is called, or all parts if none is named first."""
    # a shell that asks for completions gives the words elsewhere
    if COMPLETING in os.environ:
        return PARTS
    # without words, the server is started
    first = words[0] if words else "serve"
    return [part for part in PARTS if first in part.names] or PARTS


def build(parts: Sequence[Part] = PARTS) -> typer.Typer:
    """Build the command line with these parts, by default whole."""
    # Neither rich nor its tracebacks: they would double the startup time.
    app = typer.Typer(
        invoke_without_command=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=example("runyard serve", "runyard demo", "runyard runs list --help"),
    )
    app.callback()(begin)
    for part in parts:
        part.add_to(app)
    from app.server.patches.late_conversion import convert_late

    convert_late()
    return app


def begin(
    ctx: typer.Context,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    no_open: NoOpen = False,
    native: Native = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Runyard: unattended coding-agent runs on your own git repositories.

    Without a command it starts the server.
    """
    if version:
        out().print(f"runyard {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        serve_here(ctx, host, port, data_dir, no_open, native)
    elif host or port or data_dir or no_open or native:
        raise Misused(f"Give options after the command: runyard {ctx.invoked_subcommand} --help")


def _complain(sentences: str, correlation_id: str = "") -> None:
    screen = err()
    for line in sentences.splitlines() or [sentences]:
        screen.print(Painted(line, "red"))
    if correlation_id:
        screen.print(Painted(f"corr {correlation_id}", "dim"))


def _explain(misuse: typer.TyperException) -> None:
    """Print what is wrong with a command line, its usage and an example."""
    screen, context = err(), getattr(misuse, "ctx", None)
    sentence = misuse.format_message()
    if context is None or sentence == context.get_help():
        screen.print_lines(sentence)  # a group without a subcommand shows its help
        return
    _complain(sentence.replace(": Value error, ", ": "))  # wording of the validation library
    screen.print_lines(context.get_usage())
    screen.print_lines((context.command.epilog or "").removeprefix("\b\n"))
    screen.print(Painted(f"Full help: {context.command_path} --help", "dim"))


if __name__ == "__main__":
    main()
