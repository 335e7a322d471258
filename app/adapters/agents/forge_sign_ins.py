"""Sign-ins of agents at a forge: an account of their own, taken from a folder of gh or tea.

A project's agents see a copy with that forge's token and nothing else, read-only, and only in runs
that open a pull request. The user's own folder is never changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import yaml

from app.adapters.git.layout import checked_id, remove_tree
from app.adapters.sandbox import home_files
from app.adapters.sandbox.layout import home_of
from app.domain.json.objects import is_array, is_object
from app.domain.secret_masks import Secret
from app.domain.tracker.agent_requests import TOOLS
from app.domain.tracker.forges import ForgeKind, clean_address
from app.services.ports.homes import ForgePlace, LentSignIn, SignInUnusable

MAX_BYTES = 256 * 1024
_FILES = {"gh": "hosts.yml", "tea": "config.yml"}
_TOKEN = "token"  # noqa: S105 (the name of a file)
_ANSWER = "git-credential"
# how long the tokens are cached: everything that masks secrets asks for them
_SECRETS_SECONDS = 1.0


class ForgeSignIns:
    """The copies `<root>/<project>`, closed to other users.

    `environment` is the user's own and says where the home folder is.
    """

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._root = root.absolute()
        self._home = home_of(environment)
        self._secrets: tuple[Secret, ...] = ()
        self._read_at = -_SECRETS_SECONDS

    def token(self, folder: str, at: ForgePlace) -> str:
        """Return the token for a forge in a folder of gh or tea. Raises SignInUnusable."""
        return _entry_of(self._place(folder), at)[1]

    def lend(
        self, project_id: str, folder: str, at: ForgePlace, home: Path | None = None
    ) -> LentSignIn:
        """Copy the sign-in for a forge to where the agents of a project can read it.

        A private `home` gets a link to it where the tool looks. Raises SignInUnusable.
        """
        login, token = _entry_of(self._place(folder), at)
        tool, place = TOOLS[ForgeKind(at.kind)], self._root / checked_id(project_id)
        try:
            for one in (self._root, place, place / tool):
                one.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, text in _files_of(tool, at, login or "agent", token).items():
                with home_files.open_folder(place / tool, ()) as fd:
                    home_files.write(fd, name, text.encode())
            with home_files.open_folder(place, ()) as fd:
                answer = f"username={login or 'agent'}\npassword={token}\n"
                home_files.write(fd, _ANSWER, answer.encode())
                home_files.write(fd, _TOKEN, token.encode())
            if home is not None:
                with home_files.open_folder(home, (".config",)) as fd:
                    home_files.link(fd, tool, str(place / tool))
        except OSError as problem:
            raise SignInUnusable(f"It could not be copied: {problem.strerror}.") from problem
        self._read_at = -_SECRETS_SECONDS
        return LentSignIn(place, login, _environment(place, tool, at))

    def is_told(self, at: ForgePlace) -> bool:
        """Return True if a variable tells the tool of this forge where to look."""
        return TOOLS[ForgeKind(at.kind)] == "gh"

    def is_default(self, folder: str, at: ForgePlace) -> bool:
        """Return True for the folder in which the tool looks by itself."""
        usual = self._home / ".config" / TOOLS[ForgeKind(at.kind)]
        return os.path.realpath(self._place(folder)) == os.path.realpath(usual)

    def secrets(self) -> tuple[Secret, ...]:
        """Return the tokens of all copies, at most a second old."""
        now = monotonic()
        if now - self._read_at >= _SECRETS_SECONDS:
            self._read_at, self._secrets = now, tuple(self._lent())
        return self._secrets

    def remove(self, project_id: str) -> None:
        """Delete a project's copy. Raises OSError."""
        if self._root.is_dir():
            remove_tree(self._root, checked_id(project_id))

    def _lent(self) -> Iterator[Secret]:
        with suppress(FileNotFoundError):
            for name in os.listdir(self._root):
                found = home_files.read(self._root / name, [_TOKEN])
                if found is not None and (token := found.content.decode(errors="replace").strip()):
                    yield Secret("the agents' sign-in at a forge", token)

    def _place(self, folder: str) -> Path:
        if folder == "~" or folder.startswith("~/"):
            return Path(f"{self._home}{folder[1:]}")
        return Path(folder)


