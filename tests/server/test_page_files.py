"""The pages' scripts and style sheets as browsers get them: by hash, compressed, lasting."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.server.page_files import FOR_EVER, SCRIPT, STYLE, VUE, PageFiles
from tests.drivers.source_tree import ROOT

ASSETS = ROOT / "assets"


@pytest.fixture
def files() -> PageFiles:
    """The assets of this checkout."""
    return PageFiles(ASSETS)


@pytest.fixture
async def caller(files: PageFiles) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the assets that reads compressed answers."""
    web = FastAPI()
    web.mount("/assets", files)
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


@pytest.mark.parametrize("name", [STYLE, SCRIPT, VUE, "clock.js", "runs.css"])
async def test_a_file_asked_for_by_its_hash_is_cached_for_ever(
    files: PageFiles, caller: httpx.AsyncClient, name: str
) -> None:
    answer = await caller.get(files.address(name))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == FOR_EVER
    assert answer.headers["Content-Encoding"] == "gzip"
    plain = await caller.get(files.address(name), headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == answer.content


@pytest.mark.parametrize("query", ["", "?v=0123456789abcdef", "?v="])
async def test_under_another_address_a_file_is_asked_for_again(
    caller: httpx.AsyncClient, query: str
) -> None:
    answer = await caller.get(f"/assets/theme.css{query}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    again = await caller.get(
        f"/assets/theme.css{query}", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_what_is_no_script_and_no_sheet_comes_from_the_folder(
    caller: httpx.AsyncClient,
) -> None:
    assert (await caller.get("/assets/icon.svg")).status_code == 200
    assert (await caller.post("/assets/theme.css")).status_code == 405
    assert (await caller.get("/assets/none.css")).status_code == 404


def test_a_changed_file_has_another_address(files: PageFiles) -> None:
    names = [STYLE, SCRIPT, VUE, "theme.css", "clock.js"]
    assert len({files.address(name).partition("?")[2] for name in names}) == len(names)
    assert files.address(STYLE) == PageFiles(ASSETS).address(STYLE)


def test_only_addresses_of_our_files_get_a_hash(files: PageFiles) -> None:
    html = (
        '<script src="/assets/clock.js" defer></script><link href="/assets/icon.svg">/assets/x.js'
    )
    assert files.with_versions(html) == html.replace("/assets/clock.js", files.address("clock.js"))
    assert files.with_versions('<script src="/assets/none.js">') == '<script src="/assets/none.js">'


async def test_every_sheet_of_nicegui_is_in_its_layer_and_finds_its_fonts(
    files: PageFiles, caller: httpx.AsyncClient
) -> None:
    sheet = (await caller.get(files.address(STYLE))).text
    for layer in ("base", "quasar", "quasar_importants", "nicegui"):
        assert f"@layer {layer}{{" in sheet
    assert "@import" not in sheet
    addresses = re.findall(r"url\(\"?([^)\"]+)\"?\)", sheet)
    assert all(address.startswith(("/_nicegui/", "data:", "fonts/")) for address in addresses)
    assert (ASSETS / "fonts/inter-latin-wght-normal.woff2").is_file()
