"""Opening the system's browser, signed in by a file that only the current user can read."""

from __future__ import annotations

import os
import webbrowser
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlsplit

FILE = "sign-in.html"
# not on the command line: every user of the machine can read the arguments of a process
_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Opening Runyard</title>
<style>
:root { color-scheme: light dark; }
body { margin: 12vh auto; max-width: 34rem; padding: 0 1.25rem; font: 1rem/1.55 system-ui, sans-serif; }
</style>
<form method="post" action="$action">
<input type="hidden" name="token" value="$token">
<p>Opening Runyard… <button>Open it</button></p>
</form>
<script>document.forms[0].submit()</script>
""")  # noqa: E501


def open_signed_in(folder: Path, link: str) -> bool:
    """Open a one-time link in the browser, by a file in `folder` that posts its secret.

    Returns False if no browser could be started or the file could not be written.
    """
    parts = urlsplit(link)
    page = _PAGE.substitute(
        action=escape(f"{parts.scheme}://{parts.netloc}{parts.path}"),
        token=escape(parse_qs(parts.query)["token"][0]),
    )
    file, draft = folder / FILE, folder / f".{FILE}.{os.getpid()}"
    try:
        with open(draft, "w", opener=_privately, encoding="utf-8") as opened:
            opened.write(page)
        os.replace(draft, file)
    except OSError:
        return False
    return webbrowser.open(file.absolute().as_uri())


def forget_sign_in(folder: Path) -> None:
    """Remove the sign-in file, whose secret is used or expired."""
    (folder / FILE).unlink(missing_ok=True)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
