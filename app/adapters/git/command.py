"""Runs git: the only place that does, with limits, and ignoring all config but our own."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.adapters.git.environment import (
    SETTINGS,
    Identity,
    UnsafeArgument,
    local_environment,
    network_environment,
    open_environment,
    personal_environment,
)
from app.services.ports import CannotRead, DiskFull, ForgeSilent, Unfinished

__all__ = [
    "Git",
    "GitAnswer",
    "GitFailed",
    "GitTimedOut",
    "Identity",
    "UnsafeArgument",
    "countdown",
    "read_identity",
]

LOCAL_SECONDS = 60.0
NETWORK_SECONDS = 120.0
OUTPUT_CAP = 16 * 1024 * 1024
_ERR_CAP = 64 * 1024
_CHUNK = 64 * 1024
_TICK_SECONDS = 0.2
_TERM_SECONDS = 2.0
_TOO_LATE = "git did not answer in time."
_LOCK = re.compile(r"Unable to create '([^']+\.lock)': File exists")
# lines from the remote are skipped: they are about its disk, not ours
_NO_ROOM = re.compile(
    r"^(?!remote:).*(?:No space left on device|Disk quota exceeded)", re.MULTILINE
)


# returns git's settings with which Runyard itself signs in at an origin
SignIn = Callable[[str], Sequence[tuple[str, str]]]


class GitFailed(CannotRead):
    """A failed git call; `err` is its standard error, the last 64 KiB.

    A CannotRead for the services: a failure alone proves nothing about the repository.
    """

    def __init__(self, sentence: str, err: str = "") -> None:
        super().__init__(sentence)
        self.err = err


class GitTimedOut(GitFailed, Unfinished):
    """A git call that ran out of time; its process group was killed."""


class GitToldTooMuch(GitFailed, Unfinished):
    """A git call that exceeded its output cap and was killed."""


class GitHadNoRoom(GitFailed, DiskFull):
    """A git call that failed because the local disk or quota is full."""


@dataclass(frozen=True)
class GitAnswer:
    """The result of a git call; `is_cut` if it exceeded the output cap and was killed."""

    code: int
    out: bytes
    err: str
    is_cut: bool = False

    @property
    def text(self) -> str:
        """Standard output as text, stripped."""
        return self.out.decode("utf-8", "replace").strip()


def read_identity() -> Identity:
    """Read the user's name, email and credential settings from their own git config."""
    argv = ["git", "config", "--includes", "-z", "--get-regexp", r"^(user|credential)\."]
    try:
        answer = _Call(argv, open_environment(), "/", timeout=10.0, output_cap=_ERR_CAP).answer()
    except GitFailed:
        return Identity()
    pairs = [entry.partition("\n")[::2] for entry in answer.text.split("\0") if "\n" in entry]
    person = {key: value for key, value in pairs if key.startswith("user.") and value.strip()}
    return Identity(
        name=person.get("user.name", Identity.name),
        email=person.get("user.email", Identity.email),
        credentials=tuple((key, value) for key, value in pairs if key.startswith("credential.")),
    )


class Git:
    """Runs git without a shell, with our settings, a minimal environment, a timeout and a cap."""

    def __init__(
        self,
        identity: Identity,
        keep: Callable[[Path], None] | None = None,
        sign_in: SignIn = lambda _: (),
    ) -> None:
        self.identity = identity
        self._keep = keep
        self._sign_in = sign_in

    def keeping(self, keep: Callable[[Path], None]) -> Git:
        """Return a copy that calls `keep(git_dir)` before each command on a git folder.

        If `keep` raises, the command is not run.
        """
        return Git(self.identity, keep, self._sign_in)

    def run(
        self,
        args: Sequence[str],
        *,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        cwd: Path | None = None,
        input: bytes | IO[bytes] | None = None,
        output: IO[bytes] | None = None,
        origin: str | None = None,
        timeout: float = LOCAL_SECONDS,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        output_cap: int = OUTPUT_CAP,
        on_stderr: Callable[[bytes], None] | None = None,
        take: Callable[[bytes], None] | None = None,
    ) -> GitAnswer:
        """Run one git command; without `git_dir` it sees no repository at all.

        `origin` is the only address it may contact (None: no transport). `output` is a file for
        standard output, capped too; `take` receives it in chunks without a cap, `on_stderr`
        standard error. `timeout` is in seconds, `output_cap` in bytes. Raises UnsafeArgument,
        GitTimedOut, and with `check` GitFailed, GitToldTooMuch past the cap, GitHadNoRoom.
        """
        argv = ["git", *(part for setting in SETTINGS for part in ("-c", setting)), *args]
        if any("\0" in part for part in argv):
            raise UnsafeArgument("An argument for git must not contain a zero byte.")
        if git_dir is not None and self._keep is not None:
            self._keep(git_dir)
        full = local_environment(git_dir, work_tree) | personal_environment(self.identity)
        if origin is not None:
            full |= network_environment(origin, self.identity, self._settings_at(origin))
        full |= env or {}
        place = str(cwd or "/")
        call = _Call(
            argv, full, place, timeout, output_cap, input, output, on_stderr=on_stderr, take=take
        )
        answer = call.answer()
        if check and (answer.code or answer.is_cut):
            raise _kind(answer)(_sentence(args[0], answer), answer.err)
        return answer

    def signs_in_at(self, origin: str) -> bool:
        """Return True if Runyard has a token of its own for an origin."""
        try:
            return bool(self._settings_at(origin))
        except GitFailed:
            return True

    def _settings_at(self, origin: str) -> Sequence[tuple[str, str]]:
        # a folder needs no token, and ssh takes none
        if not origin.startswith("http"):
            return ()
        try:
            return self._sign_in(origin)
        except ForgeSilent as silence:
            said = f"its forge gives no token now: {silence}"
            raise GitFailed(f"git could not sign in: {said}", said) from silence

    def version(self) -> str:
        """Return git's version, such as `2.39.5`."""
        return self.run(["version"]).text.removeprefix("git version ")