def _entry_of(folder: Path, at: ForgePlace) -> tuple[str, str]:
    """Return the login, "" if it is not told, and the token. Raises SignInUnusable."""
    tool = TOOLS[ForgeKind(at.kind)]
    if not folder.is_absolute():
        raise SignInUnusable(f"{folder} is not an absolute path.")
    place = folder / _FILES[tool]
    try:
        with place.open("rb") as file:
            told: Any = yaml.safe_load(file.read(MAX_BYTES))
    except FileNotFoundError:
        raise SignInUnusable(f"{tool} keeps no sign-in in {folder}: {place} is missing.") from None
    except OSError as problem:
        raise SignInUnusable(f"{place} cannot be read: {problem.strerror}.") from problem
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise SignInUnusable(f"{place} is not what {tool} writes.") from problem
    login, token = (_of_gh if tool == "gh" else _of_tea)(told, at)
    if not token:
        raise SignInUnusable(_missing(tool, folder, at))
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise SignInUnusable(f"The token in {place} has blanks or other special characters.")
    return login, token


def _of_gh(told: Any, at: ForgePlace) -> tuple[str, str]:
    entry = told.get(urlsplit(at.url).netloc) if is_object(told) else None
    if not is_object(entry):
        return "", ""
    login = _word(entry.get("user"))
    users = entry.get("users")
    own = users.get(login) if is_object(users) else None
    token = entry.get("oauth_token") or (own.get("oauth_token") if is_object(own) else None)
    return login, _word(token)


def _of_tea(told: Any, at: ForgePlace) -> tuple[str, str]:
    logins = told.get("logins") if is_object(told) else None
    for one in logins if is_array(logins) else ():
        if is_object(one) and clean_address(_word(one.get("url"))) == at.url:
            return _word(one.get("user")), _word(one.get("token"))
    return "", ""


def _word(value: Any) -> str:
    found = value.strip() if isinstance(value, str) else ""
    return found if found.isprintable() else ""


def _missing(tool: str, folder: Path, at: ForgePlace) -> str:
    if tool == "gh":
        host = urlsplit(at.url).netloc
        return (
            f"{folder} holds no token for {host}; one in a keyring cannot be given to agents: "
            f"GH_CONFIG_DIR={folder} gh auth login --hostname {host} --insecure-storage"
        )
    return f"{folder} holds no token for {at.url}: tea login add --url {at.url}"


def _files_of(tool: str, at: ForgePlace, login: str, token: str) -> dict[str, str]:
    host = urlsplit(at.url).netloc
    if tool == "gh":
        entry = {"user": login, "oauth_token": token, "git_protocol": "https"}
        whole = {host: entry | {"users": {login: {"oauth_token": token}}}}
        # without its version gh would write a newer form into this folder
        settings = {"version": "1", "git_protocol": "https", "prompt": "disabled"}
        return {"hosts.yml": yaml.safe_dump(whole), "config.yml": yaml.safe_dump(settings)}
    entry = {"name": host, "url": at.url, "token": token, "default": True, "user": login}
    return {"config.yml": yaml.safe_dump({"logins": [entry]})}


def _environment(place: Path, tool: str, at: ForgePlace) -> dict[str, str]:
    """Return the variables by which gh and git find the sign-in; none holds the token."""
    helper = f"credential.{at.url}.helper"
    answer = str(place / _ANSWER).replace("'", "'\\''")
    settings = [
        (helper, ""),
        # git's own store would try to write to it
        (helper, f"!f() {{ test \"$1\" = get && cat '{answer}'; }}; f"),
    ]
    if not at.origin.startswith(("https://", "http://")):
        settings.append((f"url.{at.url}/{at.repository}.git.pushInsteadOf", at.origin))
    told = {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_TERMINAL_PROMPT": "0"}
    for number, (name, value) in enumerate(settings):
        told[f"GIT_CONFIG_KEY_{number}"], told[f"GIT_CONFIG_VALUE_{number}"] = name, value
    if tool == "gh":
        told |= {"GH_CONFIG_DIR": str(place / tool), "GH_PROMPT_DISABLED": "1"}
        told |= {"GH_HOST": urlsplit(at.url).netloc}
    return told
