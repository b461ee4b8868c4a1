"""
``headwater why``: everything that explains one person, account or deal.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import click

from config.days import instant
from config.settings import Settings
from worker.cli.ground import ground
from worker.cli.instants import InstantType
from worker.cli.learnt import learning
from worker.cli.moment import AsOf, looking_back, past_moment
from worker.cli.money import money
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.cli.why_account import flag, standing
from worker.core.deals import MINOR_DIGITS
from worker.core.errors import Fatal
from worker.core.instants import to_the_minute
from worker.flows.run import Service
from worker.store import scopes, views

CLOCKS = {"pipeline": "as of creation", "revenue": "as of the close, or to date while open"}
SHOWN_ACTS, SHOWN_WRITES = 25, 12


@click.command("why")
@click.argument("words", nargs=-1, required=True)
@past_moment
@click.option("--since", type=InstantType(), metavar="INSTANT", help="What changed since then, and why.")
@common
def command(words: tuple[str, ...], as_of: AsOf | None, since: datetime | date | None, *, speech: Speech) -> None:
    """
    Why a record says what it says: give a Salesforce id, an e-mail address, a domain, or a full name.

    Every field with its source, its rule and the values that lost; the flag with its acts and points; the deal with
    every model's shares; what was written, what is to be, and what was refused.

    --as-of decides again for a past moment, by the rules in force then. --since tells what new acts, time, other rules
    and late data each did to a flag, a stage or a credit.
    """
    if as_of is not None and since is not None:
        raise click.UsageError("give --as-of, with or without --known-then, or --since")
    asked = " ".join(words)
    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        with service.engine.connect() as connection:
            found = scopes.find(connection, asked)
            if not found:
                raise Fatal(
                    "HW-122",
                    f'nothing in the store is called "{asked}"',
                    actions=["give a Salesforce id, an e-mail address, a domain or a full name", "headwater status"],
                )
            if as_of is None and since is None:
                answers = [views.why(connection, each["kind"], each["id"]) for each in found]
        if as_of is not None or since is not None:
            _past(service, settings, found, as_of, since, speech)
            return
    speech.answer(answers[0] if len(answers) == 1 else answers, lambda: _told(answers, service.rules.currency))


def _past(
    service: Service,
    settings: Settings,
    found: list[dict[str, Any]],
    as_of: AsOf | None,
    since: datetime | date | None,
    speech: Speech,
) -> None:
    """
    Answer for a past moment, or for what changed since one.
    """
    from worker.cli import past as then

    zone = service.rules.zone
    with looking_back(service, settings) as hindsight:
        if since is not None:
            at = instant(since, zone, ends=True)
            changed = [then.since(hindsight, each["kind"], each["id"], at) for each in found]
            data = [then.since_data(who, each, at) for who, each in changed]
            rules = service.rules
            speech.answer(
                data[0] if len(data) == 1 else data,
                lambda: (
                    line
                    for who, each in changed
                    for line in then.since_told(who, each, at, rules.write_model, rules.currency)
                ),
            )
        elif as_of is not None:
            moment = as_of.moment(zone)
            answers = [then.as_of(hindsight, each["kind"], each["id"], moment) for each in found]
            speech.answer(answers[0] if len(answers) == 1 else answers, lambda: _told(answers, service.rules.currency))


def _told(answers: Iterable[dict[str, Any]], currency: str) -> Iterator[str]:
    for number, answer in enumerate(answers):
        if number:
            yield ""
            yield "-" * 60
        yield from told(answer, currency)


def told(answer: dict[str, Any], home_currency: str) -> Iterator[str]:
    """
    One record's answer as people read it.
    """
    yield f"{answer['kind'].capitalize()} {answer['name']}"
    if "as_of" in answer:
        moment = answer["as_of"]
        yield f"As of {to_the_minute(moment['at'])}, {moment['sense']}, by rules v{moment['rules']}."
        yield from (f"  Not known: {each}" for each in moment["not_known"])
    yield from table(
        ("RECORD", "ID", "BELONGS HERE BY", "SINCE"),
        [[each["stream"], each["record_id"], each["rule"], each["since_at"][:10]] for each in answer["records"]],
    )
    if answer["kind"] == "account":
        yield from flag(answer)
        yield from standing(answer)
    elif answer["kind"] == "opportunity":
        yield from _credit(answer, home_currency)
    else:
        yield from _person(answer)
    if "as_of" in answer:
        return
    yield from _fields(answer["fields"])
    yield from _writes(answer)


def _fields(fields: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    yield from table(
        ("FIELD", "VALUE", "FROM", "RULE", "LOST"),
        [
            [
                each["field"],
                _cut(each["value"]),
                f"{each['stream']} {each['record_id']}",
                each["rule"],
                "; ".join(f"{lost['stream']} {_cut(lost['value'], 30)}" for lost in each["lost"]) or "nobody",
            ]
            for each in fields
        ],
    )


def _credit(answer: dict[str, Any], home_currency: str) -> Iterator[str]:
    decided = answer["attribution"]
    currency = answer["currency"] or home_currency
    closed = f", closed {answer['closed_at'][:10]}" if answer["closed_at"] else ""
    account = answer["account"]["name"] if answer["account"] else "no account"
    yield ""
    yield (
        f"{answer['outcome'].capitalize()}, {money(answer['amount'], currency)}, {account}, "
        f"created {answer['created_at'][:10]}{closed}"
    )
    if decided is None:
        yield "Nothing was decided about its credit yet."
        return
    yield f"  {decided['why']}"
    source = [decided[name] or "-" for name in ("source_team", "source_channel", "source_offer")]
    yes_no = {name: "yes" if decided[name] else "no" for name in ("influenced", "assisted")}
    yield (
        f"  source {' / '.join(source)}; influenced {yes_no['influenced']}; assisted {yes_no['assisted']}; "
        f"basis {decided['basis']}; {decided['state']}; rules v{decided['rule_version']}"
    )
    yield from _by_hand(answer)
    if decided["remark"]:
        yield f"  As it is: {decided['remark']}."
    digits = max(MINOR_DIGITS.get(currency, 2), len(str(answer["amount"] or "").partition(".")[2]))
    for clock, words in CLOCKS.items():
        rows = [each for each in answer["credits"] if each["clock"] == clock]
        if rows:
            yield ""
            yield f"{clock.capitalize()} credit ({words}):"
            yield from _shares(rows, digits)
    for learnt in answer.get("learnings", ()):
        yield ""
        yield from learning(learnt)


def _by_hand(answer: dict[str, Any]) -> Iterator[str]:
    """
    What administrators said of the sourcing team, and what the touches say.
    """
    by_touches = answer["attribution"].get("overridden")
    if by_touches:
        source = [by_touches[name] or "-" for name in ("team", "channel", "offer")]
        yield f"  By its touches the source would be {' / '.join(source)}."
    for said in answer.get("overrides", ()):
        what = f"Source set to {said['team'].replace('_', ' ')}" if said["team"] else "Source given back to the touches"
        standing = " (holds)" if said["holds"] else ""
        yield f"  {what} by {said['said_by']} on {to_the_minute(said['said_at'])}{standing}: {said['reason']}"


def _shares(rows: list[dict[str, Any]], digits: int) -> Iterator[str]:
    models = sorted({model for row in rows for model in row["models"]})
    lines = []
    for row in rows:
        what = f"{row['occurred_at'][:10]} {row['label']}" if row["item"] == "touch" else _ITEMS[row["item"]]
        lines.append(
            [_cut(what, 44), row["channel"] if row["item"] == "touch" else "", row["positions"]]
            + [_share(row["models"].get(model), digits) for model in models]
        )
    yield from table(("TOUCH", "CHANNEL", "POSITIONS", *(model.upper() for model in models)), lines)


_ITEMS = {"pending": "pending", "unassigned": "No marketing touch (unassigned)"}


def _share(credit: dict[str, Any] | None, digits: int) -> str:
    if credit is None:
        return ""
    percent = float(Fraction(credit["share"]) * 100)
    money = "" if credit["units"] is None else f" {Decimal(credit['units']).scaleb(-digits):,}"
    return f"{percent:.1f}%{money}"


def _person(answer: dict[str, Any]) -> Iterator[str]:
    account = answer["account"]
    yield ""
    yield f"Account: {account['name'] or 'none'} ({account['rule'] or 'no rule fits'}: {account['why'] or '-'})"
    since = (answer["created_at"] or "-")[:10]
    yield f"Original source: {answer['original_source'] or 'none yet'}; in Salesforce since {since}"
    if answer["touches"]:
        yield from table(
            ("WHEN", "TYPE", "TEAM", "CHANNEL", "OFFER", "COUNTS"),
            [
                [
                    to_the_minute(each["occurred_at"]),
                    each["type"],
                    each["team"],
                    each["channel"],
                    _cut(each["offer"]),
                    _counts(each),
                ]
                for each in answer["touches"][:SHOWN_ACTS]
            ],
        )


def _counts(touch: dict[str, Any]) -> str:
    if touch["machine"]:
        return f"no: {touch['machine']}"
    if touch["duplicate_of"]:
        return f"no: the same act as {touch['duplicate_of']}"
    return "yes" if touch["earns_credit"] else "earns no credit"


def _writes(answer: dict[str, Any]) -> Iterator[str]:
    for row in answer["to_write"]:
        words = f" ({row['code']}: {row['message']})" if row["code"] else ""
        yield ""
        yield f"To be written to {row['object']} {row['record_id']}: {row['state']}, plan {row['plan']}{words}"
        for change in row["changes"]:
            yield f"  {change['field']}: {change['old'] or '(empty)'} -> {change['new'] or '(empty)'}"
    if not answer["written"]:
        yield ""
        yield "Nothing was written to it."
        return
    yield ""
    yield from table(
        ("WRITTEN", "FIELD", "BEFORE", "AFTER", "RESULT", "RULES"),
        [
            [
                to_the_minute(each["at"]),
                each["field"],
                _cut(each["before"]),
                _cut(each["after"]),
                each["result"] + (f" {each['code']}" if each["code"] else ""),
                f"v{each['rule_version']}",
            ]
            for each in answer["written"][:SHOWN_WRITES]
        ],
    )


def _cut(value: object, width: int = 40) -> str:
    text = "-" if value is None or value == "" else str(value)
    return text if len(text) <= width else text[: width - 1] + "…"
