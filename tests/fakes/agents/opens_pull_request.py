"""An agent that commits, pushes and opens pull requests itself, as `gh` and `tea` would.

Its arguments: a file of JSON with the API's address of the repository and the requests to open.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


def git(*args: str, told: str = "") -> str:
    """Run git in the working copy and return what it printed."""
    done = subprocess.run(["git", *args], input=told, check=True, capture_output=True, text=True)
    return done.stdout


def main() -> None:
    """Do what the plan says."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    branch = git("rev-parse", "--abbrev-ref", "HEAD").strip()
    Path("new.txt").write_text(plan.get("text", "new\n"))
    git("add", "-A")
    git("commit", "-qm", "Add a file")
    git("push", "-q", "origin", f"HEAD:{branch}")
    known = git("credential", "fill", told=f"url={plan['home']}\n\n")
    token = dict(line.split("=", 1) for line in known.splitlines() if line)["password"]
    Path(plan["told"]).write_text(
        json.dumps({"env": dict(os.environ), "token": token, "seen": seen(plan)})
    )
    print(f"my token is {token}", flush=True)
    for request in plan["requests"]:
        text = f"Done by me. {plan.get('mark', '').format(run=os.environ['RUNYARD_RUN_ID'])}"
        body = json.dumps({"head": branch, "body": text.strip(), **request}).encode()
        asked = urllib.request.Request(f"{plan['api']}/pulls", body, method="POST")  # noqa: S310
        scheme = "Bearer" if "/api/v3" in plan["api"] else "token"
        asked.add_header("Authorization", f"{scheme} {token}")
        asked.add_header("Content-Type", "application/json")
        urllib.request.urlopen(asked, timeout=30).read()  # noqa: S310
    if plan.get("amends"):
        git("commit", "-q", "--amend", "-m", "Add another file")
    if plan.get("more"):
        Path("more.txt").write_text("more\n")
        git("add", "-A")
        git("commit", "-qm", "Add more")
    if plan.get("stays"):
        time.sleep(3600)
    sys.exit(plan.get("code", 0))


def seen(plan: dict[str, str]) -> list[str]:
    """Return the files of the tool's folder that the agent can read."""
    folder = os.environ.get("GH_CONFIG_DIR", "")
    return sorted(os.listdir(folder)) if folder else []


if __name__ == "__main__":
    main()
