"""Sign-in files of every preset: what a private home gets, and the tokens taken back from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.adapters.agents.catalogue.preset import Lent, Renewal, built_in
from app.adapters.agents.renewals import NotRenewed, fit_in, pick, take_back

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = int((NOW + timedelta(hours=1)).timestamp() * 1000)
LATER = int((NOW + timedelta(hours=9)).timestamp() * 1000)
BY_PLACE = {(preset.name, lent.file): lent for preset in built_in() for lent in preset.sign_in.lent}
RENEWED = [place for place, lent in BY_PLACE.items() if lent.renewal]


def jwt(**claims: Any) -> str:
    """Return an unsigned token with these claims."""
    words = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{words}.c2lnbmVk"


def codex(access: str, at: str, **other: Any) -> dict[str, Any]:
    tokens = {
        "id_token": jwt(sub="me", email="me@example.com", iat=len(access)),
        "access_token": access,
        "refresh_token": f"rt_{len(access)}",
        "account_id": "acc-1",
    }
    return {"OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": at, **other}


# each file that agents renew: the user's own, and the agent's an hour later
SAMPLES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("claude", ".credentials.json"): (
        {
            "claudeAiOauth": {
                "accessToken": "sk-ant-oat01-old",
                "refreshToken": "sk-ant-ort01-old",
                "expiresAt": SOON,
                "scopes": ["user:inference"],
                "subscriptionType": "pro",
            },
            "mcpOAuth": {"a server": {"accessToken": "of a server"}},
        },
        {
            "claudeAiOauth": {
                "accessToken": "sk-ant-oat01-new",
                "refreshToken": "sk-ant-ort01-new",
                "expiresAt": LATER,
                "scopes": ["user:inference", "user:profile"],
                "subscriptionType": "max",
            },
        },
    ),
    ("codex", "auth.json"): (
        codex(jwt(sub="me", exp=1), "2026-11-12T10:00:00.123456789Z"),
        codex(jwt(sub="me", exp=22), "2026-11-22T11:30:00Z", auth_mode="chatgpt"),
    ),
    ("gemini", "oauth_creds.json"): (
        {
            "access_token": "ya29.old",
            "refresh_token": "1//old",
            "scope": "a b",
            "token_type": "Bearer",
            "expiry_date": SOON,
        },
        {
            "access_token": "ya29.new",
            "refresh_token": "1//old",
            "scope": "b a",
            "token_type": "Bearer",
            "expiry_date": LATER,
        },
    ),
    ("opencode", "auth.json"): (
        {
            "anthropic": {"type": "oauth", "access": "a1", "refresh": "r1", "expires": SOON},
            "openai": {"type": "api", "key": "sk-proj-mine"},
        },
        {
            "anthropic": {"type": "oauth", "access": "a2", "refresh": "r2", "expires": LATER},
            "openai": {"type": "api", "key": "sk-proj-mine"},
        },
    ),
    ("cursor", "auth.json"): (
        {"accessToken": jwt(sub="me", exp=1_763_800_000), "refreshToken": jwt(sub="me", exp=1)},
        {
            "accessToken": jwt(sub="me", exp=1_795_400_000),
            "refreshToken": jwt(sub="me", exp=2),
        },
    ),
    ("qwen", "oauth_creds.json"): (
        {
            "access_token": "old",
            "refresh_token": "old-r",
            "resource_url": "portal.qwen.ai",
            "expiry_date": SOON,
        },
        {
            "access_token": "new",
            "refresh_token": "new-r",
            "resource_url": "portal.qwen.ai",
            "expiry_date": LATER,
        },
    ),
}


def exchange(place: tuple[str, str], own: Any, back: Any) -> dict[str, Any] | None:
    """Return the user's own file after taking back a renewal, or None if it is unchanged."""
    renewal = BY_PLACE[place].renewal
    assert renewal is not None
    taken = take_back(as_bytes(own), as_bytes(back), renewal, NOW)
    return None if taken is None else json.loads(taken)


