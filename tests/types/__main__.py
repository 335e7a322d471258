"""Compare the strict type errors with the ratchet: `python -m tests.types`."""

from __future__ import annotations

import sys

from tests.types.ratchet import allowed, count_errors, problems

sys.exit("\n".join(problems(count_errors(), allowed())) or 0)
