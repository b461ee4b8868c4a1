"""
Attribution once more in plain Python, one deal at a time and in fractions: what the frames must agree with.

Written from the rules as prose states them, step by step, and slow on purpose. It shares no code with the product but
the rule values.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Any

from worker.core.attribution.rules import AttributionRules, Model

Row = Mapping[str, Any]


@dataclass
class Journey:
    """
    One deal, its people, and everything they did that counts, in path order.
    """

    deal: Row
    people: list[Row]
    touches: list[Row]
    stages: list[Row]
    rules: AttributionRules
    as_of: datetime

    def at(self, clock: str) -> datetime:
        if clock == "pipeline":
            return self.deal["created_at"]
        if self.deal["outcome"] == "open" or self.deal["closed_at"] is None:
            return self.as_of
        return self.deal["closed_at"]

    def path(self, clock: str) -> list[Row]:
        return [
            touch for touch in self.touches if eligible(touch, self.rules) and touch["occurred_at"] <= self.at(clock)
        ]


def eligible(touch: Row, rules: AttributionRules) -> bool:
    return touch["team"] == "marketing" and touch["type"] in rules.eligible_types


def journey(
    deal: Row,
    people: Iterable[Row],
    touches: Iterable[Row],
    stages: Iterable[Row],
    rules: AttributionRules,
    as_of: datetime,
) -> Journey:
    mine = [person for person in people if person["opportunity_id"] == deal["opportunity_id"]]
    counting = [touch for touch in touches if touch["team"] != "marketing" or eligible(touch, rules)]
    by_role = [person for person in mine if person["role"] is not None]
    created = deal["created_at"]

    def recently_active(person: Row) -> bool:
        start = created - timedelta(days=rules.account_people_days)
        return any(t["person_id"] == person["person_id"] and start <= t["occurred_at"] <= created for t in counting)

    if rules.path == "roles" or (rules.path == "roles_else_account" and by_role):
        members = by_role
    elif rules.path == "primary":
        members = [person for person in mine if person["is_primary"]]
    else:
        members = [person for person in mine if recently_active(person)]
    ids = {person["person_id"] for person in members}
    start = created - timedelta(days=rules.lookback_days)
    theirs = [touch for touch in counting if touch["person_id"] in ids and touch["occurred_at"] >= start]
    theirs.sort(key=lambda touch: (touch["occurred_at"], touch["touch_id"]))
    return Journey(
        deal, members, theirs, [s for s in stages if s["opportunity_id"] == deal["opportunity_id"]], rules, as_of
    )


LATER, UNREACHED, BARE = "later", "unreached", "bare"


def holders(story: Journey, clock: str) -> dict[str, str]:
    """
    For each position the id of the touch that holds it, or why none does.
    """
    at, path, deal = story.at(clock), story.path(clock), story.deal

    def last_up_to(instant: datetime) -> str:
        before = [touch["touch_id"] for touch in path if touch["occurred_at"] <= instant]
        return before[-1] if before else BARE

    found = {
        "FT": path[0]["touch_id"] if path else UNREACHED,
        "LT": path[-1]["touch_id"] if path else UNREACHED,
        "OC": last_up_to(deal["created_at"]),
        "LC": lead_creation(story, path, at),
    }
    if clock == "pipeline":
        found["CW"] = LATER
    else:
        found["CW"] = last_up_to(at) if deal["outcome"] == "won" else UNREACHED
    for position in story.rules.positions:
        if position.milestone == "stage":
            found.pop(position.name, None)
            entered = [stage["entered_at"] for stage in story.stages if stage["stage"] == position.value]
            if entered and min(entered) <= at:
                found[position.name] = last_up_to(min(entered))
            else:
                found[position.name] = LATER if clock == "pipeline" else UNREACHED
        else:
            typed = [touch for touch in story.touches if touch["type"] == position.value and touch["occurred_at"] <= at]
            found[position.name] = last_up_to_touch(path, typed[0]) if typed else UNREACHED
    return found


def last_up_to_touch(path: Sequence[Row], milestone: Row) -> str:
    place = (milestone["occurred_at"], milestone["touch_id"])
    before = [touch["touch_id"] for touch in path if (touch["occurred_at"], touch["touch_id"]) <= place]
    return before[-1] if before else BARE


def lead_creation(story: Journey, path: Sequence[Row], at: datetime) -> str:
    dated = [(person["lead_created_at"], person["person_id"]) for person in story.people if person["lead_created_at"]]
    if not dated or min(dated)[0] > at:
        return UNREACHED
    created, who = min(dated)
    theirs = [touch for touch in path if touch["person_id"] == who]
    before = [touch["touch_id"] for touch in theirs if touch["occurred_at"] <= created]
    if before:
        return before[-1]
    end = created + timedelta(days=story.rules.lead_creation_window_days)
    after = [touch["touch_id"] for touch in theirs if created < touch["occurred_at"] <= end]
    return after[0] if after else BARE


def carried(path: Sequence[Row], clock: str, names: Iterable[str]) -> dict[str, str | tuple[str, ...]]:
    """
    For each position the ids of the touches that say they hold it, or why none does.
    """
    found: dict[str, str | tuple[str, ...]] = {}
    for name in names:
        found[name] = tuple(touch["touch_id"] for touch in path if name in (touch["positions"] or ())) or UNREACHED
    return found | ({"CW": LATER} if clock == "pipeline" else {})


def shares(
    story: Journey, clock: str, model: Model, found: Mapping[str, str | tuple[str, ...]] | None = None
) -> dict[str, Fraction]:
    """
    The share of every touch, of "pending" and of "unassigned"; nothing else, and nothing of zero. ``found`` says who
    holds what where that is not derived.
    """
    path, is_open = story.path(clock), story.deal["outcome"] == "open"
    found = holders(story, clock) if found is None else found
    limbo = "pending" if is_open else "unassigned"
    weights = {name: Fraction(weight) for name, weight in model.weights.items() if weight}
    weights = {name: weight for name, weight in weights.items() if name == "middle" or found[name] != LATER}
    if not path or not weights:
        return {limbo: Fraction(1)}
    total = sum(weights.values())
    middle = weights.pop("middle", Fraction(0)) / total
    given = {name: weight / total for name, weight in weights.items()}
    original = dict(given)
    holding = {touch for name in given for touch in of(found[name])}
    in_middle = [touch for touch in path if touch["touch_id"] not in holding]

    def spread(amount: Fraction, receivers: Sequence[str]) -> None:
        whole = sum(original[name] for name in receivers)
        for name in receivers:
            given[name] += amount * original[name] / whole

    def take(names: Sequence[str]) -> Fraction:
        taken = sum((given[name] for name in names), Fraction(0))
        given.update(dict.fromkeys(names, Fraction(0)))
        return taken

    unreached = [name for name in given if found[name] == UNREACHED]
    if clock == "revenue" and story.deal["outcome"] == "won" and unreached:
        others = [name for name in given if name not in unreached]
        never = take(unreached)
        if others:
            spread(never, others)
        else:
            middle += never
        unreached = []
    if not in_middle and unreached:
        waiting_middle, middle = middle, Fraction(0)
    elif not in_middle:
        empty, middle, waiting_middle = middle, Fraction(0), Fraction(0)
        spread(empty, [name for name in given if original[name] and found[name] not in (UNREACHED, LATER)])
    else:
        waiting_middle = Fraction(0)
    bare = [name for name in given if found[name] == BARE]
    if story.rules.no_touch == "spread" and bare:
        others = [name for name in given if name not in bare and (found[name] != UNREACHED or name in unreached)]
        orphaned = take(bare)
        if others:
            spread(orphaned, others)
        else:
            middle += orphaned
        bare = []
    result = by_item(given, found, limbo)
    result[limbo] = result.get(limbo, Fraction(0)) + waiting_middle
    for touch, part in split(in_middle, story.at(clock), model).items():
        result[touch] = result.get(touch, Fraction(0)) + middle * part
    return {item: share for item, share in result.items() if share}


def of(found: str | tuple[str, ...]) -> tuple[str, ...]:
    return found if isinstance(found, tuple) else (found,)


def by_item(
    given: Mapping[str, Fraction], found: Mapping[str, str | tuple[str, ...]], limbo: str
) -> dict[str, Fraction]:
    result: dict[str, Fraction] = {}
    for name, share in given.items():
        holding = of(found[name])
        for holder in holding:
            item = {UNREACHED: limbo, BARE: "unassigned"}.get(holder, holder)
            result[item] = result.get(item, Fraction(0)) + share / len(holding)
    return result


def split(in_middle: Sequence[Row], at: datetime, model: Model) -> dict[str, Fraction]:
    counts = {touch["touch_id"]: Fraction(1) for touch in in_middle}
    if model.channel_weights is not None:
        channels = [touch["channel"] for touch in in_middle]
        counts = {
            touch["touch_id"]: model.channel_weights.get(touch["channel"], Fraction(0))
            / channels.count(touch["channel"])
            for touch in in_middle
        }
    if model.half_life_days is not None:
        counts = by_age(in_middle, at, model.half_life_days)
        if in_middle and not any(counts.values()):
            counts = by_age(in_middle, max(touch["occurred_at"] for touch in in_middle), model.half_life_days)
    if not any(counts.values()):
        counts = dict.fromkeys(counts, Fraction(1))
    return {touch: count / sum(counts.values()) for touch, count in counts.items()}


def by_age(touches: Sequence[Row], at: datetime, half_life_days: Decimal | int) -> dict[str, Fraction]:
    return {touch["touch_id"]: Fraction(decayed(at - touch["occurred_at"], half_life_days)) for touch in touches}


def decayed(age: timedelta, half_life_days: Decimal | int) -> int:
    with localcontext(prec=120):
        half_lives = Decimal(age // timedelta(microseconds=1)) / (Decimal(half_life_days) * 86_400_000_000)
        return int((Decimal(2) ** -half_lives * 10**12).to_integral_value(ROUND_HALF_EVEN))


def money(amount: int, parts: Mapping[str, Fraction], order: Sequence[str]) -> dict[str, int]:
    """
    Whole units by largest remainder; ``order`` settles equal remainders.
    """
    exact = {item: abs(amount) * share for item, share in parts.items()}
    units = {item: value.numerator // value.denominator for item, value in exact.items()}
    ranked = sorted(exact, key=lambda item: (units[item] - exact[item], order.index(item)))
    for item in ranked[: abs(amount) - sum(units.values())]:
        units[item] += 1
    return {item: value if amount >= 0 else -value for item, value in units.items()}


def credits_of(story: Journey, clock: str, model: Model) -> dict[str, tuple[Fraction, int | None]]:
    return allotted(story, clock, shares(story, clock, model))


def allotted(story: Journey, clock: str, parts: Mapping[str, Fraction]) -> dict[str, tuple[Fraction, int | None]]:
    order = [touch["touch_id"] for touch in story.path(clock)] + ["pending", "unassigned"]
    amount = story.deal["amount_units"]
    units: Mapping[str, int | None] = dict.fromkeys(parts) if amount is None else money(amount, parts, order)
    return {item: (share, units[item]) for item, share in parts.items()}
