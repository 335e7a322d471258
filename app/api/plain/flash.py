"""Flash messages of script-free pages: a code in the URL, our own sentence on the page."""

from __future__ import annotations

from app import errors
from app.errors import Refusal

STARTED, REPLAYED = "started", "started_before"
AUTO_ON, AUTO_OFF = "auto_on", "auto_off"
RESET, STOPPED = "was_reset", "was_stopped"

_DONE = {
    STARTED: "The run is accepted. Reload to see how it goes on.",
    REPLAYED: "This form had started its run before; nothing more was started.",
    AUTO_ON: "Auto AFK runs are on.",
    AUTO_OFF: "Auto AFK runs are off. What runs goes on.",
    RESET: "The failures are reset. Auto AFK runs go on where they are on.",
    STOPPED: "The run is stopped. Its work is kept.",
}


def sentence_of(code: str) -> tuple[str, str]:
    """Return the sentence and tone (`go` or `stop`) of a code; two empty strings if unknown."""
    if code in _DONE:
        return _DONE[code], "go"
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Refusal) and kind.code == code:
            return str(kind()), "stop"
    return "", ""
