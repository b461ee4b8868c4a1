"""
``headwater why --as-of`` and ``--since``: what held at a past moment, and what changed it, in the words of ``why``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import polars as pl

from worker.cli.money import money
from worker.cli.output import table
from worker.cli.why_account import points
from worker.core.attribution.moved import named
from worker.core.errors import Fatal
from worker.core.instants import to_the_minute
from worker.core.steps import Line, lines
from worker.core.touchpoints.duplicates import standing as standing_of
from worker.flows.as_of import Credited, Hindsight, Moment, credit_as
from worker.flows.reclassify import classified
from worker.flows.replay import AccountsPast, Engaged, engaged_of, flags_as_known_now, flags_as_known_then
from worker.flows.since import Since, credits_since, flag_since
from worker.store import views

SHOWN: Final = 10
NEVER_WRITTEN: Final = ("written", "to_write")
TODAYS: Final = "what is not dated is as it is today"


def as_of(hindsight: Hindsight, kind: str, golden_id: int, moment: Moment) -> dict[str, Any]:
    """
    ``views.why`` of a record with everything decided about it put back to a moment, and ``as_of``: the instant, the
    sense, the rules, and what cannot be known. Raises Fatal HW-182 for an instant that is yet to come.
    """
    hindsight.expect_past(moment.at)
    answer = views.why(hindsight.connection, kind, golden_id)
    for name in (*NEVER_WRITTEN, "turns", "verdicts"):
        answer.pop(name, None)
    rules = hindsight.rules_at(moment.at)
    unknown = hindsight.not_fed_yet(moment.at)
    put_back: Callable[..., Iterator[str]] = {"account": _account, "opportunity": _deal, "person": _person}[kind]
    unknown += put_back(hindsight, golden_id, moment, answer)
    answer["as_of"] = {
        "at": views.plain(moment.at),
        "sense": moment.sense,
        "rules": rules.version,
        "not_known": unknown,
    }
    return answer


def since(hindsight: Hindsight, kind: str, golden_id: int, at: datetime) -> tuple[dict[str, Any], Since]:
    """
    Who it is (kind, id, name), and what changed. Raises Fatal HW-182 for an instant that is yet to come, HW-183 for a
    person, about whom nothing is decided that changes.
    """
    hindsight.expect_past(at)
    answer = views.why(hindsight.connection, kind, golden_id)
    who = {name: answer[name] for name in ("kind", "id", "name")}
    if kind == "account":
        return who, flag_since(hindsight, AccountsPast(hindsight, [golden_id]), at)
    if kind == "opportunity":
        return who, credits_since(hindsight, golden_id, at)
    raise Fatal(
        "HW-183",
        f"{answer['name']} is a person; flags, stages and credits belong to accounts and deals",
        actions=["headwater why ACCOUNT --since INSTANT", "headwater why DEAL --since INSTANT"],
    )


def _account(hindsight: Hindsight, golden_id: int, moment: Moment, answer: dict[str, Any]) -> Iterator[str]:
    accounts = AccountsPast(hindsight, [golden_id])
    rules = hindsight.rules_at(moment.at)
    stood = (
        flags_as_known_now(hindsight, accounts, moment.at).stood
        if not moment.known_then and accounts.came_late(rules, moment.at)
        else flags_as_known_then(hindsight, accounts, moment.at)
    )
    found = engaged_of(stood, rules.version)
    answer |= {
        "engagement": _flag(found, moment.at),
        "standing": _plain(found.standing) | {"detail": json.loads(found.standing["detail"])},
        "lists": [{"list": name, "left_at": None} for name in found.lists],
        "history": [turn for turn in answer["history"] if turn["at"] <= views.plain(moment.at)],
    }
    answer.pop("below", None)
    yield f"employees, type and other fields then, and who its people were: {TODAYS}"
    if any(told for told in hindsight.learnt.told.values()):
        yield f"what had been learnt (fit, in-market) by then: {TODAYS}"
    yield "a deal that was closed and opened again in between counts by its last close"


def _flag(found: Engaged, at: datetime) -> dict[str, Any]:
    return _plain(found.flag) | {
        "detail": json.loads(found.flag["detail"]),
        "rule_version": found.rule_version,
        "decided_at": views.plain(at),
    }


def _deal(hindsight: Hindsight, golden_id: int, moment: Moment, answer: dict[str, Any]) -> Iterator[str]:
    rules = hindsight.rules_at(moment.at)
    found = credit_as(hindsight, golden_id, rules, moment.lens, moment.at)
    if found is None:
        answer |= {"outcome": "not there yet", "amount": None, "attribution": None, "credits": []}
        answer |= {"created_at": answer["created_at"] or "", "closed_at": None}
        return
    told = {
        name: views.plain(found.deal[name]) for name in ("outcome", "amount", "currency", "created_at", "closed_at")
    }
    left_out = None if found.reason is None else _left_out(found.reason, rules.version)
    answer |= told | {"attribution": _attribution(found.attribution) if found.attribution else left_out}
    number = ((answer["attribution"] or {}).get("overridden") or {}).get("id")
    answer["overrides"] = [each | {"holds": True} for each in answer["overrides"] if each["id"] == number]
    answer["credits"] = [_plain(row) | {"models": json.loads(row["models"])} for row in found.credits]
    answer["learnings"] = views.learnings_of(hindsight.connection, answer["credits"])
    if found.deal["is_deleted"]:
        yield "the deal was deleted since; it is shown as it stood"
    if found.roles_gone:
        yield f"whether {found.roles_gone} contact roles that were taken away stood then is not kept"
    yield f"the deal's type and record type, its account and that account's people: {TODAYS}"


def _attribution(said: Mapping[str, Any]) -> dict[str, Any]:
    return _plain(said) | {"overridden": json.loads(said["overridden"]) if said["overridden"] else None}


def _left_out(reason: str, version: int) -> dict[str, Any]:
    names = ("source_team", "source_channel", "source_offer", "influenced", "assisted", "remark")
    said = {"why": f"earns no credit by rule: {reason}", "state": "Not credited", "basis": "Account"}
    return dict.fromkeys(names) | said | {"rule_version": version}


def _person(hindsight: Hindsight, golden_id: int, moment: Moment, answer: dict[str, Any]) -> Iterator[str]:
    rules = hindsight.rules_at(moment.at)
    acts = hindsight.timeline.arrived(classified(hindsight.connection, "person", [golden_id], rules))
    seen = acts.filter(moment.lens.sees())
    judged = standing_of(seen.rename({"golden_id": "person_id"}), rules.touchpoints)
    rows = seen.drop("machine").join(judged, on="touch_id").sort("occurred_at", descending=True)
    names = ("occurred_at", "type", "team", "channel", "offer", "campaign", "earns_credit", "machine", "duplicate_of")
    answer["touches"] = [_plain(row) for row in rows.select(*names, "touch_id").iter_rows(named=True)]
    yield f"the person's fields, account and original source: {TODAYS}"


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: views.plain(value) for name, value in row.items()}


# ------------------------------------------------------------------------------------------------------------ since


def since_data(who: Mapping[str, Any], found: Since, at: datetime) -> dict[str, Any]:
    """
    The answer as JSON: the value then, after each step, and now; money as text, exact.
    """
    return {
        **who,
        "since": views.plain(at),
        "rules": {"then": found.rules_then, "now": found.rules_now, "changed_keys": found.changed_keys},
        "steps": ["then", *found.steps],
        "values": [_value(value) for value in found.values],
        **(_money_lines(found) if who["kind"] == "opportunity" else {}),
        "happened": [_plain(row) for row in found.happened],
        "came_late": [_plain(row) for row in found.late],
    }


def _value(value: Engaged | Credited | None) -> dict[str, Any] | None:
    if value is None:
        return None
    if isinstance(value, Engaged):
        flag = {
            name: views.plain(value.flag[name]) for name in ("engaged", "band", "points_milli", "people_count", "why")
        }
        return flag | {name: value.standing[name] for name in ("stage", "qualified", "fit_band", "tier")}
    said = value.attribution or {"why": value.reason}
    names = ("source_team", "source_channel", "influenced", "marketing_share", "basis", "state", "why")
    deal = {name: views.plain(value.deal[name]) for name in ("outcome", "amount", "stage")}
    return deal | {name: said.get(name) for name in names}


def _money_lines(found: Since) -> dict[str, list[dict[str, Any]]]:
    """
    What each channel, and each touch, had of the deal then, what each step changed of it, and what it has now.
    """
    return {
        things: [
            {
                **dict(zip(("model", "clock", thing), each.key, strict=True)),
                "then": str(each.before),
                "changes": [str(change) for change in each.changes],
                "now": str(each.after),
            }
            for each in _lines(found, thing)
        ]
        for things, thing in (("channels", "channel"), ("touches", "touch"))
    }


def _lines(found: Since, thing: str) -> list[Line[tuple[str, str, str]]]:
    """
    A line for each (model, clock, thing), thing being channel or touch.
    """
    return lines([_money(value, thing) for value in found.values])


def _money(credited: Credited | None, thing: str) -> dict[tuple[str, str, str], Decimal]:
    held: dict[tuple[str, str, str], Decimal] = {}
    if credited is None or not credited.credits:
        return held
    frame = pl.DataFrame(
        [
            {"item": row["item"], "named": row["channel"] if thing == "channel" else row["touch_id"]}
            for row in credited.credits
        ],
        schema={"item": pl.String, "named": pl.String},
    )
    names = frame.select(named(pl.col("item"), pl.col("named"))).to_series()
    for row, name in zip(credited.credits, names, strict=True):
        for model, part in json.loads(row["models"]).items():
            key = (model, row["clock"], name)
            held[key] = held.get(key, Decimal(0)) + Decimal(part["units"] or 0).scaleb(-credited.digits)
    return held


def since_told(who: Mapping[str, Any], found: Since, at: datetime, write_model: str, currency: str) -> Iterator[str]:
    """
    The answer as people read it.
    """
    yield f"{who['kind'].capitalize()} {who['name']}: what changed since {to_the_minute(at)}"
    yield ""
    if who["kind"] == "account":
        yield from _flag_told(found)
    else:
        yield from _credits_told(found, write_model, currency)
    yield ""
    keys = f": {', '.join(found.changed_keys)}" if found.changed_keys else ""
    yield f"Rules: v{found.rules_then} then, v{found.rules_now} now{keys}"
    yield from _news("Happened since", found.happened)
    yield from _news("Came late", found.late)


def _flag_told(found: Since) -> Iterator[str]:
    rows: list[list[object]] = []
    before = None
    for step, value in zip(("then", *found.steps), found.values, strict=True):
        score = value.flag["points_milli"]
        change = "" if before is None else f"{'+' if score >= before else '-'}{points(abs(score - before))}"
        flag, stood = value.flag, value.standing
        state = [flag["engaged"], flag["band"], flag["people_count"], stood["stage"], stood["qualified"]]
        rows.append([f"after {step}" if before is not None else step, change, points(score), *state])
        before = score
    rows[-1][0] = f"{rows[-1][0]} = now"
    heads = ("", "CHANGE", "POINTS", "ENGAGED", "BAND", "PEOPLE", "STAGE", "QUALIFIED")
    yield from table(heads, rows, right=(1, 2, 5))


def _credits_told(found: Since, write_model: str, home_currency: str) -> Iterator[str]:
    deals = [None if each is None else each.deal for each in found.values]
    currency = next((deal["currency"] for deal in deals if deal and deal["currency"]), home_currency)
    for step, deal in zip(("then", *found.steps), deals, strict=True):
        if deal is None:
            yield f"{step}: the deal was not there"
        else:
            yield f"{step}: {deal['outcome']}, {money(views.plain(deal['amount']), currency)}, stage {deal['stage']}"
    of_model = [each for each in _lines(found, "channel") if each.key[0] == write_model]
    for clock in ("pipeline", "revenue"):
        shown = [each for each in of_model if each.key[1] == clock]
        if not shown:
            continue
        rows = [[each.key[2], *map(_amount, (each.before, *each.changes, each.after))] for each in shown]
        sums = [
            sum(column, Decimal(0)) for column in zip(*((e.before, *e.changes, e.after) for e in shown), strict=True)
        ]
        yield ""
        yield f"{clock.capitalize()} credit, model {write_model}, {currency}:"
        heads = ("CHANNEL", "THEN", *(step.upper() for step in found.steps), "NOW")
        yield from table(heads, [*rows, ["All", *map(_amount, sums)]], right=range(1, len(heads)))


def _amount(value: Decimal) -> str:
    return f"{value:,f}" if value else "0"


def _news(title: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{title}: {len(rows)}"
    for row in rows[-SHOWN:]:
        came = row["arrived_at"] - row["occurred_at"]
        late = f" (came {to_the_minute(row['arrived_at'])})" if came.days else ""
        yield f"  {to_the_minute(row['occurred_at'])} {row['what']}{late}"
    if len(rows) > SHOWN:
        yield f"  and {len(rows) - SHOWN:,} earlier ones (--json)"
