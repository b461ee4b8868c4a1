"""
Credits one deal told as objects, through the same frames and rules as the service's sets of deals.

Adds two things: the deal as it stood at a past instant, and positions that the touches carry instead of positions that
are derived. All touches handed in are taken as eligible and marketing's. Called by ``headwater credit``.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

import polars as pl

from worker.core.attribution.allot import divide
from worker.core.attribution.path import CLOCKS, STATE, PathSet, build_paths
from worker.core.attribution.rules import MIDDLE, AttributionRules, Model
from worker.core.errors import Fatal
from worker.core.frames import DEAL, DEAL_PERSON, INSTANT, TOUCH, Schema

_DEAL: Final = 1


@dataclass(frozen=True)
class Deal:
    """
    A deal. ``units`` is its amount in units of 10^-digits, None where it is empty; ``stages`` are its entries to named
    stages. Instants are aware.
    """

    units: int | None
    digits: int
    currency: str
    created_at: datetime
    closed_at: datetime | None
    outcome: str
    stages: Sequence[tuple[str, datetime]] = ()


@dataclass(frozen=True)
class Person:
    """
    One of the account's people; ``role`` is None without a contact role on the deal.
    """

    id: str
    role: str | None = None
    lead_created_at: datetime | None = None
    is_primary: bool = False


@dataclass(frozen=True)
class Touch:
    """
    A touch of one of these people. ``positions`` are those it carries: None where it does not say, empty for none.
    """

    id: str
    person: str
    at: datetime
    type: str = ""
    channel: str = ""
    positions: Sequence[str] | None = None


@dataclass(frozen=True)
class Part:
    """
    A share and its money in the deal's units, None where the deal has no amount.
    """

    share: Fraction
    units: int | None


@dataclass(frozen=True)
class Divided:
    """
    One deal under one model on one clock: what each touch earns, in path order, with the positions it holds on that
    clock; what is pending; what nobody earned. Touches that earn nothing are left out.
    """

    credits: Mapping[str, Part]
    pending: Part
    unassigned: Part
    positions: Mapping[str, Sequence[str]] = field(default_factory=dict)


def credit_deal(
    deal: Deal, people: Sequence[Person], touches: Sequence[Touch], rules: AttributionRules, *, as_of: datetime
) -> dict[str, dict[str, Divided]]:
    """
    By model, then by clock, in the order of the rules' models.

    The deal is seen as of ``as_of``: what is dated later has not happened. If a touch of anybody who may stand on the
    path carries positions, none are derived; a position that several touches of a clock's path carry is divided equally
    among them, and one that none carries is a milestone that is not reached. Nor is one that the deal dates later than
    ``as_of``, whatever a touch carries.

    Raises Fatal HW-131 for a deal that was created after ``as_of``.
    """
    if deal.created_at > as_of:
        raise Fatal(
            "HW-131",
            f"the deal was created at {deal.created_at.isoformat()}, after {as_of.isoformat()}: there is nothing to "
            "divide yet",
            actions=["give --as-of a later instant"],
        )
    # Asked of all that is told, so that a later touch does not turn carried positions into derived ones.
    is_carried = _carry(people, touches, rules)
    to_come = _yet_to_come(deal, people, rules, as_of)
    deal, people, touches = _as_it_stood(deal, people, touches, as_of)
    rules = replace(rules, eligible_types=sorted({touch.type for touch in touches}))
    deals = _deal_frame(deal)
    carried = {touch.id: touch.positions or () for touch in touches} if is_carried else None
    answer: dict[str, dict[str, Divided]] = {model.name: {} for model in rules.models}
    for clock in CLOCKS:
        paths = build_paths(
            deals,
            _people_frame(people),
            _touch_frame(people, touches),
            rules,
            as_of=as_of,
            clocks=[clock],
            stages=_stage_frame(deal),
        )
        on_path = paths.paths["touch_id"].to_list()
        if carried is None:
            positions = dict(zip(on_path, paths.paths["positions"].to_list(), strict=True))
            credit = divide(deals, paths, rules.models, rules.no_touch)
        else:
            # On the pipeline clock, which stays as it was, the close is still to come, whatever a touch says.
            held = _held(on_path, carried, rules, to_come if clock == "revenue" else {"CW"})
            positions = {touch: [name for name in rules.position_names if touch in held[name]] for touch in on_path}
            credit = pl.concat(divide(deals, *_placed(paths, on_path, held, model)) for model in rules.models)
        for model, divided in _by_model(credit, rules, deal, positions):
            answer[model][clock] = divided
    return answer


def _as_it_stood(
    deal: Deal, people: Sequence[Person], touches: Sequence[Touch], as_of: datetime
) -> tuple[Deal, list[Person], list[Touch]]:
    if deal.closed_at is not None and deal.closed_at > as_of:
        deal = replace(deal, outcome="open", closed_at=None)
    return (
        replace(deal, stages=[(stage, at) for stage, at in deal.stages if at <= as_of]),
        [
            replace(person, lead_created_at=None)
            if person.lead_created_at is not None and person.lead_created_at > as_of
            else person
            for person in people
        ],
        [touch for touch in touches if touch.at <= as_of],
    )


def may_stand(people: Sequence[Person], rules: AttributionRules) -> set[str]:
    """
    The ids of those who may stand on the path. People without a role change nothing on a deal that goes by its roles.
    """
    by_role = {person.id for person in people if person.role is not None}
    if rules.path == "roles" or (rules.path == "roles_else_account" and by_role):
        return by_role
    if rules.path == "primary":
        return {person.id for person in people if person.is_primary}
    return {person.id for person in people}


def _carry(people: Sequence[Person], touches: Sequence[Touch], rules: AttributionRules) -> bool:
    """
    Whether positions are carried.
    """
    standing = may_stand(people, rules)
    return any(touch.positions is not None and touch.person in standing for touch in touches)


def _yet_to_come(deal: Deal, people: Sequence[Person], rules: AttributionRules, as_of: datetime) -> set[str]:
    """
    The positions whose milestone is told with a date after ``as_of``. One without a date is where a touch carries it.
    """
    standing = may_stand(people, rules)
    dates = {
        position.name: [at for stage, at in deal.stages if stage == position.value]
        for position in rules.positions
        if position.milestone == "stage"
    }
    dates["CW"] = [deal.closed_at] if deal.closed_at is not None and deal.outcome != "open" else []
    dates["LC"] = [each.lead_created_at for each in people if each.lead_created_at and each.id in standing]
    return {name for name, told in dates.items() if told and min(told) > as_of}


def _held(
    on_path: Sequence[str], carried: Mapping[str, Sequence[str]], rules: AttributionRules, to_come: Collection[str]
) -> dict[str, list[str]]:
    """
    By position the touches that carry it; none those that are still to come.
    """
    return {
        name: [touch for touch in on_path if name in carried[touch] and name not in to_come]
        for name in rules.position_names
    }


def _placed(
    paths: PathSet, on_path: Sequence[str], held: Mapping[str, Sequence[str]], model: Model
) -> tuple[PathSet, list[Model]]:
    """
    The paths with the holders as carried, and the model with its weights laid on them.

    Several holders share a position's weight, so every holder becomes a position of its own: what it holds, added.
    """
    parts = model.parts()
    middle = parts.pop(MIDDLE, 0)
    scale = math.lcm(*(len(held[name]) for name in parts if held[name]))
    weights, state = {MIDDLE: middle * scale}, {}
    holder: dict[str, int | None] = {}
    for index, touch in enumerate(on_path):
        whole = sum(weight * scale // len(held[name]) for name, weight in parts.items() if touch in held[name])
        if whole:
            weights[f":{index}"], state[f":{index}"], holder[f":{index}"] = whole, "held", index
    for name, weight in parts.items():
        if not held[name]:
            later = paths.clocks[f"state:{name}"].item() == "later"
            weights[name], state[name] = weight * scale, "later" if later else "unreached"
            holder[name] = None
    clocks = paths.clocks.drop(pl.selectors.starts_with("state:", "holder:")).with_columns(
        *(pl.lit(value).cast(STATE).alias(f"state:{name}") for name, value in state.items()),
        *(pl.lit(index, pl.Int32).alias(f"holder:{name}") for name, index in holder.items()),
    )
    exact = {name: Decimal(weight) for name, weight in weights.items()}
    return replace(paths, clocks=clocks), [replace(model, weights=exact)]


def _by_model(
    credit: pl.DataFrame, rules: AttributionRules, deal: Deal, positions: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Divided]]:
    nothing = Part(Fraction(0), None if deal.units is None else 0)
    found: dict[str, dict[str, dict[str | None, Part]]] = {model.name: {} for model in rules.models}
    for row in credit.iter_rows(named=True):
        part = Part(Fraction(row["share_num"], row["share_den"]), row["amount_units"])
        found[row["model"]].setdefault(row["item"], {})[row["touch_id"]] = part
    for model, items in found.items():
        earned = {touch: part for touch, part in items.get("touch", {}).items() if touch is not None}
        pending, unassigned = (items.get(item, {}).get(None, nothing) for item in ("pending", "unassigned"))
        yield model, Divided(earned, pending, unassigned, {touch: positions[touch] for touch in earned})


def _deal_frame(deal: Deal) -> pl.DataFrame:
    values = (_DEAL, None, deal.currency, deal.units, deal.digits, deal.created_at, deal.closed_at, deal.outcome)
    return pl.DataFrame([values], schema=DEAL, orient="row")


def _numbers(people: Sequence[Person]) -> dict[str, int]:
    """
    Each person's number in the order of the ids, which settles who of two people of one instant was created first.
    """
    return {person: number for number, person in enumerate(sorted({each.id for each in people}), start=1)}


def _people_frame(people: Sequence[Person]) -> pl.DataFrame:
    numbers = _numbers(people)
    rows = [(_DEAL, numbers[each.id], each.role, each.is_primary, each.lead_created_at) for each in people]
    return pl.DataFrame(rows, schema=DEAL_PERSON, orient="row")


def _touch_frame(people: Sequence[Person], touches: Sequence[Touch]) -> pl.DataFrame:
    numbers = _numbers(people)
    rows = [
        (each.id, numbers[each.person], each.at, each.type, "marketing", each.channel, None, None) for each in touches
    ]
    return pl.DataFrame(rows, schema=TOUCH, orient="row")


def _stage_frame(deal: Deal) -> pl.DataFrame:
    rows = [(_DEAL, stage, entered_at) for stage, entered_at in deal.stages]
    schema: Schema = {"opportunity_id": pl.Int64, "stage": pl.String, "entered_at": INSTANT}
    return pl.DataFrame(rows, schema=schema, orient="row")
