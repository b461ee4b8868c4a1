"""
Compares the records that stand for a deal's touches with what they should be. Part of ``plan``, which calls it in its
transaction and puts the difference into the outbox.

Rows of these records are known in the outbox by our own key. One whose key is set from nothing comes into being, one
whose id is emptied is deleted.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from worker.core.deals import MINOR_DIGITS
from worker.core.reconcile.diff import Change, Wanted, diff
from worker.core.reconcile.rules import TouchRecordRules, fitted
from worker.core.reconcile.touch_records import CreditedTouch, Earned, is_ours, records_of
from worker.flows.attribute import TEAM
from worker.flows.run import Run
from worker.store import cursors, dues, findings, touch_records

# The states of a decision that gives a deal credit.
CREDITED: Final = ("Open", "Final", "Lost")
NEEDED: Final = ("createable", "updateable", "deletable")
LACKED: Final = {"createable": "Create", "updateable": "Edit", "deletable": "Delete"}
# The finding that stands while these records cannot be written.
NOT_WRITTEN: Final = "touch_records"


def differences(run: Run, connection: Connection, limit: int) -> tuple[int, dict[str, Sequence[Change]]]:
    """
    How many subjects were taken, at most ``limit``, and the changes of every record of their deals by key; an empty
    list where a record is as it should be.
    """
    rules = run.rules.write.touches
    refs = dues.take_of(connection, "plan", "touch_record", rules.parent_stream, limit)
    records = (
        dues.take_of(connection, "plan", "touch_record", rules.stream, limit - len(refs)) if len(refs) < limit else []
    )
    taken = len(refs) + len(records)
    described = _described(run.rules.write.touches, connection) if taken else None
    if described is None:
        return taken, {}
    refs = sorted({*refs, *touch_records.deals_of(connection, rules.stream, records)})
    return taken, _compared(run, connection, refs, described)


def why_not_written(rules: TouchRecordRules, known: Mapping[str, Any]) -> str | None:
    """
    Why the organisation, as its source last learned of it, takes no touch records; None where it takes them.
    """
    entry = known.get("objects", {}).get(rules.object, {})
    fields: Mapping[str, Mapping[str, Any]] = entry.get("fields", {})
    if not fields:
        return "is not there, or not visible to the integration user"
    hidden = [name for name in (rules.key_field, rules.parent_field) if name not in fields]
    if hidden:
        return f"does not show {' and '.join(hidden)}"
    lacking = [LACKED[trait] for trait in NEEDED if trait not in entry.get("traits", ())]
    if not fields[rules.key_field].get("updateable"):
        lacking.append(f"Edit on {rules.key_field}")
    return f"is not open to the integration user, which lacks {', '.join(lacking)} on it" if lacking else None


def _described(rules: TouchRecordRules, connection: Connection) -> Mapping[str, Mapping[str, Any]] | None:
    """
    The fields of the records that we may set; None where there is no such object, or where it is not ours to write: a
    finding says so, and whoever takes it away has all deals looked at again.
    """
    known = cursors.source_state(connection, rules.stream.split(".")[0])["known"]
    words = why_not_written(rules, known)
    if words is not None:
        findings.note(
            connection,
            NOT_WRITTEN,
            "HW-226",
            f"{rules.object} {words}: no touch records are written",
            [
                "sf project deploy start --source-dir config/salesforce   (then assign Headwater_Integration)",
                "headwater doctor",
                "Or set touch_records: {enabled: false} in fields.yaml",
            ],
        )
        return None
    fields = known["objects"][rules.object]["fields"]
    return {name: facts for name, facts in fields.items() if facts.get("updateable") or name == rules.parent_field}


def write_where_open(connection: Connection, rules: TouchRecordRules, known: Mapping[str, Any]) -> None:
    """
    Have all deals looked at where their records could not be written and now can: the object was deployed, or the right
    to it given, and no deal changes by that.
    """
    if why_not_written(rules, known) is None and findings.clear(connection, NOT_WRITTEN):
        touch_records.note_all_deals(connection, rules.parent_stream)


def _compared(
    run: Run, connection: Connection, refs: Sequence[str], described: Mapping[str, Mapping[str, Any]]
) -> dict[str, Sequence[Change]]:
    rules = run.rules.write.touches
    targets = run.rules.write.targets[rules.object]
    targets = fitted(targets, {name: int(facts.get("length", 0)) for name, facts in described.items()})
    since = months_before(run.now, rules.months_after_close)
    deals = {
        deal["opportunity_ref"]: deal
        for deal in touch_records.deals(connection, rules.parent_stream, refs)
        # A deal that closed too long ago is left as it is: time alone writes nothing, and deletes nothing either.
        if deal["closed_at"] is None or deal["closed_at"] >= since
    }
    wanted = _wanted(run, connection, deals)
    held = {
        each["key"]: each
        for each in touch_records.held(connection, rules.stream, list(deals))
        if is_ours(each["key"], each["opportunity_ref"])
    }
    readable = frozenset(described)
    changes: dict[str, Sequence[Change]] = {
        key: [] for key in touch_records.waiting_keys(connection, rules.object, refs)
    }
    for key in (*wanted, *(key for key in held if key not in wanted)):
        if key not in wanted:
            changes[key] = removal(held[key])
        elif key not in held:
            changes[key] = diff(wanted[key], {}, targets, readable)
        else:
            changes[key] = diff(wanted[key], held[key]["ours"], targets, readable)
    return changes


def _wanted(run: Run, connection: Connection, deals: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Wanted]]:
    rules = run.rules.write
    model = run.rules.write_model
    credited = [ref for ref, deal in deals.items() if deal["state"] in CREDITED]
    rows = touch_records.credits(connection, rules.touches.parent_stream, credited, model)
    wanted: dict[str, list[Wanted]] = {}
    for ref, of_deal in groupby(rows, key=lambda row: row["opportunity_ref"]):
        deal = deals[ref]
        version = deal["rule_version"]
        wanted |= records_of(
            ref,
            _touches(run, deal, list(of_deal)),
            most=rules.touches.most_a_deal,
            model=f"{model.replace('_', ' ').capitalize()} v{version}",
            reason=f"attribution rules v{version}: credit of the deal's touches",
            targets=rules.targets[rules.touches.object],
        )
    return wanted


def _touches(run: Run, deal: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[CreditedTouch]:
    currency = deal["currency"] or run.rules.currency
    digits = max(MINOR_DIGITS.get(currency, 2), deal["amount_scale"] or 0)
    corporate_digits = MINOR_DIGITS.get(run.rules.currency, 2)
    zone = ZoneInfo(run.rules.zone)

    def earned(credit: Mapping[str, Any]) -> Earned:
        amount = None if credit["units"] is None else Decimal(credit["units"]).scaleb(-digits)
        if currency == run.rules.currency:
            return Earned(Fraction(credit["share"]), amount, amount)
        units = credit.get("corporate_units")
        return Earned(
            Fraction(credit["share"]), amount, None if units is None else Decimal(units).scaleb(-corporate_digits)
        )

    touches = []
    for touch_id, of_touch in groupby(rows, key=lambda row: row["touch_id"]):
        clocks = {row["clock"]: row for row in of_touch}
        row = clocks.get("revenue") or clocks["pipeline"]
        touches.append(
            CreditedTouch(
                touch_id=touch_id,
                occurred_at=row["occurred_at"],
                touched_on=row["occurred_at"].astimezone(zone).date(),
                pipeline=earned(clocks["pipeline"]["credit"]) if "pipeline" in clocks else Earned(),
                revenue=earned(clocks["revenue"]["credit"]) if "revenue" in clocks else Earned(),
                positions=row["positions"],
                type=_label(run, row["type"]),
                channel=row["channel"],
                offer=row["offer"],
                team=TEAM.get(row["team"], row["team"]),
                contact_ref=row["contact_ref"],
                campaign_ref=row["campaign_ref"],
            )
        )
    return touches


def _label(run: Run, name: str | None) -> str | None:
    # A label that stands around its offer ("{offer} page") is no word for the kind of touch.
    found = run.rules.touchpoints.types.get(name or "")
    return name if found is None or "{" in found.label else found.label


def removal(record: Mapping[str, Any]) -> list[Change]:
    """
    The deletion of a record, with all that it holds, so that it can be made again.
    """
    reason = "the deal's credit has no such touch any more"
    kept = [Change(field, value, None, reason) for field, value in sorted(record["ours"].items()) if value is not None]
    return [Change("Id", record["record_id"], None, reason), *kept]


def months_before(at: datetime, months: int) -> datetime:
    """
    The same instant so many months earlier; days after the 28th count as the 28th.
    """
    year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, 28))
