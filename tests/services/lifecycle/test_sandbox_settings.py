"""A project's sandbox level: chosen, refused if unavailable, and set by an upgrade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from app.domain.sandbox.levels import SandboxLevel
from app.errors import Invalid, SandboxNotHere
from app.records.tables import Audit, Project
from app.services.lifecycle.launch_spec import policy_of
from app.services.ports import Sandbox
from app.services.system.doctor import Look
from tests.fakes.planes import FakePlane
from tests.fakes.world import FakeSandbox, World, no_sandbox

Machines = Callable[..., FakePlane]


@pytest.fixture
def machine(tmp_path: Path, world: World) -> Iterator[Machines]:
    """Start servers in turn on one data folder, on machines with different sandboxes."""
    running: list[FakePlane] = []

    def begin(surrounds: Sandbox, **wishes: Any) -> FakePlane:
        while running:
            running.pop().stop()
        running.append(FakePlane(tmp_path, world, surrounds=surrounds, **wishes))
        running[0].migrate()
        return running[0]

    yield begin
    for plane in running:
        plane.stop()


def before_there_were_levels(plane: FakePlane, project: Project) -> None:
    """Set the row as a version without levels left it."""
    plane.ledgers.projects.change(project.id, sandbox="none", sandbox_chosen=False)


def found(plane: FakePlane, project: Project) -> Project:
    row = plane.ledgers.projects.find(project.id)
    assert row is not None
    return row


def start_again(plane: FakePlane) -> int:
    return plane.services.projects.sandboxes.contain_once(plane.clock())


def test_agents_of_a_new_project_are_contained_where_the_machine_can(
    machine: Machines, world: World
) -> None:
    plane = machine(FakeSandbox())
    assert plane.add_project(world).sandbox == "contained"
    assert plane.add_project(world, sandbox=SandboxLevel.SANDBOXED).sandbox == "sandboxed"


def test_the_operator_names_the_level_of_new_projects(machine: Machines, world: World) -> None:
    plane = machine(FakeSandbox(), sandbox="bubblewrap")
    assert plane.add_project(world).sandbox == "sandboxed"
    plane = machine(no_sandbox(), sandbox="none")
    project = plane.add_project(world)
    # chosen by the operator: no later start changes it
    assert (project.sandbox, project.sandbox_chosen) == ("none", True)


def test_where_agents_cannot_be_contained_a_project_is_refused_until_somebody_says_none(
    machine: Machines, world: World
) -> None:
    plane = machine(no_sandbox())
    with pytest.raises(SandboxNotHere, match="Install the package bubblewrap") as refusal:
        plane.add_project(world)
    assert (refusal.value.code, refusal.value.status) == ("sandbox_unavailable", 409)
    assert plane.ledgers.projects.all() == []
    project = plane.add_project(world, sandbox=SandboxLevel.NONE)
    assert (project.sandbox, project.sandbox_chosen) == ("none", True)
    with pytest.raises(SandboxNotHere, match="bubblewrap"):
        plane.services.projects.change(project.id, sandbox=SandboxLevel.SANDBOXED)
    assert found(plane, project).sandbox == "none"


def test_where_agents_can_be_contained_nobody_is_advised_to_let_them_do_everything(
    machine: Machines, world: World
) -> None:
    levels = (SandboxLevel.CONTAINED,)
    plane = machine(FakeSandbox(levels, "bubblewrap is not installed.", "Install it."))
    with pytest.raises(SandboxNotHere, match=r"Install it\. Or choose contained\.$"):
        plane.add_project(world, sandbox=SandboxLevel.SANDBOXED)
    plane = machine(no_sandbox())
    with pytest.raises(SandboxNotHere, match="Or choose none: its agents can then do everything"):
        plane.add_project(world, sandbox=SandboxLevel.SANDBOXED)


def test_what_a_project_has_can_be_changed_also_where_its_level_cannot_be_had_any_more(
    machine: Machines, world: World
) -> None:
    project = machine(FakeSandbox()).add_project(world)
    plane = machine(no_sandbox())
    plane.services.projects.change(project.id, name="other", sandbox=SandboxLevel.CONTAINED)
    assert found(plane, project).name == "other"


def test_the_scripted_agent_of_the_demo_runs_without_where_there_is_no_other_way(
    machine: Machines, world: World
) -> None:
    assert machine(FakeSandbox()).services.projects.sandboxes.settle_demo() == {}
    plane = machine(no_sandbox())
    demo = plane.add_project(world, **plane.services.projects.sandboxes.settle_demo())
    assert (demo.sandbox, demo.sandbox_chosen) == ("none", False)


def test_projects_whose_none_nobody_chose_are_contained_by_the_first_start_that_can(
    machine: Machines, world: World
) -> None:
    plane = machine(FakeSandbox())
    old, chosen = plane.add_project(world), plane.add_project(world, sandbox=SandboxLevel.NONE)
    before_there_were_levels(plane, old)
    plane = machine(no_sandbox())
    assert start_again(plane) == 0
    assert found(plane, old).sandbox == "none"
    plane = machine(FakeSandbox())
    assert start_again(plane) == 1
    row = found(plane, old)
    assert (row.sandbox, row.sandbox_notice) == ("contained", True)
    assert found(plane, chosen).sandbox == "none"
    # only once: a person's later choice stays
    plane.services.projects.change(old.id, sandbox=SandboxLevel.NONE)
    assert start_again(plane) == 0
    row = found(plane, old)
    assert (row.sandbox, row.sandbox_chosen, row.sandbox_notice) == ("none", True, False)


def test_the_upgrade_of_a_project_stands_in_the_audit(machine: Machines, world: World) -> None:
    plane = machine(FakeSandbox())
    old = plane.add_project(world)
    before_there_were_levels(plane, old)
    start_again(plane)
    query = select(Audit).where(col(Audit.object) == old.id).order_by(col(Audit.id))
    with plane.stores.control.reading() as session:
        row = session.exec(query).all()[-1]
    assert (row.via, row.deed, row.person) == ("loop", "contain", None)
    assert row.before == {"sandbox": "none"}
    assert row.after == {"sandbox": "contained", "sandbox_notice": True}


def test_a_limit_that_is_not_given_stays_and_an_empty_one_is_none(
    machine: Machines, world: World
) -> None:
    plane = machine(FakeSandbox())
    project = plane.add_project(world, limits={"memory_mb": 2048, "processes": None})
    plane.services.projects.change(project.id, limits={"file_mb": 10, "memory_mb": None})
    limits = policy_of(found(plane, project)).limits
    assert (limits.memory_mb, limits.processes, limits.file_mb) == (None, None, 10)


def test_leaving_the_level_that_rules_the_network_asks_for_the_whole_network(
    machine: Machines, world: World
) -> None:
    plane = machine(FakeSandbox())
    project = plane.add_project(world, sandbox=SandboxLevel.SANDBOXED, network="none")
    change = plane.services.projects.change
    with pytest.raises(Invalid, match="The network can only be limited for sandboxed agents"):
        change(project.id, sandbox=SandboxLevel.CONTAINED)
    change(project.id, sandbox=SandboxLevel.CONTAINED, network="all")
    assert found(plane, project).network == "all"


def test_no_toolchain_lets_agents_read_runyards_own_data(
    machine: Machines, world: World, tmp_path: Path
) -> None:
    plane = machine(FakeSandbox())
    project = plane.add_project(world)
    (tmp_path / "within").mkdir()
    (tmp_path.parent / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "within", tmp_path.parent, tmp_path.parent / "link"):
        with pytest.raises(Invalid, match="Runyard's own data"):
            plane.services.projects.change(project.id, toolchains=[str(folder)])
    beside = tmp_path.parent / "toolchain"
    beside.mkdir()
    plane.services.projects.change(project.id, toolchains=[str(beside)])
    assert found(plane, project).toolchains == [str(beside)]


def test_doctor_names_the_projects_whose_agents_may_use_services_of_the_machine(
    machine: Machines, world: World
) -> None:
    plane = machine(FakeSandbox())
    shop, till, gone = (plane.add_project(world, allow=["docker", "dbus"]) for _ in range(3))
    plane.services.projects.change(till.id, sandbox="none")
    plane.services.projects.archive(gone.id, plane.clock())
    items = plane.services.doctor.examine(Look.ANEW).items
    told = [one.found for one in items if one.check == "projects"]
    assert told == [f"Unsandboxed: {till.name}", f"docker, dbus allowed: {shop.name}"]


def test_a_server_of_other_people_lets_no_agent_out_of_the_sandbox(
    machine: Machines, world: World
) -> None:
    plane = machine(FakeSandbox())
    kept = plane.add_project(world, sandbox=SandboxLevel.NONE)
    plane = machine(FakeSandbox(allows_none=False))
    sandboxes = plane.services.projects.sandboxes
    with pytest.raises(SandboxNotHere, match="RUNYARD_ALLOW_UNSANDBOXED=1"):
        plane.add_project(world, sandbox=SandboxLevel.NONE)
    contained = plane.add_project(world)
    with pytest.raises(SandboxNotHere, match="agents stay in a sandbox"):
        sandboxes.settle_change(contained, {"sandbox": "none"})
    # one that had the level before says so
    assert "agents stay in a sandbox" in str(sandboxes.problem_of(found(plane, kept)))
    assert sandboxes.problem_of(contained) is None


def test_a_level_that_is_forbidden_is_not_offered_instead(machine: Machines, world: World) -> None:
    surrounds = no_sandbox()
    surrounds.allows_none = False
    plane = machine(surrounds)
    with pytest.raises(SandboxNotHere) as refused:
        plane.add_project(world)
    assert "Or choose none" not in str(refused.value)
