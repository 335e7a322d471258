"""A real window on a private display, from its first page to the end of its server.

The tests build on each other: a window takes seconds to open, so it is opened once.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.scenes import Puppet, add_project, start_run, wait_until
from tests.drivers.servers.processes import ROOT, RunyardServer
from tests.native.conftest import Desktop
from tests.native.displays import Pixel
from tests.native.patience import until

LEAD = "(to => { const a = document.createElement('a'); Object.assign(a, to);"
LEAD += " document.body.append(a); a.click(); })"
PLACE = (80, 40, 960, 720)


@pytest.fixture(scope="module")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Puppet:
    return Puppet(tmp_path_factory.mktemp("puppet"))


@pytest.fixture(scope="module")
def run_id(yard: RunyardServer, puppet: Puppet, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A running run that has written one line to its log."""
    project_id = add_project(yard, tmp_path_factory.mktemp("project"), puppet.argv)
    run_id = start_run(yard, project_id)
    wait_until(yard, run_id, status="running")
    puppet.tell("say the first line")
    with yard.client() as client:
        until(lambda: "the first line" in client.get(f"/runs/{run_id}/log").text)
    return run_id


def color(name: str) -> Pixel:
    """Return a color of the light theme."""
    theme = (ROOT / "assets" / "theme.css").read_text()
    found = re.search(rf"--{name}:light-dark\(#([0-9a-fA-F]{{3,6}})", theme)
    assert found is not None
    digits = found[1] if len(found[1]) == 6 else "".join(one * 2 for one in found[1])
    return tuple(bytes.fromhex(digits))  # type: ignore[return-value]


def test_the_window_shows_the_page_to_a_person_who_is_signed_in(
    desktop: Desktop, yard: RunyardServer
) -> None:
    window = desktop.window()
    assert desktop.page.run("[document.title, location.href]") == [
        "Inbox · Runyard",
        f"{yard.page_url}/",
    ]
    assert desktop.display.place_of(window)[2:] == (1280, 860)

    def seen() -> bool:
        colors = desktop.display.colors()
        sample = sum(colors.values())
        # mostly the ground of pages, with one small blue button
        return colors.get(color("surface"), 0) > sample / 2 and colors.get(color("accent"), 0) > 200

    until(seen)
    assert desktop.browsed() == []


def test_a_link_to_another_host_opens_in_the_systems_browser(
    desktop: Desktop, yard: RunyardServer
) -> None:
    here = desktop.page.run("location.href")
    for target in ("", "_blank"):
        to = {"href": f"http://127.0.0.1:1/pull/7?in={target}", "target": target}
        desktop.page.run(f"{LEAD}({json.dumps(to)})")
        until(lambda to=to: to["href"] in desktop.browsed())
    desktop.page.run(f"{LEAD}({json.dumps({'href': 'file:///etc/passwd', 'target': '_blank'})})")
    desktop.page.run(f"{LEAD}({json.dumps({'href': '/guide', 'target': '_blank'})})")
    desktop.page.wait_for("location.pathname == '/guide'")
    assert desktop.page.run("location.origin") == here.rstrip("/") == yard.page_url
    assert len(desktop.display.windows()) == 1
    assert len(desktop.browsed()) == 2


def test_the_keys_of_a_browser_work(desktop: Desktop, yard: RunyardServer) -> None:
    desktop.display.press(desktop.window(), "alt+Left")
    desktop.page.wait_for("location.pathname == '/'")


def test_a_folder_is_chosen_in_the_desktops_own_dialog(
    desktop: Desktop, yard: RunyardServer, tmp_path: Path
) -> None:
    desktop.page.run("location.href = '/projects/add'")
    desktop.page.wait_for("typeof window.pywebview?.api?.choose_folder == 'function'")
    desktop.page.wait_for("!!document.querySelector('[data-testid=project-browse]')")
    desktop.window()
    shop = tmp_path / "shop"
    shop.mkdir()
    desktop.page.run("document.querySelector('[data-testid=project-browse]').click()")
    desktop.display.write(desktop.display.dialog("Open folder"), str(shop))
    field = "document.querySelector('[data-testid=project-origin]').value"
    until(lambda: desktop.page.run(field) == str(shop))
    assert "project-browse" not in _page_elsewhere(yard)


