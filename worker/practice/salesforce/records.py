"""
Writing records: what an org checks, computes and stamps on create, update, upsert and delete.

Everything runs inside a transaction of ``Database.write`` opened by the caller; a refused record raises ``RowError``
and its savepoint is rolled back, so callers decide whether the others stand. Stamps come from the practice clock, in
whole seconds. The privileged inserts and updates of the control API are in ``loading.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.derive import Facts, Saving, derive
from worker.practice.salesforce.errors import RowError
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.persons import (
    check_person,
    create_contact,
    refuse_contact,
    renamed,
    take_person,
    update_contact,
)
from worker.practice.salesforce.rows import Values, fetch, insert, update_changed
from worker.practice.salesforce.rules import duplicate_details, validation_refusal
from worker.practice.salesforce.schema import Field, Schema, SObject
from worker.practice.salesforce.soql.compiler import compile_query
from worker.practice.salesforce.soql.parser import parse
from worker.practice.salesforce.values import stamp, store

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org

AUDIT_FIELDS = frozenset({"createddate", "createdbyid", "lastmodifieddate", "lastmodifiedbyid"})
ASSIGNABLE = frozenset({"Lead", "Account", "Case"})
HISTORY_FIELDS = ("StageName", "Amount", "Probability", "CloseDate")


@dataclass(frozen=True)
class Caller:
    """
    Who writes, and what the request's headers ask for. ``auto_assign`` is true where the header is absent;
    ``allow_duplicates`` overrides duplicate rules that only alert; ``at`` is the stamp of a
    transaction that covers many records (None: the present second).
    """

    user_id: str
    auto_assign: bool = True
    allow_duplicates: bool = False
    at: str | None = None


class Records:
    """
    The writes of one org.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org

    # -- the four verbs

    def create(self, sobject: SObject, given: Mapping[str, Any], caller: Caller) -> str:
        """
        Insert a record and return its id. Raises ``RowError``.
        """
        if not sobject.createable:
            raise RowError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type {sobject.name} cannot be inserted")
        if self.org.settings.storage_full:
            raise RowError("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded")
        with self.org.database.write() as connection:
            now = caller.at or self.now()
            values = self.read_values(sobject, given, caller, creating=True)
            person = take_person(sobject, values)
            check_person(self.org, sobject, values, person)
            names = frozenset(name.lower() for name in values)
            if sobject.name in ASSIGNABLE and caller.auto_assign:
                owner = self.org.rules.owner_by_assignment(sobject.name)
                if owner is not None:
                    values["OwnerId"] = owner
            self.fill_defaults(sobject, values, caller.user_id, now)
            self.check_required(sobject, values)
            self.check_references(sobject, values)
            saving = Saving(values, None, names, now)
            derive(sobject.name, saving, self.facts())
            self.check_unique(sobject, values, None)
            self.check_duplicates(sobject, values, None, caller)
            self.check_locks([values.get(name) for name in _parents(sobject)], now)
            self.org.rules.validate(sobject.name, values)
            values["Id"] = self.org.ids.take(sobject.prefix)[0]
            insert(connection, sobject, values)
            self.after_save(sobject, values)
            if person:
                create_contact(self.org, values, person)
            self.after_create(sobject, values, caller, now)
            return str(values["Id"])

    def update(self, sobject: SObject, record_id: str, given: Mapping[str, Any], caller: Caller) -> None:
        """
        Change a record. Raises ``RowError``.
        """
        if not sobject.updateable:
            raise RowError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type {sobject.name} cannot be updated")
        with self.org.database.write() as connection:
            now = caller.at or self.now()
            old = self.present(sobject, record_id, caller)
            if sobject.name == "Lead" and old["IsConverted"] and not self.org.settings.edit_converted_leads:
                raise RowError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
            if sobject.name == "Contact":
                refuse_contact(old)
            changes = self.read_values(sobject, given, caller, creating=False)
            person = take_person(sobject, changes)
            if person:
                changes["Name"] = renamed(self.org, old, person)
            if sobject.name in ASSIGNABLE and caller.auto_assign:
                owner = self.org.rules.owner_by_assignment(sobject.name)
                if owner is not None:
                    changes["OwnerId"] = owner
            self.check_references(sobject, changes)
            names = frozenset(name.lower() for name in changes)
            new = {**old, **changes, "LastModifiedById": caller.user_id, "LastModifiedDate": now, "SystemModstamp": now}
            self.check_required(sobject, new)
            derive(sobject.name, Saving(new, old, names, now), self.facts())
            self.check_unique(sobject, changes, record_id)
            self.check_duplicates(sobject, new, record_id, caller)
            self.check_locks([record_id, *(new.get(name) for name in _parents(sobject))], now)
            self.org.rules.validate(sobject.name, new)
            update_changed(connection, sobject, old, new)
            self.after_save(sobject, new)
            if old.get("IsPersonAccount") and sobject.name == "Account":
                update_contact(self.org, new, person)
            self.after_update(sobject, old, new, caller, now)

    def delete(self, sobject: SObject, record_id: str, caller: Caller) -> None:
        """
        Delete a record and what hangs on it. Raises ``RowError``.
        """
        if not sobject.deletable:
            raise RowError("INSUFFICIENT_ACCESS_OR_READONLY", f"entity type {sobject.name} cannot be deleted")
        with self.org.database.write():
            self.present(sobject, record_id, caller)
            self.check_locks([record_id], self.now())
            self.org.bin.delete(sobject, [record_id], caller.user_id, self.now())

    def upsert(
        self, sobject: SObject, key: Field, value: Any, given: Mapping[str, Any], caller: Caller
    ) -> tuple[str, bool]:
        """
        Update the record whose ``key`` has ``value``, or insert one; its id and whether it is new. Raises ``RowError``
        (DUPLICATE_EXTERNAL_ID with the ids in ``fields`` when several match).
        """
        with self.org.database.write():
            others = {name: each for name, each in given.items() if name.lower() != key.name.lower()}
            if key.name == "Id":
                record_id = to18(str(value)) if value else None
                if value and record_id is None:
                    raise RowError("MALFORMED_ID", f"Record ID: id value of incorrect type: {value}", ["Id"])
                if record_id is None:
                    return self.create(sobject, others, caller), True
                self.update(sobject, record_id, others, caller)
                return record_id, False
            wanted = store(key, value)
            if wanted is None:
                raise RowError("MISSING_ARGUMENT", f"{key.name} not specified")
            found = self.find_by(sobject, key, wanted)
            if len(found) > 1:
                words = f"{key.name}: more than one record found for external id field: {found}"
                raise RowError("DUPLICATE_EXTERNAL_ID", words, found)
            if found:
                self.update(sobject, found[0], others, caller)
                return found[0], False
            return self.create(sobject, {**others, key.name: value}, caller), True

    # -- reading what was sent

    def read_values(self, sobject: SObject, given: Mapping[str, Any], caller: Caller, *, creating: bool) -> Values:
        """
        The caller's values in stored form under the fields' own names. Raises ``RowError``.
        """
        values: Values = {}
        refused: list[str] = []
        schema = self.org.schema_for(caller.user_id)
        for name, value in given.items():
            if name.lower() in {"attributes", "id"}:
                continue
            found = schema.visible(sobject, name)
            if found is None:
                reference = _relationship(sobject, name)
                if reference is None or not isinstance(value, Mapping):
                    raise RowError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")
                values[reference.name] = self.by_foreign_key(schema, reference, value)
                continue
            if not self.writable(found, creating=creating):
                refused.append(found.name)
                continue
            values[found.name] = store(found, value)
        if refused:
            words = (
                f"Unable to create/update fields: {', '.join(refused)}. Please check the security settings of this "
                "field and verify that it is read/write for your profile or permission set."
            )
            raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", words, refused)
        return values

    def writable(self, found: Field, *, creating: bool) -> bool:
        """
        Whether the calling user may set the field. Audit fields may be set on creation where the org allows it.
        """
        if creating and found.name.lower() in AUDIT_FIELDS:
            return self.org.settings.audit_fields_settable
        return found.createable if creating else found.updateable

    def by_foreign_key(self, schema: Schema, reference: Field, given: Mapping[str, Any]) -> str:
        """
        The id behind ``{"Account": {"External__c": "A-17"}}``. Raises ``RowError``.
        """
        named = [(name, value) for name, value in given.items() if name != "attributes"]
        for target in (schema.get(each) for each in reference.reference_to):
            if target is None or len(named) != 1:
                continue
            key = schema.visible(target, named[0][0])
            if key is not None and (key.id_lookup or key.external_id):
                found = self.find_by(target, key, store(key, named[0][1]))
                if len(found) == 1:
                    return found[0]
                words = f"Foreign key external ID: {named[0][1]} not found for field {key.name} in entity {target.name}"
                raise RowError("INVALID_FIELD", words)
        raise RowError("INVALID_FIELD", f"{reference.relationship}: not a foreign key lookup", [reference.name])

    def find_by(self, sobject: SObject, key: Field, value: Any) -> list[str]:
        """
        The ids of undeleted records whose ``key`` has the stored ``value``.
        """
        alive = " AND IsDeleted = 0" if sobject.soft_deletes else ""
        rows = self.org.database.writer.execute(
            f'SELECT Id FROM "{sobject.name}" WHERE "{key.name}" = ?{alive} LIMIT 10', (value,)
        )
        return [row[0] for row in rows]

    def present(self, sobject: SObject, record_id: str, caller: Caller) -> Values:
        """
        The stored values of a record that is there, not deleted, and shared with the caller. Raises ``RowError``.
        """
        found = fetch(self.org.database.writer, sobject, record_id)
        if found is None or not self.is_shared(sobject, record_id, caller.user_id):
            raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if found.get("IsDeleted"):
            raise RowError("ENTITY_IS_DELETED", "entity is deleted")
        return found

    def is_shared(self, sobject: SObject, record_id: str, user_id: str) -> bool:
        """
        Whether the user may see a record that is there.
        """
        restriction = self.org.schema_for(user_id).restriction(sobject, "t")
        if not restriction:
            return True
        statement = f'SELECT 1 FROM "{sobject.name}" t WHERE t.Id = ? AND ({restriction})'
        return self.org.database.reader.execute(statement, (record_id,)).fetchone() is not None

    # -- checks

    def fill_defaults(self, sobject: SObject, values: Values, user_id: str, now: str) -> None:
        """
        Defaults and audit fields of a new record, where the writer did not give them.
        """
        for each in sobject.stored_fields:
            if each.name in values:
                continue
            if each.type == "boolean":
                values[each.name] = int(bool(each.default))
            elif each.default is not None:
                values[each.name] = each.default
            elif each.auto_number is not None:
                values[each.name] = self.org.next_number(sobject, each)
        for name, value in (
            ("OwnerId", user_id),
            ("CurrencyIsoCode", self.org.default_currency(user_id) if "currencyisocode" in sobject.fields else None),
            ("CreatedById", user_id),
            ("CreatedDate", now),
            ("LastModifiedById", user_id),
            ("LastModifiedDate", values.get("CreatedDate", now)),
            ("SystemModstamp", now),
        ):
            if name.lower() in sobject.fields and values.get(name) is None:
                values[name] = value
        if sobject.custom and values.get("Name") is None and "name" in sobject.fields:
            values["Name"] = None

    def check_required(self, sobject: SObject, values: Values) -> None:
        missing = [
            each.name
            for each in sobject.fields.values()
            if each.stored and not each.nillable and each.createable and each.type != "boolean"
            and values.get(each.name) is None and not (each.defaulted and each.default is None)
        ]  # fmt: skip
        if sobject.name == "CampaignMember" and not (values.get("LeadId") or values.get("ContactId")):
            missing.append("LeadId")
        if missing:
            words = f"Required fields are missing: [{', '.join(missing)}]"
            raise RowError("REQUIRED_FIELD_MISSING", words, missing)

    def check_references(self, sobject: SObject, values: Values) -> None:
        for name, value in values.items():
            each = sobject.get(name)
            if value is None or each is None or each.type != "reference":
                continue
            target = self.org.schema.of_id(value)
            if target is None or target.name not in each.reference_to:
                words = f"{each.label}: id value of incorrect type: {value}"
                raise RowError("FIELD_INTEGRITY_EXCEPTION", words, [each.name])
            found = fetch(self.org.database.writer, target, value, columns=("Id", *_deleted_column(target)))
            if found is None:
                raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [each.name])
            if found.get("IsDeleted"):
                raise RowError("ENTITY_IS_DELETED", "entity is deleted", [each.name])

    def check_unique(self, sobject: SObject, values: Values, record_id: str | None) -> None:
        for name, value in values.items():
            each = sobject.get(name)
            if value is None or each is None or not each.unique:
                continue
            other = next((found for found in self.find_by(sobject, each, value) if found != record_id), None)
            if other is not None:
                words = f"duplicate value found: {each.name} duplicates value on record with id: {other[:15]}"
                raise RowError("DUPLICATE_VALUE", words)
        if sobject.name == "CampaignMember" and record_id is None:
            for name in ("LeadId", "ContactId"):
                if (
                    values.get(name)
                    and self.org.database.writer.execute(
                        f'SELECT 1 FROM "CampaignMember" WHERE CampaignId = ? AND "{name}" = ? AND IsDeleted = 0',
                        (values["CampaignId"], values[name]),
                    ).fetchone()
                ):
                    raise RowError("DUPLICATE_VALUE", "Already a campaign member.")

    def check_duplicates(self, sobject: SObject, record: Values, record_id: str | None, caller: Caller) -> None:
        """
        Refuse a record that a duplicate rule finds another one for. An alerting rule gives way to the caller's wish.
        """
        for rule in self.org.rules.duplicates:
            value = record.get(rule["field"])
            if (
                rule["object"] != sobject.name
                or value is None
                or (rule["action"] == "alert" and caller.allow_duplicates)
            ):
                continue
            found = [each for each in self.find_by(sobject, sobject[rule["field"]], value) if each != record_id]
            if found:
                more = duplicate_details(sobject.name, rule, found)
                raise RowError("DUPLICATES_DETECTED", "Use one of these records?", (), more)

    def check_locks(self, ids: Sequence[str | None], now: str) -> None:
        """
        Refuse a write in the way of a lock or an open transaction, and any write while the org is read-only. The record
        itself comes first, then its parents. Raises ``RowError``.
        """
        if self.org.settings.read_only:
            words = "Updates can not be made during maintenance."
            raise RowError("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", words)
        self.org.late.check(ids)
        self.org.rules.check_locks(ids, now)

    def after_save(self, sobject: SObject, saved: Values) -> None:
        """
        What the org does with a record just saved: asks the validation rules that are conditions, then runs flows,
        whose changes are stored too. Raises ``RowError``.
        """
        for rule in self.org.rules.conditions(sobject.name):
            if self.is_true_of(sobject, str(rule["where"]), str(saved["Id"])):
                raise validation_refusal(rule)
        changes = self.org.rules.after_save(sobject.name, saved)
        if changes:
            stored = {sobject[name].name: store(sobject[name], value) for name, value in changes.items()}
            update_changed(self.org.database.writer, sobject, dict(saved), {**saved, **stored})
            saved |= stored

    def is_true_of(self, sobject: SObject, condition: str, record_id: str) -> bool:
        """
        Whether a SOQL condition holds of a record. Raises ``ApiError`` for one that is no condition.
        """
        query = parse(f"SELECT Id FROM {sobject.name} WHERE ({condition})")
        compiled = compile_query(self.org.asker(self.org.admin_id), query, all_rows=True)
        compiled.where += " AND t.Id = ?"
        found = self.org.database.writer.execute(compiled.statement(), [*compiled.parameters, record_id]).fetchone()
        return found is not None

    def facts(self) -> Facts:
        """
        What ``derive`` needs to know, read through the writing connection.
        """
        return self.org.facts()

    # -- what follows a write

    def after_create(self, sobject: SObject, values: Values, caller: Caller, now: str) -> None:
        match sobject.name:
            case "Opportunity":
                self.org.history.write(values, None, caller.user_id, values["CreatedDate"])
                if values.get("ContactId"):
                    role = {"OpportunityId": values["Id"], "ContactId": values["ContactId"], "IsPrimary": True}
                    self.create(self.org.schema["OpportunityContactRole"], role, caller)
            case "OpportunityContactRole":
                self.single_primary(values)
            case "Campaign":
                self.org.add_member_statuses(values["Id"], caller.user_id, now)
            case "Task" | "Event":
                self.touch_parents(values, now)

    def after_update(self, sobject: SObject, old: Values, new: Values, caller: Caller, now: str) -> None:
        match sobject.name:
            case "Opportunity":
                self.org.history.write(new, old, caller.user_id, now)
            case "OpportunityContactRole":
                self.single_primary(new)
            case "Task" | "Event":
                self.touch_parents(new, now)

    def single_primary(self, role: Values) -> None:
        """
        An opportunity has at most one primary contact role: the one just saved.
        """
        if role.get("IsPrimary"):
            self.org.database.writer.execute(
                'UPDATE "OpportunityContactRole" SET IsPrimary = 0, SystemModstamp = ?, LastModifiedDate = ? '
                "WHERE OpportunityId = ? AND IsPrimary = 1 AND Id <> ?",
                (role["SystemModstamp"], role["SystemModstamp"], role["OpportunityId"], role["Id"]),
            )

    def touch_parents(self, activity: Values, now: str) -> None:
        """
        An activity moves LastActivityDate of whom it is about, which moves SystemModstamp and nothing else.
        """
        day = activity.get("ActivityDate")
        if not day or day > now[:10]:
            return
        for record_id in {activity.get("WhoId"), activity.get("WhatId"), activity.get("AccountId")} - {None}:
            target = self.org.schema.of_id(str(record_id))
            if target is not None and target.get("LastActivityDate"):
                self.org.database.writer.execute(
                    f'UPDATE "{target.name}" SET LastActivityDate = ?, SystemModstamp = ? '
                    "WHERE Id = ? AND (LastActivityDate IS NULL OR LastActivityDate < ?)",
                    (day, now, record_id, day),
                )

    def now(self) -> str:
        """
        The practice clock as a stamp.
        """
        return stamp(self.org.clock.now())


def _parents(sobject: SObject) -> list[str]:
    return [each.name for each in sobject.fields.values() if each.cascade]


def _deleted_column(sobject: SObject) -> tuple[str, ...]:
    return ("IsDeleted",) if sobject.soft_deletes else ()


def _relationship(sobject: SObject, name: str) -> Field | None:
    return next(
        (each for each in sobject.fields.values() if each.relationship and each.relationship.lower() == name.lower()),
        None,
    )
