"""
``headwater doctor`` as an administrator runs it: what is wrong with an org is named with its code and its cure.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cli.conftest import Said, Terminal
from tests.connectors.salesforce.test_doctor import certificate
from tests.practice_org import PracticeOrg
from tests.service import Running

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _as_it_was(org: PracticeOrg) -> Iterator[None]:
    yield
    org.control("DELETE", "faults")
    org.control("POST", "salesforce/limits", {"used": 0, "allowed": 100_000})
    for what in ("validation_rule", "flow", "duplicate_rule"):
        org.control("DELETE", f"salesforce/{what}")


def wrong(said: Said) -> dict[str, dict[str, Any]]:
    """
    What is not well, by its code.
    """
    return {check["code"]: check for check in said.data["result"] if check["level"] != "ok"}


def test_an_org_that_is_as_it_should_be(headwater: Terminal) -> None:
    said = headwater("doctor", "--json")
    assert said.code == 0, said.out
    assert wrong(said) == {}


def test_a_field_that_is_missing_from_the_org(headwater: Terminal, org: PracticeOrg) -> None:
    org.control("POST", "salesforce/hide_fields", {"object": "Account", "fields": ["HW_Engaged__c"]})
    try:
        said = headwater("doctor", "--json")
        lines = headwater("doctor").out.splitlines()
    finally:
        org.control("POST", "salesforce/show_fields", {"object": "Account", "fields": ["HW_Engaged__c"]})
    assert said.code == 1
    assert wrong(said)["HW-209"]["message"] == "Account.HW_Engaged__c does not exist or is not visible"
    place = lines.index("ERROR    Salesforce: write (HW-209): Account.HW_Engaged__c does not exist or is not visible")
    assert lines[place + 1].strip().startswith("Try this: Deploy the shipped package again: sf project deploy")


def test_an_organisation_in_another_time_zone_than_the_rules_say(headwater: Terminal, service: Running) -> None:
    (row,) = service.colleague.query("SELECT Id FROM Organization")
    service.colleague.update("Organization", [{"id": row["Id"], "TimeZoneSidKey": "Europe/Berlin"}])
    try:
        said = headwater("doctor", "--json")
    finally:
        service.colleague.update("Organization", [{"id": row["Id"], "TimeZoneSidKey": "America/New_York"}])
    assert said.code == 0
    found = wrong(said)["HW-242"]
    assert "time zone is Europe/Berlin and the rules say America/New_York" in found["message"]
    assert found["actions"][0] == 'service.yaml:  org: {timezone: "Europe/Berlin"}'


def test_a_user_without_view_all_data(headwater: Terminal) -> None:
    headwater.export(SALESFORCE_USERNAME="restricted@practice.test")
    found = wrong(headwater("doctor", "--json"))
    assert "no View All Data" in found["HW-236"]["message"]
    assert "View All" in found["HW-236"]["actions"][0]


def test_a_key_that_is_not_the_apps(headwater: Terminal, tmp_path: Path) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "other.key"
    file.write_bytes(stranger.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    headwater.unset("SALESFORCE_PRIVATE_KEY")
    headwater.export(SALESFORCE_PRIVATE_KEY_FILE=file)
    said = headwater("doctor", "--json")
    assert said.code == 1
    assert "invalid assertion" in wrong(said)["HW-204"]["message"]


def test_a_certificate_that_has_expired(headwater: Terminal, service: Running, tmp_path: Path) -> None:
    file = tmp_path / "headwater.crt"
    file.write_bytes(certificate(-10))
    headwater.export(SALESFORCE_CERTIFICATE_FILE=file)
    found = wrong(headwater("doctor", "--json"))["HW-238"]
    assert found["level"] == "error"
    assert "Upload headwater.crt" in found["actions"][1]


def test_a_host_that_is_not_there(headwater: Terminal) -> None:
    headwater.export(SALESFORCE_LOGIN_URL="https://127.0.0.1:1")
    said = headwater("doctor")
    assert said.code == 1
    assert "ERROR    Salesforce: host (HW-202): 127.0.0.1 does not answer as Salesforce does" in said.out
    assert "Try this: Compare SALESFORCE_LOGIN_URL with Setup > My Domain" in said.out
    assert "%{http_code}\\n' https://127.0.0.1/services/data" in said.out


def test_a_quota_that_is_used_up(headwater: Terminal, org: PracticeOrg) -> None:
    org.control("POST", "salesforce/limits", {"used": 100_000, "allowed": 100_000})
    said = headwater("doctor", "--json")
    assert said.code == 1
    assert set(wrong(said)) == {"HW-206"}


def test_a_clock_that_is_off(headwater: Terminal, org: PracticeOrg) -> None:
    org.advance(900)
    try:
        found = wrong(headwater("doctor", "--json"))["HW-237"]
    finally:
        org.advance(-900)
    assert re.match(r"this machine's clock is (899|900|901) s behind Salesforce's", found["message"])
    assert found["actions"] == ["timedatectl set-ntp true"]


def test_its_own_calls_are_counted_with_all_others(headwater: Terminal, service: Running) -> None:
    ours = "SELECT coalesce(sum(calls), 0) AS calls FROM api_use WHERE source = 'salesforce'"
    before, mark = int(service.value(ours)), service.mark()
    headwater("doctor", "--writes")
    made = len(service.calls(mark))
    assert made > 0
    assert int(service.value(ours)) - before == made


def test_the_whole_of_salesforce_is_looked_over_in_a_handful_of_calls(headwater: Terminal, service: Running) -> None:
    mark = service.mark()
    headwater("doctor")
    assert len(service.calls(mark)) <= 3
    mark = service.mark()
    headwater("doctor", "--writes")
    assert len(service.calls(mark)) <= 6
    assert service.calls(mark, "write") == []


def test_writes_lists_what_runs_and_who_writes(headwater: Terminal, service: Running, org: PracticeOrg) -> None:
    org.control("POST", "salesforce/flow", {"object": "Account", "set": {"Rating": "Warm"}, "name": "Stamp_Rating"})
    with service.service.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            INSERT INTO written (object, record_id, field, after, rule_version, plan_id, run_id, result, at)
            VALUES ('Account', '001Hw0000000009IAA', 'HW_Engaged__c', 'true', 1, 1, 1, 'skipped', now())
            """
        )
    try:
        said = headwater("doctor", "--writes")
    finally:
        with service.service.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM written WHERE record_id = '001Hw0000000009IAA'")
    assert said.code == 0
    assert (
        "warning  Salesforce: writes (HW-239): Account: active flows that run when a record is updated (1): "
        "Stamp_Rating (after save)"
    ) in said.out
    assert "Account.HW_Engaged__c: somebody else had changed it on 1 records" in said.out
    assert re.search(r"Salesforce: writes: \d+ looked at are well", said.out)
    checks = headwater("doctor", "--writes", "--json").data["result"]
    assert "Lead: no active validation rules" in {check["message"] for check in checks}
    assert "Stamp_Rating" not in headwater("doctor").out