def test_a_download_goes_where_the_person_says(
    desktop: Desktop, run_id: str, tmp_path: Path
) -> None:
    desktop.page.run(f"location.href = '/runs/{run_id}'")
    desktop.page.wait_for("!!document.querySelector('[data-testid=log-download]')")
    desktop.window()
    desktop.page.run("document.querySelector('[data-testid=log-download]').click()")
    saved = tmp_path / "saved.txt"
    desktop.display.write(desktop.display.dialog("Save"), str(saved))
    until(lambda: saved.exists() and "the first line" in saved.read_text())


def test_closing_the_window_ends_neither_run_nor_server(
    desktop: Desktop, yard: RunyardServer, puppet: Puppet, run_id: str
) -> None:
    window = desktop.window()
    desktop.display.move(window, *PLACE)
    until(lambda: desktop.page.run("innerWidth") == PLACE[2])
    desktop.page.run("document.querySelector('[data-look=dark]').click()")
    desktop.page.wait_for("document.cookie.includes('runyard_look=dark')")
    desktop.display.press(window, "ctrl+w")
    until(lambda: not desktop.display.windows())
    until((yard.data_dir / "window.json").exists)
    puppet.tell_to_deliver()
    wait_until(yard, run_id, status="succeeded")


def test_a_second_command_opens_a_window_onto_the_running_server(
    desktop: Desktop, yard: RunyardServer
) -> None:
    joined = desktop.serve(yard.data_dir)
    window = desktop.window()
    assert desktop.display.place_of(window) == PLACE
    assert desktop.page.run("location.href") == f"{yard.page_url}/"
    assert desktop.page.run("document.documentElement.dataset.theme") == "dark"
    desktop.display.press(window, "ctrl+q")
    code, said, complained = joined.end()
    assert (code, complained) == (0, "")
    assert said == f"The window is closed; Runyard keeps running at {yard.url}.\n"


def test_a_place_off_the_screen_is_corrected(desktop: Desktop, yard: RunyardServer) -> None:
    far = {"x": 90_000, "y": -90_000, "width": 99_999, "height": 1}
    (yard.data_dir / "window.json").write_text(json.dumps(far))
    joined = desktop.serve(yard.data_dir)
    left, top, width, height = desktop.display.place_of(desktop.window())
    assert (left, width, height) == (0, 1400, 400)
    assert 0 <= top <= 600
    # killing the joined command closes its window at once
    joined.kill()
    until(lambda: not desktop.display.windows())


@pytest.mark.parametrize(
    ("display", "sentence"),
    [("", "There is no display here for a window."), (":4999", "The window did not open; ")],
    ids=["none", "one that does not answer"],
)
def test_without_a_display_the_browser_is_opened_instead(
    display: str, sentence: str, desktop: Desktop, yard: RunyardServer
) -> None:
    before = len(desktop.browsed())
    joined = desktop.serve(yard.data_dir, DISPLAY=display, WAYLAND_DISPLAY="")
    code, said, complained = joined.end()
    assert (code, complained) == (0, "")
    assert said.startswith(sentence)
    assert said.endswith("Opening the browser instead.\n")
    opened = desktop.browsed()[before:]
    file = yard.data_dir / "sign-in.html"
    assert opened == [file.as_uri()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f'action="{yard.page_url}/login"' in file.read_text()


def test_no_end_of_a_server_leaves_a_joined_window_behind(
    desktop: Desktop, yard: RunyardServer
) -> None:
    joined = desktop.serve(yard.data_dir)
    desktop.window()
    yard.kill()
    until(lambda: not desktop.display.windows())
    _, said, _ = joined.end()
    assert said.startswith("Runyard has ended, and its window with it.")


@pytest.mark.parametrize(
    "end", [pytest.param(RunyardServer.kill, marks=pytest.mark.soak), RunyardServer.stop]
)
def test_no_end_of_a_server_leaves_its_window_behind(
    desktop: Desktop, yard: RunyardServer, end: Callable[[RunyardServer], None]
) -> None:
    end(yard)
    yard.start()
    desktop.window()
    end(yard)
    until(lambda: not desktop.display.windows())
    until(lambda: not _left_of(yard.data_dir))


def _page_elsewhere(yard: RunyardServer) -> str:
    """Return the page's HTML as a browser gets it."""
    with yard.client(Accept="text/html") as client:
        answer = client.get(f"{yard.url}/projects/add")
    assert "project-origin" in answer.text
    return answer.text


def _left_of(data_dir: Path) -> str:
    """List processes that hold the window's log open: its window still lives."""
    log = data_dir / "window.log"
    listed = subprocess.run(
        ["find", "/proc", "-maxdepth", "3", "-path", "/proc/[0-9]*/fd/2", "-lname", str(log)],
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout
