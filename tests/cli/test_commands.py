"""
Commands as people and scripts use them: exit codes, one JSON envelope on standard output, everything else beside it.
"""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal
from tests.flows.world import World
from tests.service import Running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def company(service: Running) -> dict[str, str]:
    """
    One account with a contact, a lead, a touched deal, and its records' ids.
    """
    world = World(service, "alder")
    account = world.account(Name="Alder Robotics")
    ada = world.contact(account, "Ada")
    lea = world.lead("Lea")
    for record in (ada, lea):
        world.form(world.known(record), 50, "cpc")
    deal = world.deal(account)
    return {"account": account, "ada": ada, "lea": lea, "deal": deal, "role": world.role(deal, ada)}


# ---------------------------------------------------------------------------------------------------- without any parts


def test_the_installed_command_answers() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "headwater", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("headwater")


def test_an_unknown_command_is_answered_with_the_one_that_was_meant(bare: Terminal) -> None:
    said = bare("snyc")
    assert said.code == 2
    assert said.out == ""
    assert 'Did you mean "sync"?' in said.err


def test_an_unknown_option_is_wrong_usage(bare: Terminal) -> None:
    said = bare("sync", "--quick")
    assert said.code == 2
    assert "--quick" in said.err


def test_help_lists_every_command(bare: Terminal) -> None:
    said = bare("--help")
    assert said.code == 0
    for name in ("demo", "sync", "plan", "apply", "status", "why", "report", "resync", "check", "doctor"):
        assert f"  {name} " in said.out


def test_a_wrong_variable_is_named_and_its_value_never_shown(bare: Terminal) -> None:
    bare.export(DATABASE_URL="mysql://ada:secret@db/crm")
    said = bare("status")
    assert said.code == 2
    assert "DATABASE_URL" in said.err
    assert "secret" not in said.out + said.err


def test_a_database_that_does_not_answer_ends_with_1_and_a_cure(bare: Terminal) -> None:
    bare.export(DATABASE_URL="postgresql://headwater@127.0.0.1:1/none", REDIS_URL="redis://127.0.0.1:1/0")
    said = bare("status", "--json")
    assert said.code == 1
    assert said.data["name"] == "HW-502"
    assert said.data["actions"]
    assert "Try this:" in said.err


# --------------------------------------------------------------------------------------------------------- migrate


def test_an_empty_database_is_told_to_migrate_and_migrating_twice_is_once(
    bare: Terminal, empty_database_url: str, redis_url: str
) -> None:
    bare.export(DATABASE_URL=empty_database_url, REDIS_URL=redis_url)
    said = bare("status")
    assert said.code == 1
    assert "HW-504" in said.err
    assert "headwater migrate" in said.err
    first, second = bare("migrate", "--json"), bare("migrate", "--json")
    assert (first.code, second.code) == (0, 0)
    assert first.data == second.data
    assert bare("status").code == 0


# ------------------------------------------------------------------------------------------- the loop, in its order


def test_wrong_credentials_end_sync_with_the_code_and_a_cure(headwater: Terminal, service: Running) -> None:
    headwater.export(SALESFORCE_CLIENT_ID="somebody-else", MARKETO_CLIENT_SECRET="wrong")
    said = headwater("sync")
    assert said.code == 1
    assert "Error (HW-2" in said.err
    assert "Try this:" in said.err
    assert "Error" not in said.out
    assert service.value("SELECT count(*) FROM source_person") == 0


def test_sync_tells_a_line_a_run(headwater: Terminal, company: dict[str, str]) -> None:
    said = headwater("sync")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].split() == ["FLOW", "STATE", "WHAT", "IT", "DID"]
    assert any(line.startswith("pull:salesforce") and "rows read" in line for line in lines)


def test_sync_as_json_is_one_envelope_and_nothing_else(headwater: Terminal, company: dict[str, str]) -> None:
    said = headwater("sync", "--json")
    assert said.code == 0
    assert set(said.data) == {"status", "result", "warnings"}
    assert {run["state"] for run in said.data["result"]["runs"]} == {"done"}


def test_one_platform_of_two_that_refuses_us_is_partly_done(headwater: Terminal, company: dict[str, str]) -> None:
    headwater.export(MARKETO_CLIENT_SECRET="wrong")
    said = headwater("sync")
    assert said.code == 68
    assert "pull:marketo failed" in said.err