def test_writes_names_who_undoes_what_we_wrote(headwater: Terminal, service: Running, org: PracticeOrg) -> None:
    kept, undone = org.create("Account", [{"Name": "Ridge"}, {"Name": "Vale"}])
    turns = [(kept, None, "High"), (kept, "High", "Low"), (undone, None, "High"), (undone, "Cold", "High")]
    with service.service.engine.begin() as connection:
        for record, before, after in turns:
            connection.exec_driver_sql(
                """
                INSERT INTO written (object, record_id, field, before, after, rule_version, plan_id, run_id, result, at)
                VALUES ('Account', %s, 'HW_Engagement_Band__c', %s, %s, 1, 1, 1, 'done', now())
                """,
                (record, before, after),
            )
    try:
        said = headwater("doctor", "--writes")
    finally:
        with service.service.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM written WHERE record_id = ANY(%s)", ([kept, undone],))
    assert (
        f"Account.HW_Engagement_Band__c: somebody else changed it on 1 records after we had written it, for example "
        f"{undone}, and we wrote it again"
    ) in said.out
    assert "Account: of 1 records whose value of ours was changed after we wrote it" in said.out
    assert "(System Administrator) 1" in said.out


def test_doctor_logs_in_for_itself_and_leaves_the_shared_session_alone(
    headwater: Terminal, service: Running, org: PracticeOrg
) -> None:
    headwater.export(HEADWATER_TOKEN_KEY=Fernet.generate_key().decode())
    assert headwater("sync").code == 0
    mark = service.mark()
    headwater("doctor")
    logins = [entry for entry in org.journal("salesforce", mark) if entry["kind"] == "token"]
    assert len(logins) == 1
    mark = service.mark()
    said = headwater("sync")
    assert said.code == 0
    journal = org.journal("salesforce", mark)
    calls = [(entry["method"], entry["path"], entry["status"]) for entry in journal]
    assert not [entry for entry in journal if entry["kind"] == "token"], (said, calls)


def test_a_refresh_token_is_tried_without_being_lost(headwater: Terminal, org: PracticeOrg) -> None:
    form = {
        "grant_type": "password",
        "username": "integration@practice.test",
        "password": "any",
        "client_id": "headwater",
        "client_secret": "practice-secret",
    }
    token = org._session.post(f"{org.url}/services/oauth2/token", data=form).json()["refresh_token"]
    headwater.unset("SALESFORCE_PRIVATE_KEY", "SALESFORCE_PRIVATE_KEY_FILE", "SALESFORCE_USERNAME")
    headwater.export(SALESFORCE_REFRESH_TOKEN=token, SALESFORCE_CLIENT_SECRET="practice-secret")
    said = headwater("doctor", "--json")
    assert "HEADWATER_TOKEN_KEY" in json.dumps(wrong(said))
    headwater.export(HEADWATER_TOKEN_KEY=Fernet.generate_key().decode())
    for _ in range(2):
        said = headwater("doctor", "--json")
        assert said.code == 0, said.out
