"""
Looking an organisation over: the shipped package on a practice org, and what is wrong named with its cure.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.connectors.salesforce.stand_in import client_of, json_reply, stand_in
from tests.practice_org import PracticeOrg
from worker.connectors.http import HttpOptions
from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.doctor import PACKAGE_FIELDS, Finding, examine

pytestmark = pytest.mark.slow

WRITTEN: Mapping[str, Sequence[str]] = {
    "Account": [
        "HW_Engaged__c",
        "HW_Engaged_Since__c",
        "HW_Engaged_Until__c",
        "HW_Engagement_Band__c",
        "HW_Engaged_Why__c",
    ],
    "Opportunity": [
        "HW_Source_Team__c",
        "HW_Source_Channel__c",
        "HW_Source_Offer__c",
        "HW_Influenced__c",
        "HW_Marketing_Share__c",
        "HW_Credit_Basis__c",
        "HW_Credit_State__c",
        "HW_Attribution_Why__c",
    ],
    "Lead": [
        "HW_Lifecycle__c",
        "HW_Lifecycle_Since__c",
        "HW_Cycle__c",
        "HW_Original_Source__c",
        "HW_Handover_Due__c",
        "HW_Matched_Account__c",
        "HW_Match_Why__c",
        "HW_Screened__c",
    ],
    "Contact": [
        "HW_Lifecycle__c",
        "HW_Lifecycle_Since__c",
        "HW_Cycle__c",
        "HW_Original_Source__c",
        "HW_Handover_Due__c",
    ],
}


def bad(findings: Sequence[Finding], level: str = "error") -> list[Finding]:
    return [finding for finding in findings if finding.level == level]


def test_the_shipped_package_passes(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    findings = examine(connect(), write_fields=WRITTEN)
    assert bad(findings) == []
    assert len([each for each in findings if each.check == "write"]) == sum(map(len, WRITTEN.values()))
    assert {name for names in WRITTEN.values() for name in names} == set(PACKAGE_FIELDS)


def test_the_whole_examination_is_a_handful_of_calls(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    before = org.control("GET", "journal")["next"]
    examine(connect(), write_fields=WRITTEN)
    assert len([each for each in org.journal("salesforce", before) if each["kind"] != "token"]) <= 5


def test_each_wrong_field_is_named_with_its_cure(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    made = [
        {"name": "HW_Screened__c", "type": "string", "length": 20},
        {"name": "HW_Engaged__c", "type": "string", "length": 5},
    ]
    org.control("POST", "salesforce/fields", {"object": "Campaign", "fields": made})
    wanted = {"Campaign": ["HW_Screened__c", "HW_Engaged__c", "HW_Nowhere__c", "Name", "IsDeleted"]}
    messages = {each.message: each for each in bad(examine(connect(), write_fields=wanted))}
    assert set(messages) == {
        "Campaign.HW_Screened__c holds 20 characters, 80 are needed",
        "Campaign.HW_Engaged__c is a string, not a boolean",
        "Campaign.HW_Nowhere__c does not exist or is not visible",
        "Campaign.IsDeleted cannot be edited by the integration user",
    }
    assert all(each.actions for each in messages.values())


def test_a_hidden_field_that_is_read_is_a_warning(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["Email", "Rating"]})
    try:
        findings = examine(connect())
    finally:
        org.control("POST", "salesforce/show_fields", {"object": "Lead", "fields": ["Email", "Rating"]})
    (finding,) = [each for each in findings if each.check == "read" and each.level != "ok"]
    assert finding.message == "Lead: 2 fields that are read are not visible: Email, Rating"


def test_a_quota_nearly_used_up_is_a_warning(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    org.control("POST", "salesforce/limits", {"used": 90_000, "allowed": 100_000})
    try:
        findings = examine(connect())
    finally:
        org.control("POST", "salesforce/limits", {"used": 0})
    (finding,) = [each for each in findings if each.check == "quota"]
    assert finding.level == "warning"
    assert "of 100000 API calls" in finding.message


def test_a_clock_that_is_off_is_named_with_its_direction(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    (finding,) = [each for each in examine(connect()) if each.check == "clock"]
    assert finding.level == "warning"
    assert "behind Salesforce's" in finding.message


def test_a_login_that_fails_ends_the_examination_with_the_cure(org: PracticeOrg) -> None:
    key = Path(org.private_key_file).read_text()
    wrong = Credentials(org.https_url, "somebody-else", username="integration@practice.test", private_key=key)
    client = SalesforceClient(wrong, options=HttpOptions(ca_file=org.ca_file))
    (finding,) = examine(client)
    assert (finding.check, finding.level) == ("login", "error")
    assert "SALESFORCE_CLIENT_ID" in finding.actions[0]


def test_a_certificate_nobody_vouches_for_is_refused(org: PracticeOrg) -> None:
    key = Path(org.private_key_file).read_text()
    credentials = Credentials(org.https_url, "headwater", username="integration@practice.test", private_key=key)
    (finding,) = examine(SalesforceClient(credentials))
    assert "certificate" in finding.message


def test_the_common_login_host_works_and_is_advised_against() -> None:
    with stand_in() as org:
        org.on("GET ", json_reply({"sobjects": "/services/data/v64.0/sobjects"}))
        credentials = Credentials("https://login.salesforce.com", "headwater", client_secret="practice-secret")
        findings = {each.check: each for each in examine(client_of(credentials=credentials))}
    assert findings["host"].level == "warning"
    assert findings["host"].actions == ("Set SALESFORCE_LOGIN_URL to https://acme.my.salesforce.com",)