def test_plan_prints_counts_and_cost_and_writes_nothing(
    headwater: Terminal, service: Running, company: dict[str, str]
) -> None:
    assert headwater("sync").code == 0
    mark = service.mark()
    said = headwater("plan")
    assert said.code == 0
    assert "HW_Original_Source__c" in said.out
    assert "Nothing was written." in said.out
    data = headwater("plan", "--json").data["result"]
    assert data["records"] == sum(each["records"] for each in data["objects"]) > 0
    assert data["calls"] == 2 * len(data["objects"])
    assert service.calls(mark) == []
    assert headwater("plan", "--detailed-exitcode").code == 2


def test_apply_with_nobody_to_answer_names_the_flag_and_writes_nothing(
    headwater: Terminal, service: Running, company: dict[str, str]
) -> None:
    mark = service.mark()
    said = headwater("apply")
    assert said.code == 1
    assert "HW-124" in said.err
    assert "headwater apply --yes" in said.err
    assert service.calls(mark, "write") == []
    assert headwater("status", "--json").data["result"]["writes"]["approved"] is None


def test_apply_writes_what_was_planned_and_a_second_one_has_nothing_to_do(
    headwater: Terminal, service: Running, company: dict[str, str]
) -> None:
    planned = headwater("plan", "--json").data["result"]
    mark = service.mark()
    said = headwater("apply", "--yes", "--json")
    assert said.code == 0, said.err
    assert said.data["result"]["written"] == planned["records"]
    assert said.data["result"]["not_written"] == []
    assert len(service.calls(mark, "write")) <= planned["calls"]
    (lead,) = service.colleague.query(
        f"SELECT HW_Original_Source__c, HW_Matched_Account__c FROM Lead WHERE Id = '{company['lea']}'"
    )
    assert lead == {"HW_Original_Source__c": "Paid search", "HW_Matched_Account__c": company["account"]}
    again = headwater("apply", "--yes", "--json")
    assert (again.code, again.data["result"]) == (0, {"written": 0})
    assert headwater("plan", "--detailed-exitcode").code == 0


def test_apply_is_partly_done_when_a_record_is_refused(
    headwater: Terminal, service: Running, company: dict[str, str]
) -> None:
    world = World(service, "birch")
    ada = world.contact(world.account(), "Ada")
    world.form(world.known(ada), 20, "newsletter")
    rule = {"object": "Contact", "field": "HW_Original_Source__c", "value": "E-mail", "message": "Not by mail"}
    service.org.control("POST", "salesforce/validation_rule", rule)
    try:
        with service.service.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM setting WHERE key = 'writes_approved'")
        headwater("sync")
        said = headwater("apply", "--yes")
    finally:
        service.org.control("DELETE", "salesforce/validation_rule")
    assert said.code == 68, said.err
    assert "Parked: 1 Contact records (FIELD_CUSTOM_VALIDATION_EXCEPTION: " in said.out
    assert "Not by mail" in said.out
    told = headwater("status")
    assert "1 Contact records are parked" in told.out


# ------------------------------------------------------------------------------------------------ looking at things


def test_status_is_one_screen_and_one_envelope(headwater: Terminal, company: dict[str, str]) -> None:
    said = headwater("status")
    assert said.code == 0
    assert "accounts" in said.out.splitlines()[0]
    assert "API calls of the last 24 hours, salesforce" in said.out
    assert "nothing is held back" in said.out
    data = headwater("status", "--json").data["result"]
    assert {"streams", "lanes", "calls", "api", "writes", "findings", "quarantine", "counts"} <= set(data)
    (calls,) = data["api"]
    assert calls["ours"] == sum(calls["by_purpose"].values()) > 0
    assert calls["used"] >= calls["ours"]
    assert data["counts"]["people"] >= 2


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["ada@alder.example"], "person"),
        (["Alder", "Robotics"], "account"),
        (["alder.example"], "account"),
        (["Alder - platform"], "opportunity"),
    ],
)
def test_why_finds_a_record_by_what_people_call_it(
    headwater: Terminal, company: dict[str, str], words: list[str], kind: str
) -> None:
    said = headwater("why", *words, "--json")
    assert said.code == 0, said.err
    assert said.data["result"]["kind"] == kind
    told = headwater("why", *words)
    assert told.out.startswith(kind.capitalize())
    assert told.err == ""


def test_why_takes_an_id_of_15_characters_too(headwater: Terminal, company: dict[str, str]) -> None:
    for record_id in (company["deal"], company["deal"][:15]):
        answer = headwater("why", record_id, "--json").data["result"]
        assert answer["kind"] == "opportunity"
        assert "credits" in answer
    told = headwater("why", company["deal"]).out
    assert "Pipeline credit" in told
    assert "Paid search" in told


