"""A server filled with samples of everything, for the tests that visit all pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.builders.repositories import commit_files
from tests.builders.scenes import (
    HOSTILE,
    NEVER_COMMITS,
    Puppet,
    add_project,
    start_run,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer

COLORS = "printf '\\033[34m> Read\\033[0m src/money.py\\n\\033[32m142 passed\\033[0m in 8.21s\\n'; "
DELIVERS = [
    "/bin/sh",
    "-c",
    COLORS + "echo 'ROUND = 2' > money.py; rm -f README.md; git add -A; "
    "git commit -qm 'Round tax per line'",
]


NOTED = f"""# What is wrong

Sums of an invoice differ by a cent from the sum of its lines, in **ledger/tax.py**:
see `round_tax`.

## How to see it

1. Run `ledger export --year 2026`.
2. Compare with *the sheet of the auditors*:
   - column `tax_total`
   - column {"a_name_without_any_place_to_break_" * 6}

```python
def round_tax(lines: list[Line]) -> Decimal:
    return sum((net * rate for net, rate in lines), start=ZERO).quantize(CENT)  # {"late " * 20}
```

> The auditors want it per line.

| invoice | lines | invoice total |
|---|---|---|
| 2026-0001 | 119.01 | 119.00 |

### What is done

- [ ] a test with three lines
- [ ] {HOSTILE}
"""
COMMENT = """## Decimal, please

Keep the CSV format:

- one line an invoice
- `;` between the columns
"""
# words without any place to break, in text, in code, in a table and in a label
UNBROKEN = f"{'y' * 3000}\n\n`{'z' * 400}`\n\n| a | b |\n|---|---|\n| {'x' * 300} | 2 |\n"
LONG_LABEL = "a-label-that-is-as-long-as-one-may-be-" * 2
# names may have 80 characters, titles 300
HOSTILE_NAME, HOSTILE_TITLE = HOSTILE.ljust(80, "x"), HOSTILE.ljust(300, "x")
ODD = "A title \u202e\u3000 of " + "many words " * 20
KEEPS_WORK = ["/bin/sh", "-c", "echo half > half.py; git add -A; git commit -qm Half; exit 3"]

IS_DRAWN = "() => window.socket?.connected && window.did_handshake"


@dataclass(frozen=True)
class Yard:
    """Ids of the samples, and the paths of all pages by name."""

    paths: dict[str, str]
    projects: dict[str, str]
    runs: dict[str, str]


def fill(server: RunyardServer, folder: Path) -> Yard:
    """Make projects and runs in every state, some with long or hostile names."""
    puppet = Puppet(folder / "agent")
    projects = {
        "running": _project(server, folder, "checkout-api", puppet.argv),
        "delivers": _project(server, folder, HOSTILE_NAME, DELIVERS),
        "fails": _project(server, folder, "mobile", NEVER_COMMITS),
        "keeps": _project(server, folder, "billing", KEEPS_WORK),
        "asks": _project(server, folder, "asks-first", NEVER_COMMITS),
        "stopped": _project(server, folder, "docs-site", ["/bin/sh", "-c", "exec sleep 600"]),
    }
    _write_issues(server, projects["delivers"])
    runs = {
        "running": start_run(server, projects["running"], task="Reject expired coupons"),
        "succeeded": start_run(server, projects["delivers"], issue=1),
        "died": start_run(server, projects["fails"], task=HOSTILE),
        "kept": start_run(server, projects["keeps"], task="Charge in the currency of the order"),
        "stopped": start_run(server, projects["stopped"]),
    }
    with server.client() as client:
        guarded = {"approve_start": True}
        client.patch(f"/projects/{projects['asks']}", json=guarded).raise_for_status()
    runs["asks"] = start_run(server, projects["asks"], task=HOSTILE)
    for name in ("running", "stopped"):
        wait_until(server, runs[name], status="running")
    puppet.tell("say reading coupons/validate.py", "say the expiry compares naive datetimes")
    with server.client() as client:
        client.post(f"/runs/{runs['stopped']}/stop", json={"because": "not needed any more"})
    delivered = wait_until(server, runs["succeeded"], status="succeeded")
    for name in ("died", "kept"):
        wait_until(server, runs[name], status="died")
    wait_until_released(server, runs["kept"])
    wait_until_released(server, runs["stopped"])
    change = {"project-change": delivered["delivery"]["url"]}
    return Yard(_paths(projects, runs) | change, projects, runs)


def _project(server: RunyardServer, folder: Path, name: str, argv: list[str]) -> str:
    place = folder / f"place{len(list(folder.iterdir()))}"
    project_id = add_project(server, place, argv, name=name)
    commit_files(place / "origin", {"src/money.py": "def round_tax():\n    return 0\n"})
    return project_id


def _write_issues(server: RunyardServer, project_id: str) -> None:
    issues = (
        ("Round tax per line, not per invoice", "Sums differ by a cent.", ["ready-for-agent"]),
        ("Export the ledger as CSV", "## Blocked by\n\n#1\n", ["ready-for-agent"]),
        (HOSTILE, HOSTILE, []),
        (HOSTILE_TITLE, UNBROKEN, ["needs-info", LONG_LABEL]),
        (ODD, NOTED, ["ready-for-agent", "tax"]),
    )
    with server.client() as client:
        for title, body, labels in issues:
            body_ = {"title": title, "body": body, "labels": labels}
            assert client.post(f"/projects/{project_id}/issues", json=body_).status_code == 201
        for words in (COMMENT, HOSTILE, "y" * 600):
            answer = client.post(f"/projects/{project_id}/issues/5/comments", json={"body": words})
            assert answer.status_code == 201, answer.text


def _paths(projects: dict[str, str], runs: dict[str, str]) -> dict[str, str]:
    ledger = f"/projects/{projects['delivers']}"
    return {
        "projects": "/",
        "runs": "/runs",
        "ready-issues": "/issues",
        "board": "/issues?view=board",
        "project-list": "/projects",
        "batches": "/batches",
        "parked": "/parked",
        "approvals": "/approvals",
        "add-project": "/projects/add",
        "settings": "/settings",
        "settings-limits": "/settings?tab=limits",
        "settings-people": "/settings?tab=people",
        "settings-tokens": "/settings?tab=tokens",
        "settings-organisation": "/settings?tab=organisation",
        "me": "/me",
        "audit": "/audit",
        "guide": "/guide",
        "project-issues": ledger,
        "issues": f"{ledger}/issues",
        "issue": f"{ledger}/issues/2",
        "issue-long": f"{ledger}/issues/4",
        "issue-noted": f"{ledger}/issues/5",
        "project-runs": f"{ledger}?tab=runs",
        "project-changes": f"{ledger}?tab=changes",
        "project-charts": f"{ledger}?tab=charts",
        "project-settings": f"{ledger}?tab=settings",
        "quota": "/quota",
        "new-run": f"{ledger}/run?issue=2",
        **{f"run-{name}": f"/runs/{run_id}" for name, run_id in runs.items()},
        "run-diff": f"/runs/{runs['succeeded']}",
    }
