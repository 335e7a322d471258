"""Preset for Cursor's agent."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Lent, Preset, Renewal, SignIn, Stored

CURSOR = Preset(
    name="cursor",
    executable="cursor-agent",
    version="its documentation of 2026-11",
    arguments=("-p", "--output-format", "stream-json", "--force"),
    model_flag="--model",
    stream="claude",
    install="the installer of Cursor's own documentation",
    sign_in=SignIn(
        mend="Run `cursor-agent login` as the server's user, or set CURSOR_API_KEY.",
        variables=("CURSOR_API_KEY",),
        files=(Stored("auth.json", "~/.config/cursor", holds=("accessToken",)),),
        lent=(
            Lent(
                *("auth.json", "~/.config/cursor"),
                renewal=Renewal(fields=("accessToken", "refreshToken"), newest="accessToken"),
            ),
        ),
    ),
    continue_arguments=("--resume", "{session}"),
    # its plans have limits with various names
    limit_messages=(
        r"You['’]ve (?:hit|reached) your (?:[a-z]+ ){0,2}limit\b",
        r"\busage limit (?:reached|exceeded)\b",
    ),
    hosts=(
        *("api2.cursor.sh", "api3.cursor.sh", "api4.cursor.sh", "api5.cursor.sh"),
        *("agent.api5.cursor.sh", "authenticate.cursor.sh", "authenticator.cursor.sh"),
        "repo42.cursor.sh",
    ),
    environment=("CURSOR_API_KEY",),
)