def test_why_of_nobody_ends_with_1(headwater: Terminal, company: dict[str, str]) -> None:
    said = headwater("why", "nobody@nowhere.example", "--json")
    assert said.code == 1
    assert said.data["name"] == "HW-122"
    assert 'called "nobody@nowhere.example"' in said.err


def test_report_sources_counts_deals_by_channel(headwater: Terminal, company: dict[str, str]) -> None:
    data = headwater("report", "sources", "--json").data["result"]
    by_channel = {row["channel"]: row["deals"] for row in data["rows"]}
    assert by_channel["Paid search"] == 1
    assert "Paid search" in headwater("report", "sources").out


def test_a_report_sums_up_by_what_is_asked_and_opens_the_rows_behind_a_number(
    headwater: Terminal, company: dict[str, str]
) -> None:
    (found,) = headwater("report", "attribution", "--model", "first", "--json").data["result"]["tables"]
    assert [line["channel"] for line in found["lines"]] == ["Paid search"]
    words = ["--model", "first", "--where", "channel=Paid search", "--rows", "--json"]
    (behind,) = headwater("report", "attribution", *words).data["result"]["tables"]
    pipeline = [Decimal(row["amount"]) for row in behind["rows"] if row["is_pipeline"]]
    assert sum(pipeline) == Decimal(found["lines"][0]["pipeline"]) > 0
    assert "Total" in headwater("report", "funnel", "--of", "people", "--by", "channel,year").out
    assert headwater("report", "velocity", "--by", "type,outcome").code == 1
    assert headwater("report", "velocity", "--csv").out.startswith("type,closed,won,win_rate")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["funnel", "--period", "2026-Q9"], "HW-160", '"2026-Q9" is no period'),
        (["velocity", "--by", "colour"], "HW-161", "--by one of type, industry"),
        (["attribution", "--model", "guess"], "HW-163", "--model one of first, last"),
        (["journey", "No Such Deal"], "HW-162", "0 deals"),
        (["funnel", "--where", "quarter"], "HW-161", "GROUP=VALUE"),
        (["funnel", "--where", "colour=red"], "HW-161", "have no colour"),
    ],
)
def test_a_report_says_what_it_cannot_give(
    headwater: Terminal, company: dict[str, str], words: list[str], code: str, said: str
) -> None:
    answer = headwater("report", *words)
    assert answer.code in {1, 2}
    assert answer.err.startswith(f"Error ({code})")
    assert said in answer.err
    assert answer.out == ""


def test_doctor_is_content_and_says_when_it_is_not(headwater: Terminal, company: dict[str, str]) -> None:
    said = headwater("doctor", "--json")
    assert said.code == 0, said.out
    assert all(check["level"] != "error" for check in said.data["result"])
    headwater.export(SALESFORCE_CLIENT_ID="somebody-else")
    said = headwater("doctor")
    assert said.code == 1
    assert "ERROR" in said.out
    assert "Try this:" in said.out


def test_quiet_says_nothing_beside_the_answer(headwater: Terminal, company: dict[str, str]) -> None:
    said = headwater("resync", "record", company["lea"], "--quiet")
    assert said.code == 0
    assert said.err == ""


# ---------------------------------------------------------------------------------------------------------- resync


def asked_for(service: Running) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = service.rows(
        "SELECT id, lane, scope, priority, requested_by FROM job WHERE flow = 'resync' AND state = 'ready' ORDER BY id"
    )
    return rows


def forget(service: Running) -> None:
    with service.service.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM job WHERE flow = 'resync' AND state = 'ready'")


def test_resync_asks_for_a_job_ahead_of_routine_work(
    headwater: Terminal, service: Running, company: dict[str, str]
) -> None:
    forget(service)
    mark = service.mark()
    said = headwater("resync", "account", "Alder Robotics", "--json")
    assert said.code == 0, said.err
    rows = asked_for(service)
    assert [row["id"] for row in rows] == said.data["result"]["jobs"]
    assert {row["priority"] for row in rows} == {1}
    scopes = {stream: ids for row in rows for stream, ids in dict(row["scope"])["records"].items()}  # type: ignore[call-overload]
    assert scopes["salesforce.account"] == [company["account"]]
    assert company["ada"] in scopes["salesforce.contact"]
    assert scopes["salesforce.opportunity"] == [company["deal"]]
    assert scopes["salesforce.opportunity_contact_role"] == [company["role"]]
    assert service.calls(mark, "read") == []
    again = headwater("resync", "account", "Alder Robotics", "--json")
    assert again.data["result"]["jobs"] == said.data["result"]["jobs"]
    forget(service)