def as_bytes(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def leaves(document: Any, path: str = "") -> dict[str, Any]:
    """Return every leaf value by its dotted path."""
    if not isinstance(document, dict):
        return {path: document}
    return {
        key: leaf
        for name, value in document.items()
        for key, leaf in leaves(value, f"{path}.{name}").items()
    }


def test_every_file_that_agents_renew_has_a_sample() -> None:
    assert set(RENEWED) == set(SAMPLES)


@pytest.mark.parametrize("preset", built_in(), ids=lambda preset: preset.name)
def test_what_shows_a_sign_in_is_what_a_private_home_gets(preset: Any) -> None:
    lent = {(one.file, one.folder, one.variable) for one in preset.sign_in.lent}
    shown = {(one.file, one.folder, one.variable) for one in preset.sign_in.files}
    assert shown <= lent
    # a variable naming a folder is withheld from the agent, so its preset must list it
    assert {one.variable for one in preset.sign_in.lent} - {""} <= set(preset.environment)


@pytest.mark.parametrize("place", RENEWED, ids=str)
def test_renewed_tokens_come_back_and_nothing_else_does(place: tuple[str, str]) -> None:
    own, back = SAMPLES[place]
    renewal = BY_PLACE[place].renewal
    assert renewal is not None
    taken = exchange(place, own, back)
    assert taken is not None
    before, after = leaves(own), leaves(taken)
    assert before.keys() == after.keys()
    changed = {key for key in before if before[key] != after[key]}
    assert changed
    assert all(any(key.endswith(f".{one}") for one in renewal.fields) for key in changed)
    # the renewal is complete: taking it back again changes nothing
    assert exchange(place, taken, back) is None
    assert exchange(place, taken, own) is None


def renewed(place: tuple[str, str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the user's file, a renewed one to spoil, and the part of that one with the tokens."""
    own, back = json.loads(json.dumps(SAMPLES[place]))
    renewal = BY_PLACE[place].renewal
    assert renewal is not None
    part = back
    if renewal.part:
        part = back["anthropic"] if renewal.part == "*" else back[renewal.part]
    return own, back, part


def newest(part: dict[str, Any], renewal: Renewal, value: Any) -> None:
    part[renewal.newest] = value


@pytest.mark.parametrize("place", RENEWED, ids=str)
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda part, _: part.update(hooks={"Stop": "curl evil"}), id="a hook"),
        pytest.param(lambda part, _: part.update(base_url="https://evil"), id="an address"),
        pytest.param(lambda part, _: part.update(apiKeyHelper="/tmp/x"), id="a command"),
        pytest.param(lambda part, one: newest(part, one, 9e15), id="the year 287396"),
        pytest.param(lambda part, one: newest(part, one, 10**400), id="no year at all"),
        pytest.param(lambda part, one: newest(part, one, "tomorrow"), id="a word"),
        pytest.param(lambda part, one: newest(part, one, None), id="nothing"),
        pytest.param(lambda part, one: newest(part, one, [1]), id="a list"),
    ],
)
def test_a_file_with_more_than_new_tokens_changes_nothing(
    place: tuple[str, str], spoil: Callable[[dict[str, Any], Renewal], None]
) -> None:
    own, back, part = renewed(place)
    renewal = BY_PLACE[place].renewal
    assert renewal is not None
    spoil(part, renewal)
    with pytest.raises(NotRenewed):
        exchange(place, own, back)


@pytest.mark.parametrize("place", RENEWED, ids=str)
@pytest.mark.parametrize(
    "value",
    [
        {"$ref": "x"},
        ["x"],
        7,
        True,
        "",
        "two words",
        "line\nbreak",
        "\x1b[2J",
        "x" * 20_000,
        "sk-proj-anothers",
        "täst",
    ],
    ids=repr,
)
def test_what_is_no_token_of_the_same_kind_is_never_taken(
    place: tuple[str, str], value: Any
) -> None:
    own, back, part = renewed(place)
    renewal = BY_PLACE[place].renewal
    assert renewal is not None
    path = next(one for one in renewal.fields if one != renewal.newest)
    *above, name = path.split(".")
    for step in above:
        part = part[step]
    part[name] = value
    with pytest.raises(NotRenewed):
        exchange(place, own, back)


@pytest.mark.parametrize("place", RENEWED, ids=str)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b'{"a": NaN}'],
    ids=lambda content: repr(content[:12]),
)
def test_what_cannot_be_read_changes_nothing(place: tuple[str, str], content: bytes) -> None:
    with pytest.raises(NotRenewed):
        exchange(place, SAMPLES[place][0], content)


def test_the_tokens_of_another_account_are_refused_where_they_say_whose_they_are() -> None:
    place = ("codex", "auth.json")
    for change in (
        {"access_token": jwt(sub="them", exp=22)},
        {"id_token": jwt(sub="me", email="them@example.com")},
        {"account_id": "acc-2"},
    ):
        own, back, _ = renewed(place)
        back["tokens"].update(change)
        with pytest.raises(NotRenewed):
            exchange(place, own, back)
    own, back, _ = renewed(("cursor", "auth.json"))
    back["accessToken"] = jwt(sub="them", exp=1_795_400_000)
    with pytest.raises(NotRenewed):
        exchange(("cursor", "auth.json"), own, back)


