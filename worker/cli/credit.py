"""
``headwater credit``: credits one deal that is described in a file, with the engine that the service uses.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

import click

from config.days import Days
from config.dealfile import DealFile, days_of, read_deal
from config.dealfile import Person as Told
from config.rulefiles import Rules, load_rules
from config.settings import load_settings
from worker.cli.instants import InstantType
from worker.cli.output import Speech, common, printable, table
from worker.core.attribution.deal import Deal, Divided, Part, Person, Touch, credit_deal, may_stand
from worker.core.attribution.explain import share_percent, share_text
from worker.core.attribution.rules import DEFAULT_MODELS, AttributionRules, Model, Position, channel_parts
from worker.core.deals import CURRENCIES, MINOR_DIGITS
from worker.core.errors import Fatal

_PLACE = 6  # digits of a touch's place among all of the file's
BAR_LENGTH = 30
SHORTEST_BAR = 8
EIGHTHS = " ▏▎▍▌▋▊▉█"
HEADS = ("TOUCHPOINT", "CHANNEL", "OFFER", "POSITIONS", "SHARE", "AMOUNT")
LONGEST_NAMES = (40, 24, 18, 12)  # names are cut to the first of these with which the lines fit the terminal


@click.command("credit")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option("--model", "model_name", metavar="M", help="Only this model.")
@click.option(
    "--as-of",
    "as_of",
    type=InstantType(),
    metavar="INSTANT",
    help="As it stood then, such as 2026-11-18T12:00:00Z; later touches and milestones do not count.",
)
@common
def command(file: Path, model_name: str | None, as_of: datetime | date | None, speech: Speech) -> None:
    """
    Credit the deal that FILE describes, as JSON or YAML; - reads standard input. No network, no database.

    \b
    opportunity: {id: o1, amount: "84000.00", currency: USD, created_at: 2020-01-03T12:00:00Z, closed_at: null, outcome: open}
    people: [{id: p1, role: Decision Maker, lead_created_at: 2020-01-01T12:00:00Z}]
    touchpoints: [{id: t1, person: p1, at: 2020-01-01T12:00:00Z, type: form, channel: paid_search}]
    models: {w: {weights: {FT: 30, LC: 30, OC: 30, middle: 10}}, decay: {half_life_days: 7}}

    All touches are taken as eligible and marketing's. role null is no contact role. Touches may carry positions, as
    positions: [FT, LC]; then none are derived. Without models, those of the rule files. docs/rules.md explains it all.
    """  # noqa: E501 - click keeps lines behind \b as they are
    from worker.wiring import rules_of

    files = load_rules(load_settings().rules)
    # What a model was learnt to weigh stands in the store, which is not asked here.
    in_force = rules_of(files, 0).attribution.taught({})
    told = read_deal(file, files.attribution.positions, lambda people: may_stand(_roles(people), in_force))
    rules = _rules(told, in_force)
    if model_name is not None:
        rules = _only(rules, model_name)
    days = days_of(told, files.service.org.timezone)
    deal, people, touches = _deal(told, files, days), _people(told, days), _touches(told, days)
    for line in _doubtful(told, deal, rules):
        speech.say(line)
    seen = _latest(deal, people, touches, may_stand(people, rules)) if as_of is None else days.moment(as_of)
    credited = _with_own_ids(credit_deal(deal, people, touches, rules, as_of=seen))
    if speech.as_json:
        click.echo(json.dumps(_as_json(told.opportunity.id, deal, credited), ensure_ascii=False))
    else:
        for line in _as_text(told, deal, credited, get_terminal_size().columns):
            click.echo(line)


def _doubtful(told: DealFile, deal: Deal, rules: AttributionRules) -> Iterator[str]:
    """
    What can be credited and yet is likely a slip.
    """
    if deal.outcome == "open" and deal.closed_at is not None:
        yield "The deal is open, so its closed_at says nothing."
    elif deal.closed_at is not None and deal.closed_at < deal.created_at:
        yield "The deal was closed before it was created: its path ends at the close."
    if deal.currency not in CURRENCIES:
        digits = MINOR_DIGITS.get(deal.currency, 2)
        yield f"{deal.currency} is no currency of ISO 4217: its money is counted with {digits} digits."
    weighed = {name for model in rules.models for name in model.weights}
    for name in told.unknown_positions(weighed):
        yield f'No model weighs the position "{printable(name)}": a touch that holds nothing else is in the middle.'


def _rules(told: DealFile, rules: AttributionRules) -> AttributionRules:
    """
    The rules in force with what the file says in their place. A position that no rule defines is known from the touches
    that carry it alone.
    """
    from worker.wiring import models_of, positions_of

    own = rules.models
    defined = {position.name: position for position in (*rules.positions, *positions_of(told.positions))}
    for name in sorted(told.named_positions - set(rules.position_names) - set(defined)):
        defined[name] = Position(name, "first_touch_of_type", name)
    with _said_of(told, "positions" if told.positions else "touchpoints"):
        rules = replace(
            rules, positions=list(defined.values()), no_touch=told.no_touch or rules.no_touch, models=DEFAULT_MODELS
        )
    if told.models is None:
        return replace(rules, models=own)
    models: list[Model] = []
    for name, model in told.models.items():
        with _said_of(told, "models", name):
            models += models_of({name: model})
            rules = replace(rules, models=models)
        _require_nothing_lost(told, name, rules.models[-1])
    return rules


def _require_nothing_lost(told: DealFile, name: str, taken: Model) -> None:
    """
    Channels' weights so small beside the others that the engine rounds them away are refused, and not dropped.
    """
    kept = channel_parts(taken.channel_weights or {})
    for channel, weight in ((told.models or {})[name].channels or {}).items():
        if weight and channel not in kept:
            words = f'"{channel}" is too small beside the others to be divided exactly; give it more, or 0'
            raise told.error_at(("models", name, "channels", channel), words)


@contextmanager
def _said_of(told: DealFile, *path: str) -> Iterator[None]:
    """
    What the engine will not take of the file is told with the line where it stands.
    """
    try:
        yield
    except Fatal as error:
        raise told.error_at(path, "; ".join((error.message, *error.actions))) from error


def _only(rules: AttributionRules, model: str) -> AttributionRules:
    try:
        return replace(rules, models=[rules.model(model)])
    except Fatal as error:
        raise click.BadParameter(error.message, param_hint="--model") from error


def _deal(told: DealFile, files: Rules, days: Days) -> Deal:
    said = told.opportunity
    currency = said.currency or files.service.org.currency
    digits, units = MINOR_DIGITS.get(currency, 2), None
    if said.amount is not None:
        digits = max(digits, -int(said.amount.as_tuple().exponent))
        units = int(said.amount.scaleb(digits))
    return Deal(
        units=units,
        digits=digits,
        currency=currency,
        created_at=days.milestone(said.created_at),
        closed_at=None if said.closed_at is None else days.milestone(said.closed_at),
        outcome=said.outcome,
        stages=[(entry.stage, days.milestone(entry.at)) for entry in said.stages],
    )


def _roles(people: Sequence[Told]) -> list[Person]:
    """
    The people by nothing but their part in the deal.
    """
    return [Person(each.id, each.role, is_primary=each.primary) for each in people]


def _people(told: DealFile, days: Days) -> list[Person]:
    return [
        Person(
            each.id,
            each.role,
            None if each.lead_created_at is None else days.milestone(each.lead_created_at),
            each.primary,
        )
        for each in told.people
    ]


def _touches(told: DealFile, days: Days) -> list[Touch]:
    """
    The touches with ids that keep a day's acts in their order, where only days are told apart.
    """
    in_order = sorted(told.touchpoints, key=lambda each: (days.time_of_day(each.at), each.id))
    return [
        Touch(
            id=f"{place:0{_PLACE}}{each.id}",
            person=each.person,
            at=days.act(each.at),
            type=each.type or "",
            channel=each.channel or "",
            positions=each.positions,
        )
        for place, each in enumerate(in_order)
    ]


def _with_own_ids(credited: Mapping[str, Mapping[str, Divided]]) -> dict[str, dict[str, Divided]]:
    """
    What is credited, with the ids that the file gives.
    """

    def own(divided: Divided) -> Divided:
        return replace(
            divided,
            credits={touch[_PLACE:]: part for touch, part in divided.credits.items()},
            positions={touch[_PLACE:]: held for touch, held in divided.positions.items()},
        )

    return {model: {clock: own(each) for clock, each in clocks.items()} for model, clocks in credited.items()}


def _latest(deal: Deal, people: Sequence[Person], touches: Sequence[Touch], standing: Collection[str]) -> datetime:
    """
    The last thing that the file tells of the deal and those who may stand on its path: what is described counts, and
    the same file always says the same, whenever it is asked.
    """
    closed_at = None if deal.outcome == "open" else deal.closed_at
    told = [deal.created_at, closed_at, *(at for _, at in deal.stages)]
    told += [touch.at for touch in touches if touch.person in standing]
    told += [person.lead_created_at for person in people if person.id in standing]
    return max(at for at in told if at is not None)


def _as_json(opportunity: str, deal: Deal, credited: Mapping[str, Mapping[str, Divided]]) -> dict[str, Any]:
    def part(each: Part) -> dict[str, Any]:
        return {"share": _share(each), "amount": _amount(each.units, deal.digits)}

    return {
        "opportunity": opportunity,
        "currency": deal.currency,
        "models": {
            model: {
                clock: {
                    "credits": [
                        {"touchpoint": touch, "positions": list(divided.positions[touch]), **part(earned)}
                        for touch, earned in divided.credits.items()
                    ],
                    "pending": part(divided.pending),
                    "unassigned": part(divided.unassigned),
                }
                for clock, divided in clocks.items()
            }
            for model, clocks in credited.items()
        },
    }


def _as_text(told: DealFile, deal: Deal, credited: Mapping[str, Mapping[str, Divided]], width: int) -> Iterator[str]:
    """
    A table a model and clock, with a bar for each share, in lines of this width where names can be cut to it.
    """
    amount = "no amount" if deal.units is None else f"{_grouped(deal.units, deal.digits)} {deal.currency}"
    yield f"{printable(told.opportunity.id)}: {amount}, {deal.outcome}"
    tables = {
        f"{printable(model)}, {clock}": list(_rows(told, divided))
        for model, clocks in credited.items()
        for clock, divided in clocks.items()
    }
    for longest in LONGEST_NAMES:
        lines = {title: [_line(names, part, deal, longest) for names, part in rows] for title, rows in tables.items()}
        length = width - 2 - max(len(line) for each in lines.values() for line in table(HEADS, each, right=(4, 5)))
        if length >= SHORTEST_BAR:
            break
    length = min(BAR_LENGTH, max(SHORTEST_BAR, length))
    for title, rows in tables.items():
        drawn = [(*line, bar(part.share, length)) for line, (_, part) in zip(lines[title], rows, strict=True)]
        yield from ("", title, *table((*HEADS, ""), drawn, right=(4, 5)))


def _rows(told: DealFile, divided: Divided) -> Iterator[tuple[tuple[str | None, ...], Part]]:
    """
    Touch, channel, offer and positions, with what is theirs; then what is nobody's, where it is something.
    """
    touches = {touch.id: touch for touch in told.touchpoints}
    for touch, earned in divided.credits.items():
        yield (touch, touches[touch].channel, touches[touch].offer, "; ".join(divided.positions[touch])), earned
    for words, left in (("(pending)", divided.pending), ("(no marketing touch)", divided.unassigned)):
        if left.share:
            yield (words, None, None, ""), left


def _line(names: tuple[str | None, ...], part: Part, deal: Deal, longest: int) -> tuple[str | None, ...]:
    return (*(_cut(name, longest) for name in names), _percent(part), _grouped(part.units, deal.digits))


def _cut(name: str | None, longest: int) -> str | None:
    text = None if name is None else printable(name)
    return text if text is None or len(text) <= longest else text[: longest - 1] + "…"


def _share(part: Part) -> str:
    return share_text(part.share.numerator, part.share.denominator)


def _percent(part: Part) -> str:
    return f"{share_percent(part.share.numerator, part.share.denominator, 2)} %"


def _amount(units: int | None, digits: int) -> str | None:
    return None if units is None else format(Decimal(units).scaleb(-digits), "f")


def _grouped(units: int | None, digits: int) -> str | None:
    return None if units is None else format(Decimal(units).scaleb(-digits), ",f")


def bar(share: Fraction, length: int = BAR_LENGTH) -> str:
    """
    A bar of at most that many letters.
    """
    eighths = round(share * length * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
