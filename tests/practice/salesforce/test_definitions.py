"""
What administrators define: custom fields and objects by the Tooling API, the Metadata API, a deployed zip, control
calls.
"""

import base64
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.practice.salesforce.conftest import Client
from tests.practice.salesforce.test_access import log_in
from tests.practice_org import PracticeOrg

FIT = {"type": "Number", "label": "Fit score", "precision": 5, "scale": 2}
INTEGRATION = "integration@practice.test"


def _fields(client: Client, sobject: str = "Lead") -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in client.call("GET", f"sobjects/{sobject}/describe").json()["fields"]}


def _make(client: Client, full_name: str = "Lead.Fit_Score__c", **more: Any) -> str:
    body = {"FullName": full_name, "Metadata": {**FIT, **more}}
    answer = client.call("POST", "tooling/sobjects/CustomField", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json() | {"id": ""} == {"id": "", "success": True, "errors": [], "warnings": [], "infos": []}
    made: str = answer.json()["id"]
    return made


def _grant(client: Client, field: str, *, edit: bool = True) -> None:
    """
    As an administrator does by REST: a permission set, the field in it, the user to it.
    """
    made = client.call("POST", "sobjects/PermissionSet", json={"Name": "Headwater", "Label": "Headwater"}).json()["id"]
    row = {"ParentId": made, "SobjectType": field.partition(".")[0], "Field": field}
    row |= {"PermissionsRead": "true", "PermissionsEdit": str(edit).lower()}
    assert client.call("POST", "sobjects/FieldPermissions", json=row).status_code == 201
    user = client.values(f"SELECT Id FROM User WHERE Username = '{INTEGRATION}'")[0]
    assignment = {"PermissionSetId": made, "AssigneeId": user}
    assert client.call("POST", "sobjects/PermissionSetAssignment", json=assignment).status_code == 201


def test_a_field_made_by_the_tooling_api_is_seen_by_nobody_until_it_is_granted(client: Client) -> None:
    made = _make(client)
    assert made.startswith("00N")
    assert "Fit_Score__c" not in _fields(client)
    assert client.query("SELECT Fit_Score__c FROM Lead").json()[0]["errorCode"] == "INVALID_FIELD"
    row = {"LastName": "Ng", "Company": "Acme", "Fit_Score__c": 81.5}
    assert client.call("POST", "sobjects/Lead", json=row).status_code == 400
    _grant(client, "Lead.Fit_Score__c")
    described = _fields(client)["Fit_Score__c"]
    assert (described["type"], described["precision"], described["scale"], described["updateable"]) == (
        "double", 5, 2, True,
    )  # fmt: skip
    assert client.call("POST", "sobjects/Lead", json=row).status_code == 201
    assert client.values("SELECT Fit_Score__c FROM Lead") == [81.5]


def test_a_field_granted_for_reading_refuses_writing(client: Client) -> None:
    _make(client)
    _grant(client, "Lead.Fit_Score__c", edit=False)
    assert (_fields(client)["Fit_Score__c"]["createable"], _fields(client)["Fit_Score__c"]["updateable"]) == (
        False,
        False,
    )
    answer = client.call("POST", "sobjects/Lead", json={"LastName": "N", "Company": "A", "Fit_Score__c": 1})
    assert answer.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_the_tooling_api_reads_changes_and_deletes_a_field(client: Client) -> None:
    made = _make(client)
    _grant(client, "Lead.Fit_Score__c")
    path = f"tooling/sobjects/CustomField/{made}"
    body = client.call("GET", path).json()
    assert (body["FullName"], body["Metadata"]["precision"], body["DeveloperName"]) == (
        "Lead.Fit_Score__c", 5, "Fit_Score",
    )  # fmt: skip
    soql = "SELECT DeveloperName, TableEnumOrId FROM CustomField"
    rows = client.call("GET", "tooling/query", params={"q": soql}).json()["records"]
    assert [(row["DeveloperName"], row["TableEnumOrId"]) for row in rows] == [("Fit_Score", "Lead")]
    assert client.query(soql).json()[0]["errorCode"] == "INVALID_TYPE"
    text = {"Metadata": {"type": "Text", "label": "Fit", "length": 20}}
    assert client.call("PATCH", path, json=text).status_code == 204
    assert (_fields(client)["Fit_Score__c"]["type"], _fields(client)["Fit_Score__c"]["length"]) == ("string", 20)
    assert client.call("DELETE", path).status_code == 204
    assert client.call("GET", path).status_code == 404
    assert "Fit_Score__c" not in _fields(client)


@pytest.mark.parametrize(
    ("full_name", "changes", "code"),
    [
        ("Lead.Fit__c", {"precision": None}, "FIELD_INTEGRITY_EXCEPTION"),
        ("Lead.Fit__c", {"type": "Colour"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ("Lead.Fit__c", {"label": None}, "REQUIRED_FIELD_MISSING"),
        ("Lead.Fit", {}, "INVALID_FIELD"),
        ("Nobody.Fit__c", {}, "INVALID_CROSS_REFERENCE_KEY"),
        ("Task.Fit__c", {}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ("Lead", {}, "INVALID_FULL_NAME"),
    ],
)
def test_a_field_that_is_none_is_refused_by_name(
    client: Client, full_name: str, changes: dict[str, Any], code: str
) -> None:
    body = {"FullName": full_name, "Metadata": {**FIT, **changes}}
    answer = client.call("POST", "tooling/sobjects/CustomField", json=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_a_second_field_of_the_name_and_a_user_who_may_not_are_refused(org: PracticeOrg, client: Client) -> None:
    _make(client)
    body = {"FullName": "Lead.Fit_Score__c", "Metadata": FIT}
    answer = client.call("POST", "tooling/sobjects/CustomField", json=body)
    assert answer.json()[0]["errorCode"] == "DUPLICATE_DEVELOPER_NAME"
    answer = log_in(org, "restricted@practice.test").call("POST", "tooling/sobjects/CustomField", json=body)
    assert answer.status_code == 403
    answer = client.call("GET", "tooling/executeAnonymous/", params={"anonymousBody": "System.debug(1);"})
    assert (answer.json()["compiled"], answer.json()["success"]) == (False, False)


def test_an_activity_field_is_on_tasks_and_events(client: Client) -> None:
    _make(client, "Activity.Weight__c")
    _grant(client, "Task.Weight__c")
    assert ["Weight__c" in _fields(client, name) for name in ("Task", "Event")] == [True, False]
    set_id = client.values("SELECT Id FROM PermissionSet WHERE Name = 'Headwater'")[0]
    row = {"ParentId": set_id, "SobjectType": "Event", "Field": "Event.Weight__c", "PermissionsRead": True}
    assert client.call("POST", "sobjects/FieldPermissions", json=row).status_code == 201
    assert _fields(client, "Event")["Weight__c"]["updateable"] is False


# -- SOAP


def _soap(client: Client, body: str, path: str = "60.0") -> requests.Response:
    token = str(client.session.headers["Authorization"]).removeprefix("Bearer ")
    envelope = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:m="http://soap.sforce.com/2006/04/metadata">'
        f"<s:Header><m:SessionHeader><m:sessionId>{token}</m:sessionId></m:SessionHeader></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )
    url = f"{client.org.url}/services/Soap/m/{path}"
    return requests.post(url, data=envelope, headers={"Content-Type": "text/xml"}, timeout=30)


def _field_xml(name: str, label: str = "Fit") -> str:
    return (
        f'<m:metadata xsi:type="m:CustomField"><m:fullName>{name}</m:fullName><m:label>{label}</m:label>'
        "<m:precision>3</m:precision><m:scale>0</m:scale><m:type>Number</m:type></m:metadata>"
    )


def test_the_metadata_api_makes_reads_renames_and_deletes(client: Client) -> None:
    create = f"<m:createMetadata>{_field_xml('Lead.Fit__c')}{_field_xml('Nobody.Fit__c')}</m:createMetadata>"
    answer = _soap(client, create)
    assert re.findall(r"<success>(\w+)</success>", answer.text) == ["true", "false"]
    assert "<statusCode>INVALID_CROSS_REFERENCE_KEY</statusCode>" in answer.text
    grant = (
        '<m:upsertMetadata><m:metadata xsi:type="m:Profile"><m:fullName>Integration</m:fullName><m:fieldPermissions>'
        "<m:editable>true</m:editable><m:field>Lead.Fit__c</m:field><m:readable>true</m:readable></m:fieldPermissions>"
        "</m:metadata></m:upsertMetadata>"
    )
    assert (
        "<created>false</created><fullName>Integration</fullName><success>true</success>" in _soap(client, grant).text
    )
    assert _fields(client)["Fit__c"]["precision"] == 3
    again = f"<m:upsertMetadata>{_field_xml('Lead.Fit__c', 'Better')}</m:upsertMetadata>"
    assert "<created>false</created>" in _soap(client, again).text
    assert _fields(client)["Fit__c"]["label"] == "Better"
    rename = (
        "<m:renameMetadata><m:type>CustomField</m:type><m:oldFullName>Lead.Fit__c</m:oldFullName>"
        "<m:newFullName>Lead.Suits__c</m:newFullName></m:renameMetadata>"
    )
    assert "<success>true</success>" in _soap(client, rename).text
    assert "Suits__c" in _fields(client)
    read = "<m:readMetadata><m:type>CustomField</m:type><m:fullNames>{}</m:fullNames></m:readMetadata>"
    assert '<records xsi:type="CustomField">' in _soap(client, read.format("Lead.Suits__c")).text
    assert '<records xsi:nil="true"/>' in _soap(client, read.format("Lead.Fit__c")).text
    listed = "<m:listMetadata><m:queries><m:type>CustomField</m:type></m:queries></m:listMetadata>"
    assert "<fullName>Lead.Suits__c</fullName>" in _soap(client, listed).text
    delete = "<m:deleteMetadata><m:type>CustomField</m:type><m:fullNames>Lead.Suits__c</m:fullNames></m:deleteMetadata>"
    assert "<success>true</success>" in _soap(client, delete).text
    assert "Suits__c" not in _fields(client)


def test_faults_of_the_metadata_api_answer_500(org: PracticeOrg, client: Client) -> None:
    unknown = _soap(client, "<m:cancelDeploy/>")
    assert (unknown.status_code, "No operation available" in unknown.text) == (500, True)
    kind = _soap(client, "<m:readMetadata><m:type>Layout</m:type><m:fullNames>x</m:fullNames></m:readMetadata>")
    assert (kind.status_code, "INVALID_TYPE" in kind.text) == (500, True)
    restricted = _soap(log_in(org, "restricted@practice.test"), "<m:describeMetadata/>")
    assert "INSUFFICIENT_ACCESS" in restricted.text
    org.control("POST", "salesforce/expire_sessions")
    expired = _soap(client, "<m:describeMetadata/>")
    assert (expired.status_code, "<sf:exceptionCode>INVALID_SESSION_ID</sf:exceptionCode>" in expired.text) == (
        500,
        True,
    )


XML = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
THING = f"""<CustomObject {XML}><label>Thing</label><pluralLabel>Things</pluralLabel>
<nameField><label>Thing No</label><type>AutoNumber</type><displayFormat>T-{{000}}</displayFormat></nameField>
<fields><fullName>Size__c</fullName><label>Size</label><type>Picklist</type><valueSet><restricted>true</restricted>
<valueSetDefinition><sorted>false</sorted><value><fullName>S</fullName><default>true</default><label>Small</label></value>
<value><fullName>L</fullName><default>false</default><label>Large</label></value></valueSetDefinition></valueSet></fields>
</CustomObject>"""


def _deploy(client: Client, files: dict[str, str], **options: str) -> str:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    chosen = "".join(f"<m:{name}>{value}</m:{name}>" for name, value in options.items())
    content = base64.b64encode(made.getvalue()).decode()
    body = f"<m:deploy><m:ZipFile>{content}</m:ZipFile><m:DeployOptions>{chosen}</m:DeployOptions></m:deploy>"
    answer = _soap(client, body, "60.0/deployRequest").text
    asked = re.search(r"<id>(0Af\w{15})</id>", answer)
    assert asked, answer
    check = (
        f"<m:checkDeployStatus><m:asyncProcessId>{asked[1]}</m:asyncProcessId>"
        "<m:includeDetails>true</m:includeDetails></m:checkDeployStatus>"
    )
    return _soap(client, check, f"60.0/deployRequest/{asked[1]}").text


def test_a_zip_is_deployed_whole_or_not_at_all(client: Client) -> None:
    package = f"<Package {XML}><version>60.0</version></Package>"
    permission = f"""<PermissionSet {XML}><label>Things</label>
    <fieldPermissions><editable>true</editable><field>Thing__c.Size__c</field><readable>true</readable></fieldPermissions>
    </PermissionSet>"""
    files = {
        "package.xml": package,
        "objects/Thing__c.object": THING,
        "permissionsets/Things.permissionset": permission,
    }
    checked = _deploy(client, files, checkOnly="true")
    assert ("<status>Succeeded</status>" in checked, "<checkOnly>true</checkOnly>" in checked) == (True, True)
    assert client.call("GET", "sobjects/Thing__c/describe").status_code == 404
    bad = {**files, "objects/Other__c.object": THING.replace("<type>Picklist</type>", "<type>Colour</type>")}
    failed = _deploy(client, bad, rollbackOnError="true")
    assert ("<status>Failed</status>" in failed, "FieldType" in failed) == (True, True)
    assert client.call("GET", "sobjects/Thing__c/describe").status_code == 404
    assert client.values("SELECT Id FROM PermissionSet WHERE Name = 'Things'") == []
    done = _deploy(client, files)
    assert ("<status>Succeeded</status>" in done, "<numberComponentsDeployed>3</numberComponentsDeployed>" in done) == (
        True,
        True,
    )
    assert client.call("POST", "sobjects/Thing__c", json={}).status_code == 201
    assert client.values("SELECT Name FROM Thing__c") == ["T-001"]
    members = "<types><members>Thing__c</members><name>CustomObject</name></types>"
    _deploy(client, {"package.xml": package, "destructiveChanges.xml": f"<Package {XML}>{members}</Package>"})
    assert client.call("GET", "sobjects/Thing__c/describe").status_code == 404


# -- control calls


def test_a_field_is_renamed_retyped_and_removed_without_moving_a_stamp(org: PracticeOrg, client: Client) -> None:
    field = {"name": "Score__c", "type": "Text", "length": 20}
    org.control("POST", "salesforce/fields", {"object": "Lead", "fields": [field]})
    org.create("Lead", [{"LastName": "L", "Company": "C", "Score__c": score} for score in ("81", "high", None)])
    before = client.rows("SELECT SystemModstamp FROM Lead ORDER BY Id")
    schema = client.call("GET", "sobjects/Lead/describe")
    org.advance(90)
    org.control("POST", "salesforce/rename_field", {"object": "Lead", "field": "Score__c", "name": "Fit__c"})
    assert client.query("SELECT Score__c FROM Lead").json()[0]["errorCode"] == "INVALID_FIELD"
    assert client.values("SELECT Fit__c FROM Lead ORDER BY Id") == ["81", "high", None]
    change = {"object": "Lead", "field": "Fit__c", "type": "Number", "precision": 5, "scale": 2}
    org.control("POST", "salesforce/retype_field", change)
    assert client.values("SELECT Fit__c FROM Lead ORDER BY Id") == [81.0, None, None]
    assert client.rows("SELECT SystemModstamp FROM Lead ORDER BY Id") == before
    since = {"If-Modified-Since": schema.headers["Last-Modified"]}
    assert client.call("GET", "sobjects/Lead/describe", headers=since).status_code == 200
    org.control("DELETE", "salesforce/fields", {"object": "Lead", "fields": ["Fit__c"]})
    assert "Fit__c" not in _fields(client)
    with pytest.raises(RuntimeError, match="has no custom field 'Email'"):
        org.control("DELETE", "salesforce/fields", {"object": "Lead", "fields": ["Email"]})


def test_a_field_stays_as_it_was_while_an_open_transaction_holds_one_of_its_records(
    org: PracticeOrg, client: Client
) -> None:
    org.control("POST", "salesforce/fields", {"object": "Lead", "fields": [{"name": "Score__c", "type": "Text"}]})
    (lead,) = org.create("Lead", [{"LastName": "Lovelace", "Company": "Acme", "Score__c": "81"}])
    late = {"object": "Lead", "records": [{"Id": lead, "Title": "CFO"}], "commit_after_seconds": 300}
    org.control("POST", "salesforce/update", late)
    change = {"object": "Lead", "field": "Score__c", "type": "Number", "precision": 5, "scale": 2}
    with pytest.raises(RuntimeError, match="UNABLE_TO_LOCK_ROW"):
        org.control("POST", "salesforce/retype_field", change)
    assert _fields(client)["Score__c"]["type"] == "string"
    assert client.values("SELECT Score__c FROM Lead") == ["81"]
    org.advance(300)
    org.control("POST", "salesforce/retype_field", change)
    assert client.values("SELECT Score__c FROM Lead") == [81.0]


def test_what_was_defined_survives_a_restart_and_what_was_removed_stays_removed(tmp_path: Path) -> None:
    fields = [{"name": f"{name}__c", "type": "Text", "length": 9} for name in ("Kept", "Gone", "Old")]
    with PracticeOrg(data=tmp_path) as org:
        org.control("POST", "salesforce/objects", {"name": "Thing__c", "fields": fields[:1]})
        org.control("POST", "salesforce/fields", {"object": "Lead", "fields": fields})
        org.control("POST", "salesforce/hide_fields", {"object": "Lead", "fields": ["Rating"]})
        org.control("DELETE", "salesforce/fields", {"object": "Lead", "fields": ["Gone__c"]})
        org.control("POST", "salesforce/rename_field", {"object": "Lead", "field": "Old__c", "name": "New__c"})
        org.control("POST", "salesforce/features", {"person_accounts": True, "currencies": {"EUR": 0.9}})
        before = Client(org).call("GET", "sobjects/Lead/describe").json()
    with PracticeOrg(data=tmp_path) as org:
        client = Client(org)
        after = client.call("GET", "sobjects/Lead/describe").json()
        assert after["fields"] == before["fields"]
        assert {"Kept__c", "New__c"} <= _fields(client).keys()
        assert not {"Gone__c", "Old__c", "Rating"} & _fields(client).keys()
        assert client.call("POST", "sobjects/Thing__c", json={"Kept__c": "x"}).status_code == 201
        assert org.control("GET", "salesforce/features") == {
            "person_accounts": True, "currency": "USD", "dated_rates": False,
        }  # fmt: skip
