"""Probes of installed agents: their sign-in, their version, and the flags in their help."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.adapters.agents.catalogue.preset import Preset, SignIn, Stored
from app.services.ports import SignedIn

MAX_BYTES = 4 * 1024 * 1024
_FIRST_BYTES = 256
# interpreters of the agents' own packages, if those are scripts
_RUNTIMES = (b"node", b"bun", b"deno")
# elsewhere a keychain may hold the sign-in, which we cannot read unnoticed
FILES_TELL_ALL = sys.platform == "linux"


def find_sign_in(
    sign_in: SignIn, environment: Mapping[str, str], *, files_tell_all: bool = FILES_TELL_ALL
) -> tuple[SignedIn, str]:
    """Return the sign-in state and its evidence; NO only if no sign-in can be out of sight."""
    for name in sign_in.variables:
        if environment.get(name):
            return SignedIn.YES, f"{name} is set"
    home = environment.get("HOME", "")
    is_in_doubt = not (home and sign_in.is_whole and files_tell_all)
    for stored in sign_in.files:
        place = _place(stored, environment, home)
        answer = _tells(place, stored.holds)
        if answer:
            return SignedIn.YES, f"{_short(place, home)} is there"
        is_in_doubt |= answer is None
    for stored in sign_in.doubts:
        place = _place(stored, environment, home)
        if _tells(place, stored.holds) is not False:
            return SignedIn.UNKNOWN, f"{_short(place, home)} may hold a sign-in"
    for name in sign_in.doubtful_variables:
        if environment.get(name):
            return SignedIn.UNKNOWN, f"{name} is set"
    if is_in_doubt:
        return SignedIn.UNKNOWN, "no credentials were found, and it may do without"
    return SignedIn.NO, "no credentials were found"


def may_set(places: Sequence[Stored], environment: Mapping[str, str]) -> bool:
    """Return True if one of these files contains its words, or cannot be read."""
    home = environment.get("HOME", "")
    return any(_tells(_place(one, environment, home), one.holds) is not False for one in places)


def is_wrapper(program: str) -> bool:
    """Return True for a user's own script around an agent, whose effects are unknown."""
    try:
        with open(program, "rb", opener=_open_at_once) as file:
            first = file.read(_FIRST_BYTES).partition(b"\n")[0]
    except OSError:
        return True
    return first.startswith(b"#!") and not any(name in first for name in _RUNTIMES)


def _place(stored: Stored, environment: Mapping[str, str], home: str) -> Path:
    folder = environment.get(stored.variable, "") or stored.folder
    if folder == "~" or folder.startswith("~/"):
        folder = home + folder[1:]
    return Path(folder) / stored.file


def _tells(place: Path, words: tuple[str, ...]) -> bool | None:
    """Return True if the file contains one of the words; None if it cannot be read."""
    try:
        # a pipe in its place must not block us
        with open(place, "rb", opener=_open_at_once) as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    if not words or any(word.encode() in content for word in words):
        return bool(content)
    return None if len(content) > MAX_BYTES else False


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _short(place: Path, home: str) -> str:
    text = str(place)
    return f"~{text[len(home) :]}" if home and text.startswith(f"{home}/") else text


ASK_SECONDS = 10
CANNOT_START = 127
_VERSION = re.compile(r"\d{1,9}(?:\.\d{1,12}){1,4}", re.ASCII)
_MAX_CHARS = 200_000


@dataclass(frozen=True)
class Words:
    """The output and exit code of a program."""

    code: int
    out: str
    err: str


def run_probe(argv: list[str], environment: Mapping[str, str]) -> Words | None:
    """Run a program and return its output; None if it takes longer than ASK_SECONDS."""
    try:
        asked = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            # avoids settings in the folder where the server was started
            cwd="/",
            start_new_session=True,
        )
    except OSError as problem:
        return Words(CANNOT_START, "", str(problem))
    with asked:
        try:
            out, err = asked.communicate(timeout=ASK_SECONDS)
        except subprocess.TimeoutExpired:
            # its children hold its pipes: kill them too
            with contextlib.suppress(ProcessLookupError):
                os.killpg(asked.pid, signal.SIGKILL)
            return None
    return Words(asked.returncode, _text(out), _text(err))


def read_version(path: str, environment: Mapping[str, str]) -> str | None:
    """Return the version number, empty if it reports none, None if it takes too long."""
    words = run_probe([path, "--version"], environment)
    if words is None:
        return None
    if words.code != 0:
        return ""
    # stdout first: warnings on stderr contain other numbers
    found = _VERSION.search(words.out) or _VERSION.search(words.err)
    return found[0] if found else ""


def is_older(version: str | None, floor: str) -> bool:
    """Return True if both versions are known and `version` is older than `floor`."""
    return bool(version and floor) and _numbers(version or "") < _numbers(floor)


def unknown_flags(
    path: str, preset: Preset, environment: Mapping[str, str]
) -> tuple[str, ...] | None:
    """Return the preset's flags that the program's help does not list, None without a help text."""
    words = run_probe([path, *preset.help_arguments], environment)
    if words is None or words.code != 0:
        return None
    text = words.out + words.err
    if not _names(text, "--help"):
        return None
    return tuple(flag for flag in flags_of(preset) if not _names(text, flag))


def flags_of(preset: Preset) -> list[str]:
    """Return the flags of a preset's command line that its help should list."""
    used = [*preset.arguments, preset.model_flag]
    # a lone dash stands for the prompt on stdin
    spared = ("-", *preset.unlisted)
    return [word for word in used if word.startswith("-") and word not in spared]


def _names(text: str, flag: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text) is not None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _text(raw: bytes) -> str:
    return raw[:_MAX_CHARS].decode(errors="replace")