def countdown(seconds: float) -> Callable[[], float]:
    """Start a time budget shared by several calls; the returned function gives the seconds left.

    It raises GitTimedOut once the budget is used up.
    """
    deadline = time.monotonic() + seconds

    def left() -> float:
        rest = deadline - time.monotonic()
        if rest <= 0:
            raise GitTimedOut(_TOO_LATE)
        return rest

    return left


def _kind(answer: GitAnswer) -> type[GitFailed]:
    if answer.is_cut:
        return GitToldTooMuch
    return GitHadNoRoom if _NO_ROOM.search(answer.err) else GitFailed


def _sentence(command: str, answer: GitAnswer) -> str:
    if answer.is_cut:
        return f"git {command} printed more than it may."
    lock = _LOCK.search(answer.err)
    if lock:
        return (
            f"git {command} found {lock[1]}, which another git holds or has left behind; "
            "if none is at work there, delete it."
        )
    last = (answer.err.strip().splitlines() or ["no reason given"])[-1]
    return f"git {command} failed: {last[:300]}"


class _Call:
    """One git process in its own session, with non-blocking pipes and bounded memory."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        timeout: float,
        output_cap: int,
        feed: bytes | IO[bytes] | None = None,
        store: IO[bytes] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        take: Callable[[bytes], None] | None = None,
    ) -> None:
        self._deadline = time.monotonic() + timeout
        self._cap, self._store = output_cap, store
        self._on_stderr, self._give_on = on_stderr, take
        self._out, self._err, self._is_cut = bytearray(), bytearray(), False
        self._todo = memoryview(feed if isinstance(feed, bytes) else b"")
        stdin = subprocess.PIPE if isinstance(feed, bytes) else feed or subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(  # argv only, never a shell
                argv,
                stdin=stdin,
                stdout=store or subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as problem:
            raise GitFailed(f"git could not be started: {problem.strerror}") from problem

    def answer(self) -> GitAnswer:
        try:
            self._talk()
        finally:
            if self._process.returncode is None:
                self._end()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
        err = self._err.decode("utf-8", "replace")
        return GitAnswer(self._process.returncode or 0, bytes(self._out), err, self._is_cut)

    def _talk(self) -> None:
        process = self._process
        with selectors.DefaultSelector() as selector:
            for pipe, take in ((process.stdout, self._take_out), (process.stderr, self._take_err)):
                if pipe:
                    selector.register(_unblocked(pipe), selectors.EVENT_READ, take)
            if process.stdin:
                selector.register(_unblocked(process.stdin), selectors.EVENT_WRITE, self._give)
            while selector.get_map() and not self._is_cut:
                ready = selector.select(min(_TICK_SECONDS, self._left()))
                # a descendant may hold the pipes open after git itself has exited
                if not ready and process.poll() is not None:
                    return
                for key, _ in ready:
                    if not key.data(key.fileobj):
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
                self._is_cut = self._is_cut or self._has_stored_too_much()
        try:
            if not self._is_cut:
                process.wait(self._left())
        except subprocess.TimeoutExpired as late:
            raise self._timed_out() from late

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._timed_out()
        return left

    def _timed_out(self) -> GitTimedOut:
        return GitTimedOut(_TOO_LATE, self._err.decode("utf-8", "replace"))

    def _has_stored_too_much(self) -> bool:
        return self._store is not None and os.fstat(self._store.fileno()).st_size > self._cap

    def _take_out(self, pipe: IO[bytes]) -> bool:
        chunk = os.read(pipe.fileno(), _CHUNK)
        if self._give_on is not None:
            self._give_on(chunk)
            return bool(chunk)
        self._out += chunk
        if len(self._out) > self._cap:
            del self._out[self._cap :]
            self._is_cut = True
        return bool(chunk)

    def _take_err(self, pipe: IO[bytes]) -> bool:
        chunk = os.read(pipe.fileno(), _CHUNK)
        self._err += chunk
        del self._err[:-_ERR_CAP]
        if chunk and self._on_stderr:
            self._on_stderr(chunk)
        return bool(chunk)

    def _give(self, pipe: IO[bytes]) -> bool:
        try:
            self._todo = self._todo[os.write(pipe.fileno(), self._todo[:_CHUNK]) :]
        except BrokenPipeError:
            return False
        return bool(self._todo)

    def _end(self) -> None:
        pid = self._process.pid
        _signal_group(pid, signal.SIGTERM)  # gives git time to remove its lock files
        deadline = time.monotonic() + _TERM_SECONDS
        # not reaped before the last signal, so that its pid cannot be reused
        look = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while os.waitid(os.P_PID, pid, look) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        _signal_group(pid, signal.SIGKILL)
        self._process.wait()


def _unblocked(pipe: IO[bytes]) -> IO[bytes]:
    os.set_blocking(pipe.fileno(), False)
    return pipe


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
