"""Preset for Amp."""

from __future__ import annotations

from app.adapters.agents.catalogue.preset import Lent, Preset, SignIn, Stored

AMP = Preset(
    name="amp",
    executable="amp",
    version="0.0.1790142911",
    arguments=("-x", "--stream-json", "--dangerously-allow-all"),
    # it selects models by its own modes
    model_flag="",
    stream="claude",
    install="npm install -g @sourcegraph/amp",
    # still accepted, but no longer listed in its help
    unlisted=("--dangerously-allow-all",),
    # without a key it opens a browser and waits forever
    sign_in=SignIn(
        mend="Run `amp login` as the server's user, or set AMP_API_KEY.",
        variables=("AMP_API_KEY",),
        files=(Stored("secrets.json", "~/.local/share/amp", holds=("apiKey",)),),
        lent=(Lent("secrets.json", "~/.local/share/amp"),),
    ),
    # it is paid for by credits, which only a person can buy
    limit_messages=(r"\b(?P<person>(?:out of|insufficient|not enough|no) (?:[a-z]+ )?credits?)\b",),
    hosts=("ampcode.com",),
    environment=("AMP_API_KEY",),
)
