"""The files in deploy/: systemd's unit, the Compose file, and the limits of both proxies."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

from app.api.http.request_info import MAX_BATCH_BODY
from app.config import Settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
SCHEMA = Path(__file__).with_name("compose-spec.json")
# the schema's own word for times such as 30s
FORMATS = {"duration": r"^(?:\d+(?:us|ms|s|m|h))+$"}


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if (verifier := shutil.which("systemd-analyze")) is None:
        pytest.skip("NO SYSTEMD-ANALYZE: the unit in deploy/ was not verified")
    unit = (DEPLOY / "runyard.service").read_text()
    # the program has to be there, so one that is stands for ours
    here, replaced = re.subn(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit)
    assert replaced == 1
    (tmp_path / "runyard.service").write_text(here)
    ended = subprocess.run(
        [verifier, "verify", str(tmp_path / "runyard.service")], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_unit_leaves_agents_alone_when_the_server_is_started_again() -> None:
    assert "\nKillMode=process\n" in (DEPLOY / "runyard.service").read_text()


def compose() -> dict[str, Any]:
    known: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return known


def test_the_compose_file_fits_its_schema() -> None:
    validate = fastjsonschema.compile(json.loads(SCHEMA.read_text()), formats=FORMATS)
    validate(compose())
    broken = compose()
    broken["services"]["runyard"]["restrat"] = "always"
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate(broken)


def test_the_compose_file_has_its_proxy_on_loopback_where_the_first_start_is_allowed() -> None:
    services = compose()["services"]
    settings = services["runyard"]["environment"]
    assert services["caddy"]["network_mode"] == "service:runyard"
    assert settings["RUNYARD_TRUSTED_PROXIES"] == "127.0.0.1"
    # an open address is refused until somebody can sign in
    assert "RUNYARD_HOST" not in settings
    assert "--host" not in services["runyard"]["command"]
    known = {f"RUNYARD_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in settings if name.startswith("RUNYARD_")} <= known


def test_the_compose_file_gives_no_root_no_capabilities_and_none_of_the_source() -> None:
    services = compose()["services"]
    assert services["runyard"]["user"].split(":")[0] not in ("0", "root")
    assert [one["cap_drop"] for one in services.values()] == [["ALL"], ["ALL"]]
    assert "cap_add" not in services["runyard"]
    assert "no-new-privileges:true" in services["runyard"]["security_opt"]
    assert services["runyard"]["volumes"] == ["runyard:/var/lib/runyard"]


@pytest.mark.parametrize(
    ("file", "named"),
    [("Caddyfile", r"max_size (\d+)MB"), ("nginx.conf", r"max_body_size (\d+)m;")],
)
def test_a_proxy_lets_the_largest_batch_through(file: str, named: str) -> None:
    found = re.search(named, (DEPLOY / file).read_text())
    assert found is not None
    # the smaller of both meanings of a megabyte
    assert int(found[1]) * 1_000_000 > MAX_BATCH_BODY
