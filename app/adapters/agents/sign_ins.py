"""Whether an agent is signed in, as its files and variables show it; nobody is asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.adapters.agents.catalogue.preset import SignIn, Stored
from app.services.ports import SignedIn

MAX_BYTES = 4 * 1024 * 1024
_FIRST_BYTES = 256
# what the agents' own packages begin with, where they are scripts
_RUNTIMES = (b"node", b"bun", b"deno")
# elsewhere a keychain may hold it, which opens for no program that asks in passing
FILES_TELL_ALL = sys.platform == "linux"


def look_for_sign_in(
    sign_in: SignIn, environment: Mapping[str, str], *, files_tell_all: bool = FILES_TELL_ALL
) -> tuple[SignedIn, str]:
    """The answer, and what it rests on; what cannot be seen is never a no."""
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
    """True where one of these files holds its words, or cannot be read."""
    home = environment.get("HOME", "")
    return any(_tells(_place(one, environment, home), one.holds) is not False for one in places)


def is_wrapper(program: str) -> bool:
    """True for a script of somebody's own around an agent: what that brings along is unknown."""
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
    """Whether the file is there and holds one of the words; None where it cannot be read."""
    try:
        # a pipe in its place must not keep us waiting
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
