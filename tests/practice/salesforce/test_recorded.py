"""
The practice org beside a real one: the same requests, the same describes, key by key and value by value.

Runs with ``--recorded=FOLDER`` (``make test RECORDED=FOLDER``). What may differ, and why, is listed here and nowhere
else; everything that is not listed has to be the same.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.practice.salesforce.conftest import Client
from tests.practice.salesforce.recordings import Comparison, read_describe, read_exchanges
from tests.practice_org import PracticeOrg

# -- differences that are allowed, and why

# limits/recordCount is "approximate" in Salesforce's own words; the recorded org counted what had just been deleted.
APPROXIMATE = frozenset({"count"})
# Here it had not counted yet: it leaves out an object that has records.
NOT_YET_COUNTED = {("Upsert.test_upsert_complex_fields__bulk", 23)}

# Exchanges of which one was written by hand: five records with five addresses and one id.
HAND_WRITTEN = {("Select.test_select_standard_strategy", 22): frozenset({"Id"})}

# Custom fields the recorded org named __c but its cleaned describe calls standard: written by hand into the recording.
NOT_A_FIELD = {"Account": {"Primary_Contact__c", "ns__Description__c", "History__c", "ns__LinkedAccount__c"}}

# Fields that the recorded org's field-level security or missing features kept from its describe.
NOT_IN_THAT_ORG = {
    "Contact": {"HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"},
    "Lead": {"HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"},
    "Event": {"Type"},
    "Account_PersonAccount": {
        "IsPartner", "IsCustomerPortal", "ChannelProgramName", "ChannelProgramLevelName", "OperatingHoursId",
    },
}  # fmt: skip

# The recorded org widened four picklists and had formulas of its own; lengths of those are its administrator's.
WIDENED = {"Account_PersonAccount": {"Type", "Industry", "Ownership", "Rating", "AccountSource"}}

# The recording's global describe has lines for Event and Lead that were written by hand, without their key prefix.
BY_HAND = frozenset({"Event", "Lead"})

DESCRIBES = (
    "Account", "Contact", "Lead", "Opportunity", "OpportunityContactRole", "Event", "Case", "Account_PersonAccount",
)  # fmt: skip
EXCHANGES = (
    "CompositeParallelSalesforce.test_composite_parallel_salesforce",
    "CountSObjects.test_count_sobjects__errors",
    "DatasetsE2E.test_datasets_e2e",
    "Organization",
    "Select.test_select_standard_strategy",
    "UpdatesIntegrationTests.test_updates_task",
    "Upsert.test_simple_upsert__rest",
    "Upsert.test_upsert_complex_external_id_field_rest__duplicate_error",
    "Upsert.test_upsert_complex_fields__bulk",
    "Upsert.test_upsert_external_id_field",
)


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Path:
    """
    The folder of recordings, given with ``--recorded``.
    """
    folder: Path | None = request.config.getoption("--recorded")
    if folder is None:
        pytest.skip("no --recorded folder")
    return folder


def _report(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """
    Say how much was compared, so that a comparison of nothing is seen for what it is.
    """
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201 - see above


# -- exchanges


def _accounts(*names: str, **more: Any) -> dict[str, Any]:
    return {"object": "Account", "records": [{"Name": name, **more} for name in names]}


def _numbered_accounts(org: PracticeOrg) -> None:
    org.control("POST", "salesforce/create", _accounts(*(f"Account {n}" for n in range(6)), CleanStatus="Pending"))


def _dataset(org: PracticeOrg) -> None:
    _workspace(org)
    _numbered_accounts(org)
    record_type = {"Name": "Pytest", "DeveloperName": "PytestAccountRecordType", "SobjectType": "Account"}
    org.create("RecordType", [record_type])


def _delete_all(org: PracticeOrg, name: str) -> None:
    ids = [row["Id"] for row in Client(org).rows(f"SELECT Id FROM {name}")]
    org.control("POST", "salesforce/delete", {"object": name, "ids": ids})


def _nobody(org: PracticeOrg) -> None:
    _delete_all(org, "Account")


def _workspace(org: PracticeOrg) -> None:
    """
    What the recorded org's administrator had set it up with.
    """
    row = Client(org).rows("SELECT Id FROM Organization")[0]
    settings = {
        "Name": "CumulusCI - Dev Workspace",
        "PrimaryContact": "User User",
        "PreferencesConsentManagementEnabled": True,
        "DefaultAccountAccess": "Edit",
        "DefaultOpportunityAccess": "Edit",
        "DefaultLeadAccess": "ReadEditTransfer",
        "DefaultCaseAccess": "ReadEditTransfer",
        "UiSkin": "Theme3",
        "SignupCountryIsoCode": "US",
        "TrialExpirationDate": "2022-03-25T16:21:17Z",
        "NumKnowledgeService": 2,
        "OrganizationType": "Developer Edition",
        "InstanceName": "CS420",
        "WebToCaseDefaultOrigin": "Web",
        "MonthlyPageViewsUsed": 0,
        "MonthlyPageViewsEntitlement": 0,
    }
    org.control("POST", "salesforce/update", {"object": "Organization", "records": [{"Id": row["Id"], **settings}]})


def _actors(org: PracticeOrg) -> None:
    said = {
        "Tom Cruise": "Some Description",
        "Bob The Builder": "Some Description",
        "Shah Rukh Khan": "Bollywood actor",
    }
    rest = "Mr perfectionist, bollywood actor"
    phones = {"Tom Cruise": "12345632", "Bob The Builder": "12345632", "Shah Rukh Khan": "12345612"}
    names = ("Tom Cruise", "Bob The Builder", "Shah Rukh Khan", "Aamir Khan", "Salman Khan") * 2
    rows = [
        {
            "Name": name,
            "Description": said.get(name, rest),
            "Phone": phones.get(name, "12345623"),
            "AccountNumber": "123",
        }
        for name in names
    ]
    org.create("Account", rows)


Preparation = Callable[[PracticeOrg], Any]
# What stood in the org before the exchange with this number (from 0); a recording does not say it.
BEFORE: dict[str, dict[int, Preparation]] = {
    "Organization": {0: _workspace},
    "Upsert.test_upsert_complex_external_id_field_rest__duplicate_error": {
        6: lambda org: org.control("POST", "salesforce/create", _accounts("Gone")),
        7: _nobody,
        10: lambda org: org.create("Contact", [{"LastName": "Gone"}, {"LastName": "Away"}]),
        11: lambda org: _delete_all(org, "Contact"),
    },
    "CountSObjects.test_count_sobjects__errors": {
        0: lambda org: org.control("POST", "salesforce/create", _accounts(*(f"A{n}" for n in range(17))))
    },
    "DatasetsE2E.test_datasets_e2e": {0: _dataset, 5: _nobody},
    "Select.test_select_standard_strategy": {0: _actors},
    "UpdatesIntegrationTests.test_updates_task": {0: _numbered_accounts},
}
# Exchanges whose describes are compared by the tests of describes.
DESCRIBE_PATHS = ("/describe", "/sobjects", "/sobjects/")


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_recorded_exchange_is_answered_as_the_real_org_did(
    name: str, recorded: Path, org: PracticeOrg, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    exchanges = read_exchanges(recorded)[name]
    comparison = Comparison()
    ours = client.rows("SELECT Id FROM Organization")[0]["Id"]
    comparison.ids["00D0xORGID00000000"] = ours
    # The recorded org was in California.
    client.call("PATCH", f"sobjects/Organization/{ours}", json={"TimeZoneSidKey": "America/Los_Angeles"})
    org.control("POST", "salesforce/settings", {"bulk_seconds": 0})
    compared = 0
    for number, exchange in enumerate(exchanges):
        prepare = BEFORE.get(name, {}).get(number)
        if prepare is not None:
            prepare(org)
        if exchange.method == "GET" and exchange.path.endswith(DESCRIBE_PATHS):
            continue
        compared += 1
        comparison.loose = APPROXIMATE | HAND_WRITTEN.get((name, number), frozenset())
        place = f"{number} {exchange.method} {exchange.path[:80]}"
        answer = _replay(client, comparison, exchange.method, exchange.path, exchange.sent)
        deadline = time.monotonic() + 20
        # A real batch was polled until it was through; so is ours, which may take less or more calls.
        while exchange.elements.get("state") == "Completed" and "<state>Completed</state>" not in answer.text:
            assert time.monotonic() < deadline, f"{place}: {answer.text}"
            time.sleep(0.02)
            answer = _replay(client, comparison, exchange.method, exchange.path, exchange.sent)
        assert answer.status_code == exchange.status, f"{place}: {answer.text}"
        assert answer.headers["Content-Type"].replace(" ", "").lower() == (exchange.content_type or "").lower(), place
        if (name, number) in NOT_YET_COUNTED:
            comparison.compare(exchange.body, {**answer.json(), "sObjects": []})
        elif exchange.elements:
            comparison.compare_elements(exchange.elements, answer.text)
        elif isinstance(exchange.body, str):
            _compare_text(comparison, exchange.body, answer.text)
        else:
            comparison.compare(exchange.body, answer.json())
        assert comparison.differences == [], place
    _report(capsys, f"{name}: {compared} exchanges, {comparison.keys} keys, {comparison.values} values compared")
    assert compared
    assert comparison.keys + comparison.values > compared


def _replay(client: Client, comparison: Comparison, method: str, path: str, sent: str | None) -> Any:
    body = comparison.ours(sent).encode() if sent else None
    kind = "application/json"
    if sent and not sent.startswith("{"):
        kind = "application/xml" if sent.startswith("<") else "text/csv"
    headers = {"Content-Type": f"{kind}; charset=UTF-8"} if body else {}
    return client.call(method, comparison.ours(path), data=body, headers=headers)


def _compare_text(comparison: Comparison, recorded: str, own: str) -> None:
    """
    CSV results line by line; of the Bulk 1.0 XML that was kept whole, the names of its elements.
    """
    if recorded.startswith("<"):
        assert "batchInfoList" in own
        assert "http://www.force.com/2009/06/asyncapi/dataload" in own
        comparison.keys += 2
        return
    theirs, mine = (text.replace('"', "").splitlines() for text in (recorded, own))
    comparison.compare([line.split(",") for line in theirs], [line.split(",") for line in mine])


def test_no_recorded_exchange_is_left_out(recorded: Path) -> None:
    assert set(read_exchanges(recorded)) == set(EXCHANGES)
    assert {path.stem for path in (recorded / "describe").glob("*.yaml")} == {*DESCRIBES, "Global"}


# -- describes


@pytest.mark.parametrize("name", DESCRIBES)
def test_an_object_is_described_as_the_real_org_describes_it(
    name: str, recorded: Path, org: PracticeOrg, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = read_describe(recorded, name)
    sobject = theirs["name"]
    own_types = [each for each in theirs["recordTypeInfos"] if not each["master"]]
    _prepare_describe(org, name, theirs, own_types)
    version = theirs["urls"]["sobject"].split("/")[3].replace("vxx.0", "v59.0")
    answer = client.call("GET", f"/services/data/{version}/sobjects/{sobject}/describe")
    assert answer.status_code == 200
    mine = answer.json()

    top = Comparison()
    _host(theirs, mine)
    apart = {"fields", "childRelationships", "recordTypeInfos"}
    top.compare({k: v for k, v in theirs.items() if k not in apart}, {k: v for k, v in mine.items() if k not in apart})
    assert apart <= theirs.keys() & mine.keys()
    _compare_record_types(top, theirs["recordTypeInfos"], mine["recordTypeInfos"])
    children = _compare_children(top, client, theirs, mine)
    assert top.differences == []

    compared = _compare_fields(name, theirs["fields"], mine["fields"])
    _report(
        capsys,
        f"{name}: {len(theirs['fields'])} fields recorded, {compared.keys} keys and {compared.values} values of "
        f"fields compared; {top.keys} keys and {top.values} values beside them; {children} child relationships",
    )
    assert compared.keys > 60 * 10


def _prepare_describe(org: PracticeOrg, name: str, theirs: dict[str, Any], record_types: list[dict[str, Any]]) -> None:
    """
    Give the org the features, record types and custom fields that the recorded org had.
    """
    if name.endswith("PersonAccount"):
        org.control("POST", "salesforce/features", {"person_accounts": True})
        record_types = [each for each in record_types if each["developerName"] != "PersonAccount"]
    made = [
        {"Name": each["name"], "DeveloperName": each["developerName"], "SobjectType": theirs["name"]}
        for each in record_types
    ]
    if made:
        org.create("RecordType", made)
    fields = [_custom(each) for each in theirs["fields"] if each["name"].endswith("__c") and each["custom"]]
    own = [each for each in fields if each is not None]
    if own:
        org.control("POST", "salesforce/fields", {"object": theirs["name"], "fields": own})
    if name.endswith("PersonAccount"):
        fields = [_custom(each) for each in theirs["fields"] if each["name"].endswith("__pc")]
        own = [{**each, "name": each["name"].removesuffix("pc") + "c"} for each in fields if each is not None]
        org.control("POST", "salesforce/fields", {"object": "Contact", "fields": own})


def _custom(field: dict[str, Any]) -> dict[str, Any] | None:
    """
    A recorded custom field as the control call makes one, or None where the practice org has no such thing: formulas,
    and lookups to objects it has not.
    """
    known = {"Account", "Contact", "Lead", "Opportunity"}
    if field["calculated"] or (field["type"] == "reference" and not set(field["referenceTo"]) <= known):
        return None
    return {
        "name": field["name"],
        "type": field["type"],
        "label": field["label"],
        "length": field["length"],
        "precision": field["precision"],
        "scale": field["scale"],
        "externalId": field["externalId"],
        "unique": field["unique"],
        "caseSensitive": field["caseSensitive"],
        "required": not field["nillable"] and field["type"] != "boolean",
        "restricted": field["restrictedPicklist"],
        "inlineHelpText": field["inlineHelpText"],
        "defaultValueFormula": field["defaultValueFormula"],
        "defaultValue": str(field["defaultValue"]).lower() if field["type"] == "boolean" else field["defaultValue"],
        "referenceTo": next(iter(field["referenceTo"]), None),
        "values": [each["value"] for each in field["picklistValues"]],
    }


def _host(theirs: dict[str, Any], mine: dict[str, Any]) -> None:
    """
    The pages of the user interface have the org's own host in front.
    """
    for name in ("uiDetailTemplate", "uiEditTemplate", "uiNewRecord"):
        for each in (theirs, mine):
            assert each["urls"][name].startswith("http")
            each["urls"][name] = each["urls"][name].split("/", 3)[3]
    for each in (theirs, mine):
        each["urls"] = {name: url.split("/", 4)[-1] for name, url in each["urls"].items()}


def _compare_record_types(comparison: Comparison, theirs: list[dict[str, Any]], mine: list[dict[str, Any]]) -> None:
    """
    The same keys in each, the nameless one last, one default. Which is the default is the administrator's choice.
    """
    comparison.keys += len(theirs)
    if bool(theirs) != bool(mine):
        comparison.differences.append(f"recordTypeInfos: {len(theirs)} recorded, {len(mine)} here")
        return
    for one in mine:
        if one.keys() != theirs[0].keys() or one["urls"].keys() != theirs[0]["urls"].keys():
            comparison.differences.append(f"recordTypeInfos: {sorted(one)} here, {sorted(theirs[0])} recorded")
    if theirs:
        masters = [each for each in (theirs[-1], mine[-1]) if each["master"]]
        assert len(masters) == 2
        comparison.compare(
            *({key: value for key, value in each.items() if key not in {"urls", "defaultRecordTypeMapping"}}
              for each in masters)
        )  # fmt: skip
        assert sum(each["defaultRecordTypeMapping"] for each in mine) == 1


def _compare_children(comparison: Comparison, client: Client, theirs: dict[str, Any], mine: dict[str, Any]) -> int:
    """
    Each child relationship of ours must be theirs, the same; how many there were. Theirs to objects a practice org has
    not are its missing features; those of custom fields are called as their makers wished.
    """
    ours = {each["name"] for each in client.call("GET", "sobjects").json()["sobjects"]}
    recorded = {(each["childSObject"], each["field"]): each for each in theirs["childRelationships"]}
    here = {(each["childSObject"], each["field"]): each for each in mine["childRelationships"]}
    for key, each in here.items():
        if key[1].endswith("__c"):
            continue
        if key not in recorded:
            comparison.differences.append(f"childRelationships {key}: here, not recorded")
        else:
            comparison.compare(recorded[key], each, f"childRelationships {key}")
    for key in recorded.keys() - here.keys():
        if key[0] in ours and key not in PORTAL and not key[1].endswith("__c"):
            comparison.differences.append(f"childRelationships {key}: recorded, not here")
    assert all(here), mine["name"]
    return len(here)


# Users of a customer portal hang on accounts and contacts; a practice org has no portal.
PORTAL = {("User", "AccountId"), ("User", "ContactId"), ("UserRole", "PortalAccountId")}


def _compare_fields(name: str, theirs: list[dict[str, Any]], mine: list[dict[str, Any]]) -> Comparison:
    recorded = {each["name"]: each for each in theirs}
    here = {each["name"]: each for each in mine}
    sobject = name.partition("_")[0]
    made = {each for each in recorded if each.endswith(("__c", "__pc")) and recorded[each]["custom"]}
    unmade = {each for each in made if _custom(recorded[each]) is None}
    assert recorded.keys() - here.keys() == NOT_A_FIELD.get(name, set()) | unmade
    assert here.keys() - recorded.keys() <= NOT_IN_THAT_ORG.get(name, set())
    comparison = Comparison()
    for each in recorded.keys() & here.keys():
        left, right = dict(recorded[each]), dict(here[each])
        _reconcile(name, left, right)
        comparison.compare(left, right, f"{sobject}.{each}")
    assert comparison.differences == []
    return comparison


def _reconcile(name: str, theirs: dict[str, Any], mine: dict[str, Any]) -> None:
    """
    Take out of both what may differ: the values of picklists that administrators may change, the list of time zones,
    and objects that a practice org has not among those a reference may point at.
    """
    for each in (*theirs["picklistValues"][:1], *mine["picklistValues"][:1]):
        assert each.keys() == {"active", "defaultValue", "label", "validFor", "value"}
    if not theirs["restrictedPicklist"] or theirs["custom"] or theirs["name"].endswith("SidKey"):
        for each in (theirs, mine):
            each.pop("picklistValues")
    if len(theirs["referenceTo"]) > 2:
        assert set(mine["referenceTo"]) <= set(theirs["referenceTo"])
        for each in (theirs, mine):
            each.pop("referenceTo")
    if theirs["name"] in WIDENED.get(name, set()):
        for key in ("length", "byteLength"):
            assert (theirs.pop(key), mine.pop(key)) in {(255, 40), (765, 120)}


def test_the_list_of_objects_is_the_real_orgs(
    recorded: Path, org: PracticeOrg, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = read_describe(recorded, "Global")
    mine = client.call("GET", "/services/data/v52.0/sobjects").json()
    assert {k: v for k, v in theirs.items() if k != "sobjects"} == {k: v for k, v in mine.items() if k != "sobjects"}
    assert [each["name"] for each in mine["sobjects"]] == sorted(each["name"] for each in mine["sobjects"])
    recorded_lines = {each["name"]: each for each in theirs["sobjects"]}
    comparison = Comparison()
    both = 0
    for each in mine["sobjects"]:
        line = recorded_lines.get(each["name"])
        if line is not None and each["name"] not in BY_HAND:
            both += 1
            comparison.compare(line, each, each["name"])
        assert each.keys() == recorded_lines["Account"].keys()
    assert comparison.differences == []
    _report(
        capsys,
        f"Global: {len(theirs['sobjects'])} objects recorded, {len(mine['sobjects'])} here, {both} in both; "
        f"{comparison.keys} keys and {comparison.values} values compared",
    )
    assert both >= 9