def test_resync_of_a_record_reads_that_record_again(
    headwater: Terminal, service: Running, company: dict[str, str]
) -> None:
    service.settle()
    with service.service.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE source_person SET title = 'Lost' WHERE record_id = %s", (company["lea"],))
    service.cycle()
    assert service.value("SELECT title FROM source_person WHERE record_id = :id", id=company["lea"]) == "Lost"
    mark = service.mark()
    said = headwater("resync", "record", company["lea"], "--wait")
    assert said.code == 0, said.err
    assert "This re-reads" in said.err
    assert said.out.startswith("Done")
    reads = service.calls(mark, "read")
    assert reads
    assert any(company["lea"] in (call["body"] or "") + (call["query"] or "") for call in reads)
    assert service.value("SELECT title FROM source_person WHERE record_id = :id", id=company["lea"]) is None


@pytest.mark.parametrize(("name", "words"), [("Lead", "FROM%20Lead%20"), ("opportunity_contact_role", "ContactRole")])
def test_resync_of_an_object_reads_all_of_it_again(
    headwater: Terminal, service: Running, company: dict[str, str], name: str, words: str
) -> None:
    service.settle()
    mark = service.mark()
    said = headwater("resync", "object", name, "--wait", "--yes", "--json")
    assert said.code == 0, said.err
    calls = service.calls(mark, "read")
    assert any(words in (call["body"] or "") for call in calls)
    assert sum(call["rows"] or 0 for call in calls) >= said.data["result"]["records"] > 0


def test_resync_of_everything_reads_everything_again(
    headwater: Terminal, service: Running, company: dict[str, str]
) -> None:
    service.settle()
    stored = service.value("SELECT count(*) FROM source_person")
    mark = service.mark()
    said = headwater("resync", "everything", "--wait", "--yes", "--json")
    assert said.code == 0, said.err
    assert said.data["result"]["records"] > stored
    assert len(said.data["result"]["jobs"]) == 2
    read = sum(call["rows"] or 0 for system in ("salesforce", "marketo") for call in service.calls(mark, system=system))
    assert read >= said.data["result"]["records"]
    assert service.value("SELECT count(*) FROM source_person") == stored


def test_resync_says_what_is_missing_or_meant(headwater: Terminal, company: dict[str, str]) -> None:
    said = headwater("resync", "object", "Oportunity")
    assert (said.code, "HW-121" in said.err) == (1, True)
    assert 'did you mean "opportunity"' in said.err
    assert "HW-120" in headwater("resync", "record").err
    assert "HW-122" in headwater("resync", "account", "Nobody Ltd").err
    assert headwater("resync", "planet", "Mars").code == 2


# -------------------------------------------------------------------------------------------------------- practice


def test_practice_env_prints_what_a_shell_takes(bare: Terminal, service: Running) -> None:
    said = bare("practice", "env", "--data", service.org.endpoints["data"])
    assert said.code == 0
    exported = dict(line.removeprefix("export ").split("=", 1) for line in said.out.splitlines())
    assert exported == {name: value.replace("'", "") for name, value in service.org.env().items()}


def test_practice_env_where_nothing_was_served_says_how_to(bare: Terminal, tmp_path: Path) -> None:
    said = bare("practice", "env", "--data", str(tmp_path), "--json")
    assert said.code == 1
    assert said.data["name"] == "HW-570"
    assert any("practice serve" in action for action in said.data["actions"])


def test_practice_load_puts_a_folder_in_and_reports_the_rows_it_could_not(
    bare: Terminal, service: Running, tmp_path: Path
) -> None:
    (tmp_path / "marketing_qualified_leads.csv").write_text(
        "mql_id,first_contact_date,landing_page_id,origin\nlead-a,01-02-2018,page,social\nlead-b,32-01-2018,page,email\n"
    )
    (tmp_path / "closed_deals.csv").write_text(
        "mql_id,seller_id,sdr_id,sr_id,won_date,business_segment,lead_type,lead_behaviour_profile,has_company,has_gtin\n"
    )
    said = bare("practice", "load", str(tmp_path), "--data", service.org.endpoints["data"], "--json")
    assert said.code == 68
    assert said.data["result"]["made"]["salesforce.Lead"] == 1
    (rejected,) = said.data["result"]["rejected"]
    assert rejected["line"] == 3
    assert json.dumps(rejected).count("32-01-2018") == 1
