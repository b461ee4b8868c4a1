"""
Looking an organisation over: the shipped package on a practice org, and what is wrong named with its cure.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.connectors.salesforce.stand_in import client_of, json_reply, stand_in
from tests.practice_org import PracticeOrg
from worker.connectors.http import HttpOptions
from worker.connectors.salesforce.client import Credentials, Part, SalesforceClient
from worker.connectors.salesforce.company import Company, company_findings
from worker.connectors.salesforce.doctor import PACKAGE_FIELDS, certificate_finding, examine
from worker.connectors.salesforce.findings import Finding

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


def test_every_finding_that_is_bad_has_a_code_and_a_cure(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["Email"]})
    org.control("POST", "salesforce/limits", {"used": 95_000})
    try:
        findings = examine(connect(), write_fields={"Account": ["HW_Nowhere__c", "CreatedDate"]})
    finally:
        org.control("POST", "salesforce/show_fields", {"object": "Lead", "fields": ["Email"]})
        org.control("POST", "salesforce/limits", {"used": 0})
    wrong = [each for each in findings if each.level != "ok"]
    assert {each.code for each in wrong} >= {"HW-206", "HW-209", "HW-234"}
    assert all(each.code and each.actions for each in wrong)


def test_a_field_that_may_only_be_read_is_named_apart_from_one_that_is_not_there(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    findings = examine(connect(), write_fields={"Account": ["LastActivityDate", "HW_Gone__c"]})
    by_code = {each.code: each for each in bad(findings)}
    assert by_code["HW-234"].message == "Account.LastActivityDate cannot be edited by the integration user"
    assert "permission set" in by_code["HW-234"].actions[0]
    assert by_code["HW-209"].message == "Account.HW_Gone__c does not exist or is not visible"
    assert "sf project deploy" in by_code["HW-209"].actions[0]


def test_a_user_that_sees_everything_is_well(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    (finding,) = [each for each in examine(connect()) if each.check == "permissions"]
    assert (finding.level, finding.message) == ("ok", "the integration user has View All Data")


def test_who_it_is_that_logged_in_is_said(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    (finding,) = [each for each in examine(connect()) if each.check == "user"]
    assert finding.message == "integration@practice.test, profile Integration"


def test_an_administrator_is_too_much_of_an_integration_user(org: PracticeOrg) -> None:
    key = Path(org.private_key_file).read_text()
    credentials = Credentials(org.https_url, "headwater", username="admin@practice.test", private_key=key)
    findings = examine(SalesforceClient(credentials, options=HttpOptions(ca_file=org.ca_file)))
    (finding,) = [each for each in findings if each.code == "HW-241"]
    assert finding.level == "warning"
    assert "Modify All Data" in finding.message


def restricted(org: PracticeOrg) -> SalesforceClient:
    key = Path(org.private_key_file).read_text()
    credentials = Credentials(org.https_url, "headwater", username="restricted@practice.test", private_key=key)
    return SalesforceClient(credentials, options=HttpOptions(ca_file=org.ca_file, attempts=3, pause_seconds=0.01))


def test_a_user_without_view_all_is_told_which_records_it_misses(org: PracticeOrg) -> None:
    (finding,) = [each for each in examine(restricted(org)) if each.check == "permissions"]
    assert (finding.level, finding.code) == ("warning", "HW-236")
    assert "no View All on Account, Contact, Lead, Opportunity, Campaign" in finding.message
    assert "View All" in finding.actions[0]


def test_view_all_on_every_object_is_as_good_as_view_all_data(org: PracticeOrg) -> None:
    client = restricted(org)
    (made,) = org.create("PermissionSet", [{"Name": "Headwater_Sees", "Label": "Headwater sees", "IsCustom": True}])
    ids = [made]
    names = ["Account", "Contact", "Lead", "Opportunity"]
    org.create("PermissionSetAssignment", [{"PermissionSetId": made, "AssigneeId": client.user_id()}])
    grants = [{"ParentId": made, "SobjectType": name, "PermissionsViewAllRecords": True} for name in names]
    org.create("ObjectPermissions", grants)
    (finding,) = [each for each in examine(client) if each.check == "permissions"]
    assert "no View All on Campaign:" in finding.message
    org.create("ObjectPermissions", [{**grants[0], "SobjectType": "Campaign"}])
    (finding,) = [each for each in examine(client) if each.check == "permissions"]
    assert finding.level == "ok"
    org.control("POST", "salesforce/hard_delete", {"object": "PermissionSet", "ids": ids})


def test_a_quota_used_up_is_one_finding_and_not_one_for_each_object(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    org.control("POST", "salesforce/limits", {"used": 100_000, "allowed": 100_000})
    try:
        findings = examine(connect(), write_fields=WRITTEN)
    finally:
        org.control("POST", "salesforce/limits", {"used": 0})
    (finding,) = bad(findings)
    assert (finding.check, finding.code) == ("quota", "HW-206")
    assert "used up" in finding.message
    assert any("Company Information" in action for action in finding.actions)
    assert len(findings) <= 4


def test_a_host_that_does_not_answer_is_named_with_where_to_find_the_right_one(org: PracticeOrg) -> None:
    key = Path(org.private_key_file).read_text()
    credentials = Credentials("https://127.0.0.1:1", "headwater", username="integration@practice.test", private_key=key)
    (finding,) = examine(SalesforceClient(credentials, options=HttpOptions(attempts=2, pause_seconds=0.01)))
    assert (finding.check, finding.level, finding.code) == ("host", "error", "HW-202")
    assert "127.0.0.1 does not answer as Salesforce does" in finding.message
    assert "Setup > My Domain" in finding.actions[0]


def test_a_host_that_is_somebody_elses_is_not_an_outage(org: PracticeOrg) -> None:
    org.fault({"status": 404, "body": "<html>no such site</html>", "content_type": "text/html"}, path_contains="oauth2")
    key = Path(org.private_key_file).read_text()
    credentials = Credentials(org.https_url, "headwater", username="integration@practice.test", private_key=key)
    (finding,) = examine(SalesforceClient(credentials, options=HttpOptions(ca_file=org.ca_file)))
    assert (finding.check, finding.code) == ("host", "HW-201")
    assert "html" not in finding.message


def test_a_key_that_salesforce_does_not_know_any_more_is_named_with_how_to_make_a_certificate(org: PracticeOrg) -> None:
    stranger = pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    credentials = Credentials(org.https_url, "headwater", username="integration@practice.test", private_key=stranger)
    (finding,) = examine(SalesforceClient(credentials, options=HttpOptions(ca_file=org.ca_file)))
    assert (finding.check, finding.code) == ("login", "HW-204")
    assert "invalid assertion" in finding.message
    assert finding.actions[1].startswith("openssl req -new -x509")


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
    assert "of 100,000 API calls" in finding.message


def test_a_clock_that_is_off_is_named_with_its_direction(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    (finding,) = [each for each in examine(connect()) if each.check == "clock"]
    assert (finding.level, finding.code) == ("warning", "HW-237")
    assert "behind Salesforce's" in finding.message
    assert finding.actions == ("timedatectl set-ntp true",)


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)


def pem_of(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate(days: int, key: rsa.RSAPrivateKey = KEY) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "headwater")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(TODAY - timedelta(days=700))
    return made.not_valid_after(TODAY + timedelta(days=days)).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (-1, "error", "the certificate has expired on 2026-11-21"),
        (29, "warning", "the certificate expires on 2026-12-21, in 29 days"),
        (31, "ok", "the certificate is the key's and holds until 2026-12-23"),
    ],
)
def test_a_certificate_is_told_of_before_it_ends(days: int, level: str, words: str) -> None:
    found = certificate_finding(certificate(days), pem_of(KEY), TODAY)
    assert (found.level, found.message) == (level, words)
    assert found.level == "ok" or (found.code == "HW-238" and "openssl req" in found.actions[0])


def test_a_certificate_of_another_key_is_an_error() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    found = certificate_finding(certificate(300, other), pem_of(KEY), TODAY)
    assert (found.level, found.code) == ("error", "HW-238")
    assert "of another key" in found.message


def test_what_is_no_certificate_is_said_to_be_none() -> None:
    assert certificate_finding(b"hello", pem_of(KEY), TODAY).level == "error"


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


@pytest.mark.parametrize(("seconds", "words"), [(-600, "ahead of"), (600, "behind")])
def test_a_clock_is_compared_with_the_date_of_the_answer(seconds: int, words: str) -> None:
    with stand_in() as org:
        at = formatdate(time.time() + seconds, usegmt=True)
        org.on("GET ", json_reply({"sobjects": "/services/data/v64.0/sobjects"}, headers={"Date": at}))
        findings = {each.check: each for each in examine(client_of())}
    assert f" s {words} Salesforce's" in findings["clock"].message
    assert findings["clock"].level == "warning"


def test_the_common_login_host_works_and_is_advised_against() -> None:
    with stand_in() as org:
        org.on("GET ", json_reply({"sobjects": "/services/data/v64.0/sobjects"}))
        credentials = Credentials("https://login.salesforce.com", "headwater", client_secret="practice-secret")
        findings = {each.check: each for each in examine(client_of(credentials=credentials))}
    assert findings["host"].level == "warning"
    assert findings["host"].actions == ("Set SALESFORCE_LOGIN_URL to https://acme.my.salesforce.com",)


def test_a_version_that_is_about_to_be_retired_is_said() -> None:
    with stand_in() as org:
        words = '299 - "This API version is deprecated and will be removed by Summer 27."'
        org.on("GET ", json_reply({"sobjects": "/services/data/v64.0/sobjects"}, headers={"Warning": words}))
        (finding,) = [each for each in examine(client_of()) if each.check == "version"]
    assert (finding.level, finding.code) == ("warning", "HW-210")
    assert "will be removed by Summer 27" in finding.message
    assert "api_version" in finding.actions[0]


# ----------------------------------------------------------------------------------------- the company and its rules

NEW_YORK = Company("America/New_York", "USD")
REFUSED = Part(400, [{"errorCode": "INVALID_TYPE", "message": "sObject type 'CurrencyType' is not supported."}])


def page(*rows: Mapping[str, object]) -> Part:
    return Part(200, {"totalSize": len(rows), "done": True, "records": list(rows)})


def company_of(
    company: Company, corporate: Part = REFUSED, currency: str | None = "USD", years: Part = REFUSED, **row: object
) -> list[Finding]:
    organization = {
        "Name": "Acme", "TimeZoneSidKey": "America/New_York", "DefaultLocaleSidKey": "en_US",
        "LanguageLocaleKey": "en_US", "FiscalYearStartMonth": 1, "UsesStartDateAsFiscalYearName": False,
        "IsSandbox": False, **row,
    }  # fmt: skip
    settings = Part(200, {"features": {"defaultCurrencyIsoCode": currency}})
    return list(company_findings([page(organization), corporate, settings, years], company, datetime.now(UTC)))


def test_an_organisation_that_is_what_the_rules_say_is_well(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    found = [each for each in examine(connect(), company=NEW_YORK) if each.check == "company"]
    assert [(each.level, each.message) for each in found] == [
        ("ok", "Practice Company, a sandbox; language en_US, locale en_US"),
        ("ok", "its time zone is the rules' (America/New_York)"),
        ("ok", "its currency is the rules' (USD; the only one)"),
        ("ok", "its fiscal year begins in January and is named by the year in which it begins"),
    ]


def test_another_time_zone_and_currency_are_named_with_their_cures(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    company = Company("Europe/Berlin", "EUR")
    zone, currency = [each for each in examine(connect(), company=company) if each.code == "HW-242"]
    assert (zone.code, zone.level, currency.code, currency.level) == ("HW-242", "warning", "HW-242", "error")
    assert "time zone is America/New_York and the rules say Europe/Berlin" in zone.message
    assert zone.actions[0] == 'service.yaml:  org: {timezone: "America/New_York"}'
    assert "corporate currency is USD and the rules say EUR" in currency.message
    assert currency.actions == ("service.yaml:  org: {currency: USD}",)


def test_an_organisation_that_may_not_be_asked_says_so() -> None:
    hidden = Part(400, [{"errorCode": "INVALID_TYPE", "message": "no"}])
    (finding,) = company_findings([hidden] * 4, NEW_YORK, datetime.now(UTC))
    assert (finding.level, finding.code) == ("warning", "HW-209")
    assert finding.actions


@pytest.mark.parametrize(
    ("theirs", "ours", "level"),
    [
        ("Asia/Calcutta", "Asia/Kolkata", "ok"),  # two names of one zone
        ("America/Phoenix", "America/Denver", "warning"),  # alike in winter alone
        ("GMT", "Europe/London", "warning"),
        ("Nowhere/At_All", "UTC", "warning"),
    ],
)
def test_zones_are_compared_by_their_clocks_and_not_by_their_names(theirs: str, ours: str, level: str) -> None:
    found = company_of(Company(ours, "USD"), TimeZoneSidKey=theirs)
    assert found[1].level == level


def test_of_several_currencies_the_corporate_one_counts() -> None:
    euro = company_of(NEW_YORK, corporate=page({"IsoCode": "EUR"}), currency=None)[2]
    assert (euro.level, euro.code) == ("error", "HW-242")
    assert "converted by rates of another" in euro.message
    dollar = company_of(NEW_YORK, corporate=page({"IsoCode": "USD"}), currency=None)[2]
    assert (dollar.level, dollar.message) == ("ok", "its currency is the rules' (USD; of several)")
    untold = company_of(NEW_YORK, currency=None)[2]
    assert (untold.level, untold.message) == ("ok", "its currency cannot be asked here; the rules say USD")


def test_the_fiscal_year_is_told_as_it_is_read() -> None:
    def told(**given: object) -> str:
        return company_of(NEW_YORK, **given)[3].message  # type: ignore[arg-type]

    assert (
        told(FiscalYearStartMonth=2) == "its fiscal year begins in February and is named by the year in which it ends"
    )
    named = told(FiscalYearStartMonth=2, UsesStartDateAsFiscalYearName=True)
    assert named == "its fiscal year begins in February and is named by the year in which it begins"
    assert "2 custom fiscal years" in told(years=page({"Name": "2026"}, {"Name": "2027"}))


TOUCHES = {"HW_Touch__c": ["HW_Key__c", "HW_Opportunity__c", "HW_Channel__c"]}


def touch_findings(client: SalesforceClient, check: str) -> list[Finding]:
    return [each for each in examine(client, write_fields=TOUCHES) if each.check == check and "HW" in str(each.code)]


def test_touch_records_that_may_be_made_changed_and_deleted_are_well(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    assert bad(examine(connect(), write_fields=TOUCHES)) == []


def test_a_right_to_touch_records_that_is_lacking_is_named_with_its_cure(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    org.control("POST", "salesforce/object_rights", {"object": "HW_Touch__c", "deletable": False})
    try:
        (wrong,) = touch_findings(connect(), "write")
    finally:
        org.control("POST", "salesforce/object_rights", {"object": "HW_Touch__c", "deletable": True})
    assert (wrong.level, wrong.code) == ("error", "HW-226")
    assert wrong.message == "HW_Touch__c: the integration user lacks Delete: no touch records are written"
    assert any("Headwater_Integration" in line for line in wrong.actions)


def test_an_organisation_with_an_older_package_is_told_what_to_deploy(connect: Callable[[], SalesforceClient]) -> None:
    found = examine(connect(), write_fields={"HW_Tuch__c": ["HW_Key__c"]})
    (wrong,) = bad(found)
    assert (wrong.check, wrong.code) == ("object", "HW-226")
    assert "HW_Tuch__c is not there" in wrong.message
    assert any("sf project deploy" in line for line in wrong.actions)


def test_an_organisation_without_storage_is_told_that_new_records_wait(
    org: PracticeOrg, connect: Callable[[], SalesforceClient]
) -> None:
    assert touch_findings(connect(), "storage") == []
    org.control("POST", "salesforce/settings", {"storage_full": True})
    try:
        (wrong,) = touch_findings(connect(), "storage")
    finally:
        org.control("POST", "salesforce/settings", {"storage_full": False})
    assert (wrong.level, wrong.code) == ("error", "HW-243")
    assert wrong.message == "no data storage is left: new records of HW_Touch__c wait"
    assert any("Storage Usage" in line for line in wrong.actions)
