"""Limits in browsers: an admin sets them and sees everybody's quota, the others their own."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.visibility import barriers
from tests.e2e.people.conftest import Join


def test_a_limit_of_a_person_holds_for_them_and_shows_on_the_admins_quota_page(
    signed_in: Page, join: Join, server: RunyardServer, tmp_path: Path
) -> None:
    cara = join("cara@example.com", role="user", name="Cara <i>C</i>")
    signed_in.goto(f"{server.url}/settings?tab=people")
    row = signed_in.get_by_test_id("person-row").filter(has_text="cara@example.com")
    row.get_by_test_id("person-limits").click()
    dialog = signed_in.get_by_test_id("limits-dialog")
    expect(dialog).to_contain_text("Limits of Cara <i>C</i>")
    dialog.get_by_test_id("person-run-quota").fill("many")
    dialog.get_by_test_id("person-limits-save").click()
    expect(dialog.get_by_test_id("field-error")).to_contain_text("A limit is a whole number")
    dialog.get_by_test_id("person-run-quota").fill("2")
    dialog.get_by_test_id("person-batch-quota").fill("30")
    dialog.get_by_test_id("person-limits-save").click()
    expect(dialog).to_be_hidden()
    expect(row).to_contain_text("at most 2 runs · at most 30 batch items")

    project = add_project(server, tmp_path, ["/bin/true"])
    cara.goto(f"{server.url}/quota")
    expect(cara.get_by_test_id("quota-gauge")).to_contain_text("Your limit: 2 runs an hour")
    expect(cara.get_by_test_id("quota-person")).to_have_count(0)
    for task in ("one", "two"):
        cara.goto(f"{server.url}/projects/{project}/run")
        cara.get_by_test_id("task").fill(task)
        cara.get_by_test_id("run-submit").click()
        cara.wait_for_url("**/runs/run_*")
    cara.goto(f"{server.url}/projects/{project}/run")
    expect(cara.get_by_test_id("quota-banner")).to_contain_text("Quota exhausted")
    expect(cara.get_by_test_id("own-limit")).to_contain_text("Your limit: 2 runs an hour")
    expect(cara.get_by_test_id("run-submit")).to_be_disabled()

    signed_in.goto(f"{server.url}/quota")
    hers = signed_in.get_by_test_id("quota-person").filter(has_text="Cara <i>C</i>")
    expect(hers).to_contain_text("2 / 2")
    expect(hers).to_contain_text("Person")
    assert barriers(signed_in) == []


def test_a_limit_of_a_role_is_set_with_the_organisation_and_taken_away(
    signed_in: Page, join: Join, server: RunyardServer
) -> None:
    dan = join("dan@example.com", role="operator", name="Dan")
    signed_in.goto(f"{server.url}/settings?tab=organisation")
    limits = signed_in.get_by_test_id("role-limits")
    limits.get_by_test_id("limit-operator").fill("0")
    limits.get_by_test_id("batch-limit-operator").fill("5")
    limits.get_by_test_id("role-limits-save").click()
    expect(signed_in.get_by_text("The limits of roles are saved.")).to_be_visible()
    assert barriers(signed_in) == []
    dan.goto(f"{server.url}/quota")
    expect(dan.get_by_test_id("quota-banner")).to_contain_text("You may not start any runs")
    expect(dan.get_by_test_id("quota-gauge")).to_contain_text("The limit of your role: no runs")
    expect(dan.get_by_test_id("quota-next")).to_contain_text("Your limit is 0.")
    expect(dan.get_by_test_id("quota-batches")).to_contain_text(
        "The limit of your role: 5 batch items"
    )
    assert barriers(dan) == []
    limits.get_by_test_id("limit-operator").fill("")
    limits.get_by_test_id("role-limits-save").click()
    expect(dan.get_by_test_id("quota-banner")).to_have_count(0)
    expect(dan.get_by_test_id("quota-gauge")).to_contain_text("Runyard's own limit")