def test_keys_and_providers_that_an_agent_adds_or_changes_stay_with_it() -> None:
    place = ("opencode", "auth.json")
    own, back, _ = renewed(place)
    back["openai"]["key"] = "sk-proj-anothers"
    back["evil"] = {"type": "wellknown", "key": "X", "token": "Y"}
    taken = exchange(place, own, back)
    assert taken is not None
    assert taken["openai"] == own["openai"]
    assert set(taken) == set(own)
    assert taken["anthropic"]["access"] == "a2"


def test_where_qwens_tokens_are_sent_is_never_an_agents_choice() -> None:
    place = ("qwen", "oauth_creds.json")
    own, back, _ = renewed(place)
    back["resource_url"] = "evil.example.com"
    with pytest.raises(NotRenewed):
        exchange(place, own, back)


def test_a_renewal_from_before_the_users_own_is_not_taken() -> None:
    for place in RENEWED:
        own, back = SAMPLES[place]
        assert exchange(place, back, own) is None


GIVEN = {
    ("claude", ".credentials.json"): (
        {"claudeAiOauth": {"accessToken": "x"}, "mcpOAuth": {"s": {"accessToken": "y"}}},
        {"claudeAiOauth": {"accessToken": "x"}},
    ),
    ("claude", ".claude.json"): (
        {"primaryApiKey": "k", "mcpServers": {"a": {}}, "projects": {"/secret": {}}},
        {"primaryApiKey": "k"},
    ),
    ("claude", "settings.json"): (
        {"env": {"A": "1"}, "hooks": {"Stop": []}, "permissions": {}},
        {"env": {"A": "1"}},
    ),
    ("gemini", "settings.json"): (
        {"security": {"auth": {"selectedType": "oauth"}, "other": 1}, "mcpServers": {}},
        {"security": {"auth": {"selectedType": "oauth"}}},
    ),
}


@pytest.mark.parametrize("place", GIVEN, ids=str)
def test_a_private_home_gets_the_sign_in_of_a_file_and_nothing_else(
    place: tuple[str, str],
) -> None:
    own, given = GIVEN[place]
    assert json.loads(pick(BY_PLACE[place], as_bytes(own)) or b"") == given
    assert pick(BY_PLACE[place], b'{"hooks": {}}') is None


TEXTS = {
    ("codex", "config.toml"): (
        'model_provider = "mine"\nnotify = ["/home/me/tell"]\n\n[model_providers.mine]\n'
        'base_url = "https://a"\n[mcp_servers.x]\ncommand = "y"\nmodel = "no"\n[profiles."p"]\n'
        'model = "m"\n',
        'model_provider = "mine"\n[model_providers.mine]\nbase_url = "https://a"\n'
        '[profiles."p"]\nmodel = "m"\n',
    ),
    ("aider", ".aider.conf.yml"): (
        "# mine\nlint-cmd: rm -rf\nopenai-api-key: sk\napi-key:\n  - gemini=x\n  - a=b\ntest: y\n",
        "openai-api-key: sk\napi-key:\n  - gemini=x\n  - a=b\n",
    ),
    ("copilot", "hosts.yml"): (
        "github.com:\n    oauth_token: gho_x\nforge.example.com:\n    oauth_token: other\n",
        "github.com:\n    oauth_token: gho_x\n",
    ),
    ("gemini", ".env"): (
        "AWS_SECRET=1\nexport GEMINI_API_KEY=x\nOTHER=2\n",
        "export GEMINI_API_KEY=x\n",
    ),
}


@pytest.mark.parametrize("place", TEXTS, ids=str)
def test_of_a_file_of_lines_only_the_chosen_settings_are_given(place: tuple[str, str]) -> None:
    own, given = TEXTS[place]
    picked = pick(BY_PLACE[place], own.encode()) or b""
    assert picked.decode().replace("\n\n", "\n") == given


def test_what_an_agent_keeps_in_the_same_file_stays_its_own() -> None:
    lent = Lent(".claude.json", "~", only=("primaryApiKey", "userID"))
    there = b'{"primaryApiKey": "old", "numStartups": 3}'
    assert json.loads(fit_in(lent, b'{"primaryApiKey": "new"}', there) or b"") == {
        "primaryApiKey": "new",
        "numStartups": 3,
    }
    same = b'{"numStartups":3,"primaryApiKey":"new"}'
    assert fit_in(lent, b'{"primaryApiKey": "new"}', same) == same
    for odd in (b"[", b"[]", b"[" * 100_000, b"\xff"):
        assert fit_in(lent, b"new", odd) == b"new"
        assert fit_in(lent, None, odd) is None
    assert fit_in(lent, None, b'{"userID": "x"}') is None
