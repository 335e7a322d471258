"""EnvProvenance: where and with what something was made."""

from __future__ import annotations

from app.pages.components.markup import text
from app.state.wire import Provenance


def env_provenance_html(made: Provenance) -> str:
    """Two lines: `local · v0.1.0 · 3f9c2e1` and `SQLite · studio-2`."""
    first = " · ".join(x for x in (made.environment, f"v{made.version}", made.commit[:7]) if x)
    second = " · ".join(x for x in (made.database, made.host) if x)
    return f'<div class="env" data-testid="env-provenance">{text(first)}<br>{text(second)}</div>'
