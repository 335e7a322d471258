"""Notification settings: accepted values, and the errors for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.config import load_settings
from app.domain.notifications import Kind
from tests.fakes.receivers import SECRET


def test_addresses_are_parted_by_space_for_they_may_hold_commas(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = f"mailto://me:{SECRET}@x.example?to=a,b", f"json://x.example/{SECRET}"
    monkeypatch.setenv("RUNYARD_NOTIFY_URLS", f" {first}\n{second}  {first} ")
    settings = load_settings(data_dir=tmp_path)
    assert [url.get_secret_value() for url in settings.notify_urls] == [first, second]
    told = {name: value for name, value, _ in settings.described({})}
    assert told["RUNYARD_NOTIFY_URLS"] == "mailto://x.example/… json://x.example/…"
    assert SECRET not in repr(settings) + repr(told)


def test_the_file_may_hold_lists(tmp_path: Path) -> None:
    lines = ('notify_urls = ["ntfy://a", "ntfy://b"]', 'notify_kinds = ["paused"]')
    (tmp_path / "runyard.toml").write_text("\n".join(lines))
    settings = load_settings(data_dir=tmp_path)
    assert len(settings.notify_urls) == 2
    assert settings.notify_kinds == (Kind.PAUSED,)


def test_by_default_nobody_is_told(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    assert (settings.notify_urls, settings.notify_kinds) == ((), tuple(Kind))
    assert (settings.quiet_hours, settings.digest_at, settings.notify_zone) == (None, None, None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"notify_kinds": "paused deliverd"}, "deliverd is none of paused, delivered, failed"),
        ({"notify_zone": "Mars/Olympus"}, "write a time zone as Europe/Berlin"),
        ({"notify_zone": "/etc/passwd"}, "write a time zone as Europe/Berlin"),
        ({"notify_zone": "../x"}, "write a time zone as Europe/Berlin"),
        ({"quiet_hours": "22-7"}, "write a time of day as 07:30"),
        ({"quiet_hours": "22:00"}, "write two times of day as 22:00-07:00"),
        ({"quiet_hours": "07:00-07:00"}, "quiet hours need an end that is not their begin"),
        ({"digest_at": "7.30"}, "write a time of day as 07:30"),
        (
            {"quiet_hours": "22:00-07:00", "digest_at": "07:30"},
            "with RUNYARD_QUIET_HOURS the digest comes at their end",
        ),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(
    tmp_path: Path, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        load_settings(data_dir=tmp_path, **given)
    assert sentence in refused.value.errors()[0]["msg"]
