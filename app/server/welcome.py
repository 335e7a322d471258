"""The welcome after a server's start: its page, signed in, or a link if that fails."""

from __future__ import annotations

import threading

from app.control_plane import ControlPlane
from app.native.browser import forget_sign_in, open_signed_in
from app.native.window import Window
from app.records.database.database import DatabaseSilent
from app.server.startup import link_address_of, login_command, page_address_of
from app.services.people.accounts import LINK_LIFETIME, POSTED_LIFETIME

USED_SECONDS = 5.0
_GOES_ON = (
    "The window is closed, and Runyard keeps running: Ctrl-C ends it, and "
    "`runyard serve --native` opens a window again."
)


class Welcome:
    """Opens the page of a server in a window or a browser.

    Without either, or if nobody has signed in by it for a while, prints a link in the terminal.
    """

    def __init__(self, plane: ControlPlane, *, in_window: bool, in_browser: bool) -> None:
        self._plane = plane
        self._folder = plane.settings.data_root
        self._in_browser = in_browser
        self._was_used = threading.Event()
        self._is_over = threading.Event()
        self._window = None
        if in_window:
            make_link = self._own_link
            self._window = Window(self._folder, make_link, in_browser=in_browser, closed=_GOES_ON)

    def close(self) -> None:
        """Close the window and remove the sign-in file."""
        self._is_over.set()
        if self._window is not None:
            self._window.close()
        forget_sign_in(self._folder)

    def say(self) -> None:
        """Open the page, or print a link to it, or print why nobody can sign in now."""
        try:
            self._bring_in()
        except (DatabaseSilent, OSError) as problem:
            # users who are signed in can still read the pages, which show the problem, too
            told = getattr(problem, "sentence", None) or problem
            print(f"Runyard is running, but cannot make a sign-in link. {told}", flush=True)
            print(f"A link, later: {login_command(self._plane.settings)}", flush=True)

    def _bring_in(self) -> None:
        if not self._in_browser:
            self._print_link()
        if self._window is not None:
            self._window.open()
        elif self._in_browser and not open_signed_in(self._folder, self._own_link(is_posted=True)):
            self._print_link()
            return
        if self._in_browser:
            print(f"Runyard is ready at {link_address_of(self._plane.settings)}", flush=True)
            threading.Thread(target=self._follow, args=(self._was_used,), daemon=True).start()

    def _follow(self, was_used: threading.Event) -> None:
        """Print a link if nobody has signed in: some browsers may not read hidden folders."""
        if not was_used.wait(USED_SECONDS) and not self._is_over.is_set():
            self._print_link()
        if not was_used.is_set():
            was_used.wait(POSTED_LIFETIME.total_seconds() - USED_SECONDS)
        forget_sign_in(self._folder)

    def _own_link(self, *, is_posted: bool = False) -> str:
        """Return a sign-in link at the pages' own origin, and watch for its use."""
        link = login_link(self._plane, page_address_of(self._plane.settings), is_posted=is_posted)
        self._was_used = self._plane.services.accounts.use_of(link.rpartition("=")[2])
        return link

    def _print_link(self) -> None:
        link = login_link(self._plane, link_address_of(self._plane.settings))
        print(f"Runyard is ready. Open this link once, within 5 minutes:\n\n  {link}\n", flush=True)
        print(f"Another link: {login_command(self._plane.settings)}", flush=True)


def login_link(plane: ControlPlane, address: str, *, is_posted: bool = False) -> str:
    """Return a one-time link at `address`, valid for 5 minutes, or 1 minute if `is_posted`."""
    lifetime = POSTED_LIFETIME if is_posted else LINK_LIFETIME
    token = plane.services.accounts.make_link_token(plane.clock(), lifetime)
    return f"{address}/login?token={token}"
