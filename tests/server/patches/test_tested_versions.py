"""Each patch names the versions it was tested with; other versions and other forms fail here."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from engineio import async_server
from engineio.async_server import AsyncServer
from engineio.async_socket import AsyncSocket
from nicegui import core, helpers, outbox
from packaging.requirements import Requirement
from socketio import async_manager
from socketio.packet import Packet
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from app.server.patches import page_outboxes, page_sockets
from app.server.patches.page_pings import SocketWithoutTimer
from app.server.patches.request_deadlines import PageRequests
from app.server.patches.socket_shutdown import PageSocket
from app.server.patches.text_packets import TextPacket
from tests.drivers.source_tree import ROOT

FOLDER = ROOT / "app/server/patches"
PATCHES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def patch_named(name: str) -> ModuleType:
    return importlib.import_module(f"app.server.patches.{name}")


def libraries_of(module: ModuleType) -> list[Requirement]:
    line = re.search(r"^Tested: (.+)$", module.__doc__ or "", re.MULTILINE)
    assert line, "says no `Tested: library>=from,<to`"
    return [Requirement(word) for word in line[1].split()]


def declared() -> dict[str, Requirement]:
    lines = (ROOT / "requirements/run.in").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {one.name: one for one in found}


def source_of(module: ModuleType) -> str:
    assert module.__file__ is not None
    return Path(module.__file__).read_text()


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_says_what_it_replaces_why_and_what_was_gained(name: str) -> None:
    doc = patch_named(name).__doc__ or ""
    assert [word for word in ("Replaces: ", "Why: ", "Gain: ") if f"\n{word}" not in doc] == []


@pytest.mark.parametrize("name", PATCHES)
def test_the_installed_libraries_are_those_a_patch_was_libraries_of(name: str) -> None:
    for tested in libraries_of(patch_named(name)):
        assert tested.specifier.contains(version(tested.name)), (
            f"{tested.name} {version(tested.name)} is new: run the tests of {name}, see whether it "
            "is still needed, and raise the range in its docstring and in requirements/run.in"
        )
        assert declared()[tested.name].specifier == tested.specifier, "requirements/run.in differs"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SocketWithoutTimer, AsyncSocket),
        (TextPacket, Packet),
        (PageSocket, WSProtocol),
        (PageRequests, HttpToolsProtocol),
    ],
)
def test_all_that_a_subclass_replaces_is_still_there(ours: type, theirs: type) -> None:
    replaced = [name for name in vars(ours) if not name.startswith("_")]
    assert replaced
    assert [name for name in replaced if not hasattr(theirs, name)] == []


def test_the_outbox_uses_no_more_of_asyncio_than_it_is_given() -> None:
    tree = ast.parse(source_of(outbox))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "asyncio"
    }
    assert used <= vars(page_outboxes._WITHOUT_TIMEOUT).keys()
    # the one wait whose timeout is taken away
    assert source_of(outbox).count("asyncio.wait_for(") == 1
    assert "asyncio.wait_for(self._enqueue_event.wait(), timeout=1.0)" in source_of(outbox)


def test_the_server_of_sockets_makes_and_serves_them_in_the_same_way() -> None:
    assert "async_socket.AsyncSocket(self, sid)" in source_of(async_server)
    service = inspect.getsource(AsyncServer._service_task)
    assert "self.service_task_event = self.create_event()" in service
    assert "s.check_ping_timeout()" in service
    assert "last_ping" in inspect.getsource(AsyncSocket.check_ping_timeout)


def test_messages_are_made_of_the_server_s_packet_class() -> None:
    assert "self.server.packet_class(" in source_of(async_manager)
    assert Packet.uses_binary_events is True


def test_signatures_are_always_asked_for_by_the_module_s_name() -> None:
    folder = Path(helpers.__file__).parent.parent
    texts = [path.read_text() for path in folder.rglob("*.py") if path.parent.name != "helpers"]
    assert sum(text.count("helpers.expects_arguments(") for text in texts) >= 3
    assert not [text for text in texts if re.search(r"import .*\bexpects_arguments\b", text)]


def test_every_kind_of_message_from_a_page_is_checked() -> None:
    theirs = set(core.sio.handlers["/"])
    assert theirs == {"connect", "handshake", "disconnect", *page_sockets._SENSE}
