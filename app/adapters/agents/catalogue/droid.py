"""Preset for Factory's droid."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Preset, SignIn

DROID = Preset(
    name="droid",
    executable="droid",
    version="its documentation of 2026-11",
    arguments=(
        *("exec", "--output-format", "stream-json"),
        *("--skip-permissions-unsafe", "--file", "{prompt_file}"),
    ),
    model_flag="--model",
    stream="claude",
    install="the installer of Factory's own documentation",
    help_arguments=("exec", "--help"),
    sign_in=SignIn(
        mend="Run `droid` and sign in as the server's user, or set FACTORY_API_KEY.",
        variables=("FACTORY_API_KEY",),
    ),
    continue_arguments=("--session-id", "{session}"),
    hosts=("api.factory.ai", "app.factory.ai", "auth.factory.ai", "api.workos.com"),
    environment=("FACTORY_API_KEY",),
)
