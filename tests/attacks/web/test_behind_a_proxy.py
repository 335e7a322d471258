"""A1, A6, A10: whole servers behind a proxy, and starts that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.drivers.servers.processes import RunyardServer, free_port, refused_start

HOST = "runyard.example.org"
URL = f"https://{HOST}"
BEYOND = {"RUNYARD_PUBLIC_URL": URL, "RUNYARD_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    """A server with a public URL, on loopback."""
    server = RunyardServer(tmp_path_factory.mktemp("public"), dict(BEYOND))
    server.start()
    yield server
    server.stop()


def proxied(server: RunyardServer, **headers: str) -> httpx.Client:
    """Return a client whose requests look as the proxy passes them on."""
    own = {"Host": HOST, "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Client(base_url=server.url, headers=own | given, trust_env=False, timeout=30)


def test_a_browser_signs_in_by_the_link_and_its_page_reaches_the_api(
    server: RunyardServer,
) -> None:
    assert server.login_link.startswith(f"{URL}/login?token=")
    with proxied(server, accept="text/html") as caller:
        signed_in = caller.get(server.login_link.removeprefix(URL))
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        assert cookie.startswith("__Host-runyard=")
        # the page asks the API in this process: it would show a fault without an answer
        page = caller.get("/", headers={"Cookie": cookie})
        assert page.status_code == 200
        assert "nicegui" in page.text
        system = caller.get("/api/v1/system", headers={"Cookie": cookie}).json()
        assert system["base_url"] == URL


def test_the_audit_holds_the_address_of_the_person_not_of_the_proxy(server: RunyardServer) -> None:
    with proxied(server, authorization=f"Bearer {server.token}") as caller:
        assert caller.post("/api/v1/login-links").status_code == 201
        rows = caller.get("/api/v1/audit", params={"deed": "make_login_link"}).json()["items"]
    assert rows[0]["address"] == "203.0.113.7"


def test_the_command_line_of_this_machine_uses_the_token_at_127_0_0_1(
    server: RunyardServer,
) -> None:
    with server.client() as api:
        assert api.get("/system").json()["base_url"] == URL
        assert api.get("/system", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("settings", [{}, {"RUNYARD_PUBLIC_URL": URL}], ids=["alone", "public"])
def test_nobody_s_word_counts_for_an_address_without_trusted_proxies(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    server = RunyardServer(tmp_path, settings)
    server.start(rb"https?://\S+/login\?token=\S+(?=\n)")
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    with server.client(**forged) as api:
        assert api.post("/login-links").status_code == 201
        rows = api.get("/audit", params={"deed": "make_login_link"}).json()["items"]
        doctor = api.get("/doctor").json()["items"]
    server.stop()
    assert rows[0]["address"] == "127.0.0.1"
    # behind a proxy everybody then looks like the proxy
    is_told = bool(settings)
    assert ("proxies_not_named" in server.log) is is_told
    advice = [one["advice"] for one in doctor if one["check"] == "proxies"]
    assert ["RUNYARD_TRUSTED_PROXIES" in one for one in advice] == [True] * is_told


def test_nothing_is_told_of_a_proxy_that_is_named(server: RunyardServer) -> None:
    with server.client() as api:
        doctor = api.get("/doctor").json()["items"]
    assert "proxies" not in [one["check"] for one in doctor]
    assert "proxies_not_named" not in server.log


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
@pytest.mark.parametrize("settings", [{}, BEYOND], ids=["no public URL", "no person"])
def test_a06_an_open_address_is_refused_before_anything_is_made(
    tmp_path: Path, host: str, settings: dict[str, str]
) -> None:
    data = tmp_path / "data"
    code, errors = refused_start(data, free_port(), RUNYARD_HOST=host, **settings)
    assert code == 1
    assert errors.startswith(f"runyard: {host} can be reached from other machines")
    assert "a way to sign in" in errors
    assert not data.exists()


@pytest.mark.parametrize("url", ["http://runyard.example.org", "https://runyard.example.org/x"])
def test_a_public_url_that_cannot_be_served_ends_the_start(tmp_path: Path, url: str) -> None:
    code, errors = refused_start(tmp_path, RUNYARD_PUBLIC_URL=url)
    assert (code, "RUNYARD_PUBLIC_URL is not usable" in errors) == (1, True)


ISSUER = {"RUNYARD_OIDC_ISSUER": "https://id.example.org"}
CLIENT = {"RUNYARD_OIDC_CLIENT_ID": "runyard"}
SECRET = {"RUNYARD_OIDC_CLIENT_SECRET": "s3cret"}


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        (ISSUER | CLIENT, "RUNYARD_OIDC_CLIENT_SECRET"),
        (CLIENT | SECRET, "RUNYARD_OIDC_ISSUER"),
        (ISSUER, "RUNYARD_OIDC_CLIENT_ID and RUNYARD_OIDC_CLIENT_SECRET"),
    ],
)
def test_half_a_provider_ends_the_start_with_the_setting_that_is_missing(
    tmp_path: Path, told: dict[str, str], missing: str
) -> None:
    code, errors = refused_start(tmp_path, free_port(), **told)
    assert (code, errors.count("\n")) == (1, 1)
    assert errors == f"runyard: {missing} missing: a provider needs all three\n"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('oidc_groups = ["leads"]', "OIDC_GROUPS"),
        ("trusted_proxies = 5", "TRUSTED_PROXIES"),
        ("trusted_proxies = [true]", "TRUSTED_PROXIES"),
    ],
)
def test_a_setting_of_another_type_ends_the_start_with_a_sentence(
    tmp_path: Path, line: str, name: str
) -> None:
    (tmp_path / "runyard.toml").write_text(line)
    code, errors = refused_start(tmp_path)
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith(f"runyard: the setting RUNYARD_{name} is not usable: ")
