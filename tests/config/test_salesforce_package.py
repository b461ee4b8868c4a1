"""
The shipped Salesforce package held against the rules: what is written exists there, can be written, and is explained.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from config.rulefiles import load_rules
from config.rules_fields import PICKLISTS, FieldType, WriteTarget
from worker.connectors.salesforce.doctor import PACKAGE_FIELDS
from worker.connectors.salesforce.mapping import OBJECTS

PROJECT = Path(__file__).parents[2] / "config" / "salesforce"
SOURCE = PROJECT / "force-app" / "main" / "default"
NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
OUR_OBJECT = "HW_Touch__c"

# Salesforce's own limits of its metadata, as documented in summer 2026.
MOST_HELP, MOST_DESCRIPTION, MOST_LABEL, MOST_SET_DESCRIPTION = 510, 1_000, 40, 255


class Element:
    """
    One element of metadata, asked by path without the namespace.
    """

    def __init__(self, element: ET.Element) -> None:
        self.element = element

    def text(self, path: str) -> str | None:
        found = self.element.find("/".join(NAMESPACE + part for part in path.split("/")))
        return None if found is None else (found.text or "")

    def all(self, path: str) -> "list[Element]":
        return [Element(each) for each in self.element.findall("/".join(NAMESPACE + part for part in path.split("/")))]


def read(path: Path, root: str) -> Element:
    element = ET.parse(path).getroot()  # noqa: S314 - the files are our own
    assert element.tag == NAMESPACE + root, path
    return Element(element)


def fields() -> Iterator[tuple[str, Element]]:
    for path in sorted(SOURCE.glob("objects/*/fields/*.field-meta.xml")):
        field = read(path, "CustomField")
        assert field.text("fullName") == path.name.removesuffix(".field-meta.xml")
        yield f"{path.parts[-3]}.{field.text('fullName')}", field


FIELDS = dict(fields())
TARGETS = {
    f"{name}.{target.field}": (name, ours, target)
    for name, targets in load_rules().fields.write.items()
    for ours, target in targets.items()
}


def permission_set(name: str) -> Element:
    return read(SOURCE / "permissionsets" / f"{name}.permissionset-meta.xml", "PermissionSet")


def field_permissions(name: str) -> dict[str, bool]:
    """
    Field -> whether it may be edited; every one of them may be read.
    """
    permissions = permission_set(name).all("fieldPermissions")
    assert all(each.text("readable") == "true" for each in permissions)
    granted = {str(each.text("field")): each.text("editable") == "true" for each in permissions}
    assert len(granted) == len(permissions), "no field is named twice"
    return granted


def object_permissions(name: str) -> dict[str, dict[str, str]]:
    return {
        str(each.text("object")): {
            child.tag.removeprefix(NAMESPACE): child.text or "" for child in each.element if child.text
        }
        for each in permission_set(name).all("objectPermissions")
    }


def type_of(field: Element) -> FieldType:
    kind = field.text("type")
    if kind == "Text":
        return FieldType.model_validate(f"Text({field.text('length')})")
    if kind in ("Number", "Percent", "Currency"):
        return FieldType.model_validate(f"{kind}({field.text('precision')},{field.text('scale')})")
    if kind in ("Lookup", "MasterDetail"):
        return FieldType.model_validate(f"{kind}({field.text('referenceTo')})")
    return FieldType.model_validate(kind)


def test_every_file_of_the_package_is_well_formed() -> None:
    files = [path for path in SOURCE.rglob("*") if path.is_file()]
    assert len(files) > 40
    for path in files:
        assert path.name.endswith("-meta.xml"), path
        ET.parse(path)  # noqa: S314 - the files are our own


def test_the_rules_and_the_package_have_the_same_fields() -> None:
    assert set(TARGETS) == set(FIELDS)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_field_that_the_rules_write_is_of_that_type_and_length(name: str) -> None:
    target = TARGETS[name][2]
    assert type_of(FIELDS[name]) == target.type


def test_a_picklist_takes_any_value_and_offers_ours_in_our_order() -> None:
    picklists = {name: field for name, field in FIELDS.items() if field.text("type") == "Picklist"}
    assert len(picklists) == len(PICKLISTS)
    for name, field in picklists.items():
        assert field.text("valueSet/restricted") == "false", name
        values = tuple(each.text("fullName") for each in field.all("valueSet/valueSetDefinition/value"))
        target_object, ours, _ = TARGETS[name]
        assert values == PICKLISTS[target_object, ours], name
        assert field.text("valueSet/valueSetDefinition/sorted") == "false"


def test_every_field_explains_itself_to_people_and_to_administrators() -> None:
    for name, field in FIELDS.items():
        label, help_text, description = (field.text(part) or "" for part in ("label", "inlineHelpText", "description"))
        assert 0 < len(label) <= MOST_LABEL, name
        assert 15 <= len(help_text) <= MOST_HELP, name
        assert 15 <= len(description) <= MOST_DESCRIPTION, name
        assert not re.search(r"\b(JSON|API|null|boolean|external id)\b", help_text), f"{name}: help is for people"


def test_nothing_of_ours_is_required_of_anybody() -> None:
    for name, field in FIELDS.items():
        assert field.text("required") in (None, "false"), name
        if field.text("type") == "Lookup":
            assert field.text("deleteConstraint") == "SetNull", name
        if field.text("type") == "Checkbox":
            assert field.text("defaultValue") == "false", name


def test_a_touch_hangs_on_its_deal_and_reading_the_deal_is_enough_to_write_it() -> None:
    master = FIELDS[f"{OUR_OBJECT}.HW_Opportunity__c"]
    assert master.text("type") == "MasterDetail"
    assert master.text("writeRequiresMasterRead") == "true"
    assert master.text("reparentableMasterDetail") == "false"
    touch = read(SOURCE / "objects" / OUR_OBJECT / f"{OUR_OBJECT}.object-meta.xml", "CustomObject")
    assert touch.text("sharingModel") == "ControlledByParent"
    assert touch.text("deploymentStatus") == "Deployed"
    assert {touch.text(f"enable{what}") for what in ("BulkApi", "Sharing", "StreamingApi")} == {"true"}


def test_only_the_key_of_a_touch_is_an_external_id_and_unique() -> None:
    keys = [name for name, field in FIELDS.items() if field.text("externalId") == "true"]
    assert keys == [f"{OUR_OBJECT}.HW_Key__c"]
    assert [name for name, (_, _, target) in TARGETS.items() if target.external_id] == keys
    assert [name for name, field in FIELDS.items() if field.text("unique") == "true"] == keys


def test_relationship_names_are_unique_on_the_object_they_lead_to() -> None:
    names = [(field.text("referenceTo"), field.text("relationshipName")) for field in FIELDS.values()]
    relations = [each for each in names if each[0]]
    assert len(relations) == len(set(relations)) == 4


def grantable(names: set[str]) -> set[str]:
    """
    Without masters, which everybody who sees the record sees: Salesforce refuses a permission set that names one.
    """
    return {name for name in names if name not in FIELDS or FIELDS[name].text("type") != "MasterDetail"}


def test_the_integration_user_may_edit_all_our_fields_and_no_other() -> None:
    granted = field_permissions("Headwater_Integration")
    assert {name for name, editable in granted.items() if editable} == grantable(set(FIELDS))


def test_the_integration_user_may_make_and_delete_touch_records_alone_and_has_no_right_over_the_whole_org() -> None:
    objects = object_permissions("Headwater_Integration")
    for name, rights in objects.items():
        assert rights["modifyAllRecords"] == "false", name
        assert rights["allowRead"] == "true", name
        assert rights["allowCreate"] == rights["allowDelete"] == ("true" if name == OUR_OBJECT else "false"), name
    # Salesforce deploys no Delete without Edit and Read, and no right to a touch without Read on its deal.
    assert {objects[OUR_OBJECT][right] for right in ("allowRead", "allowEdit", "allowDelete")} == {"true"}
    assert objects["Opportunity"]["allowRead"] == "true"
    assert {name for name, rights in objects.items() if rights["allowEdit"] == "true"} == {
        name for name, _, _ in TARGETS.values()
    }
    assert {each.text("name") for each in permission_set("Headwater_Integration").all("userPermissions")} == {
        "ActivitiesAccess",
        "ApiEnabled",
    }


# Fields that need no grant: system fields, required ones, and those of objects without field permissions. As recorded
# from describes of a real org ("permissionable": false).
UNGRANTABLE = frozenset(
    {"Name", "FirstName", "LastName", "Id", "IsDeleted", "MasterRecordId", "OwnerId", "CreatedDate", "CurrencyIsoCode"}
    | {"RecordTypeId", "Company", "Status", "StageName", "CloseDate", "IsClosed", "IsWon", "IsConverted"}
    | {"ConvertedDate", "ConvertedAccountId", "ConvertedContactId", "ConvertedOpportunityId"}
    | {"ActivityDate", "ActivityDateTime", "CompletedDateTime", "TaskSubtype", "AccountId"}
    | {"IsPersonAccount", "PersonContactId"}
)
WITHOUT_FIELD_PERMISSIONS = frozenset(
    {
        "User",
        "OpportunityStage",
        "OpportunityHistory",
        "OpportunityContactRole",
        "CampaignMember",
        "CampaignMemberStatus",
        "OpportunityFieldHistory",
        "LeadHistory",
        "RecordType",
        "UserRole",
        "Group",
        "Period",
        "BusinessHours",
        "CurrencyType",
        "DatedConversionRate",
        "Organization",
    }
)
COMPOUND = {
    **{f"Lead.{part}": "Lead.Address" for part in ("Street", "City", "State", "PostalCode", "Country")},
    **{
        f"Contact.Mailing{part}": "Contact.MailingAddress"
        for part in ("Street", "City", "State", "PostalCode", "Country")
    },
    **{f"Account.Billing{part}": "Account.BillingAddress" for part in ("City", "Country")},
}


def test_the_integration_user_may_read_everything_that_is_read() -> None:
    granted = set(field_permissions("Headwater_Integration"))
    needed = set()
    for source in OBJECTS.values():
        if source.object_name in WITHOUT_FIELD_PERMISSIONS:
            continue
        names = {candidates[0] for candidates in source.columns.values()} | set(source.inputs)
        grants = {"AccountId"} if source.object_name in ("Contact", "Opportunity") else set()
        grants |= {"Status"} if source.object_name == "Campaign" else set()
        needed |= {f"{source.object_name}.{name}" for name in names - (UNGRANTABLE - grants)}
    assert {COMPOUND.get(name, name) for name in needed} <= granted


def test_the_custom_permission_for_exemptions_exists_and_the_integration_user_holds_it() -> None:
    permission = read(SOURCE / "customPermissions" / "Headwater_Exempt.customPermission-meta.xml", "CustomPermission")
    assert "$Permission.Headwater_Exempt" in (permission.text("description") or "")
    held = permission_set("Headwater_Integration").all("customPermissions")
    assert [(each.text("name"), each.text("enabled")) for each in held] == [("Headwater_Exempt", "true")]


@pytest.mark.parametrize("name", ["Headwater_Sales", "Headwater_Marketing"])
def test_people_see_our_fields_and_change_nothing(name: str) -> None:
    granted = field_permissions(name)
    assert not any(granted.values())
    hidden = {f"{OUR_OBJECT}.HW_Key__c"} if name == "Headwater_Sales" else set()
    assert set(granted) == grantable(set(FIELDS)) - hidden
    for rights in object_permissions(name).values():
        assert {right for right, value in rights.items() if value == "true"} == {"allowRead"}
    assert permission_set(name).all("userPermissions") == []


@pytest.mark.parametrize("name", ["Headwater_Integration", "Headwater_Sales", "Headwater_Marketing"])
def test_a_permission_set_says_what_it_is_for_in_the_length_that_salesforce_takes(name: str) -> None:
    assert 30 <= len(permission_set(name).text("description") or "") <= MOST_SET_DESCRIPTION


@pytest.mark.parametrize("name", ["Headwater_Integration", "Headwater_Sales", "Headwater_Marketing"])
def test_rights_come_with_the_rights_that_salesforce_says_they_need(name: str) -> None:
    objects = set(object_permissions(name))
    assert {"Account", "Opportunity"} <= objects, "a touch needs its deal, and a deal its account"


def test_doctor_knows_the_fields_as_the_package_has_them() -> None:
    kinds = {"Checkbox": "boolean", "Text": "string", "Number": "double", "Lookup": "reference"}
    for name, (_, _, target) in TARGETS.items():
        field = name.split(".")[1]
        if field in PACKAGE_FIELDS:
            kind = kinds.get(target.type.kind, target.type.kind.lower())
            assert PACKAGE_FIELDS[field] == (kind, target.type.length), name


def test_the_project_file_names_the_package_and_the_version_of_the_rules() -> None:
    project = json.loads((PROJECT / "sfdx-project.json").read_text(encoding="utf-8"))
    assert project["sourceApiVersion"] == load_rules().service.salesforce.api_version
    (package,) = project["packageDirectories"]
    assert (PROJECT / package["path"]).is_dir()


def test_the_engaged_until_date_is_rewritten_only_when_it_moves_a_week() -> None:
    moves = {ours: target.min_move_days for _, ours, target in TARGETS.values() if target.min_move_days}
    assert moves == {"engaged_until": 7}
    assert isinstance(TARGETS["Account.HW_Engaged_Until__c"][2], WriteTarget)
