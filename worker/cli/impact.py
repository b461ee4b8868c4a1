"""
``headwater check --impact``: what changed rules would do, before they do it.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from config.rulefiles import load_rules
from worker.cli.ground import ground
from worker.cli.money import money
from worker.cli.output import Speech, table
from worker.core.attribution.moved import Moved
from worker.core.errors import Fatal
from worker.core.instants import to_the_minute
from worker.core.rule_changes import changed_keys, not_previewed
from worker.flows.now import now_of
from worker.flows.preview import Change, Impact, preview
from worker.flows.taught import taught, to_learn
from worker.store import decisions, past, standings

SHOWN = 20


@dataclass(frozen=True)
class Previewed:
    """
    What would change, by which keys, against which version, and what cannot be told.
    """

    impact: Impact
    version: int
    keys: list[str]
    untold: list[str]


def look(folder: Path | None, speech: Speech) -> Previewed:
    """
    Preview the rules in ``folder`` (by default those the settings name) against those in force. Raises Fatal HW-181
    where none are.
    """
    from worker.wiring import as_json, build, files_of_version, rules_of

    with ground(meets_org=False) as settings:
        files = load_rules(folder or settings.rules)
        service = build(settings, sources=False, decides=False, files=files)
        with service.engine.connect() as connection:
            version = decisions.rules_in_force(connection)
        if version is None:
            raise Fatal(
                "HW-181", "nothing was decided yet, so there is nothing to compare with", actions=["headwater sync"]
            )
        ruling = files_of_version(service.engine, version, files)
        with past.look_only(service.engine) as connection, speech.progress("preview") as on_progress:
            impact = preview(
                connection,
                rules_of(ruling, version),
                service.rules,
                now_of(connection),
                lambda what, count: on_progress("deciding", what, count),
            )
            learnt = sorted(kind for kind, each in standings.learnt(connection).items() if each["model"])
            models = {model.name for model in taught(connection, service.rules).attribution.models}
    untold = not_previewed(as_json(ruling), as_json(files))
    keys = changed_keys(as_json(ruling), as_json(files))
    if learnt and keys:
        untold.append(f"{' and '.join(learnt)} as learnt so far; changed rules have them learnt anew")
    for name in to_learn(service.rules):
        words = "as learnt so far; other rules for touches, paths or deals have it learnt anew"
        untold.append(f"{name} {words if name in models else 'was not learnt yet and divides nothing here'}")
    return Previewed(impact, version, keys, untold)


def data(found: Previewed) -> dict[str, Any]:
    """
    The answer as JSON; money as text, exact.
    """
    impact = found.impact
    return {
        "against": found.version,
        "as_of": impact.now.isoformat().replace("+00:00", "Z"),
        "changed_keys": found.keys,
        "accounts": {
            "examined": impact.accounts,
            **{f"{what}_{_turn(is_gained)}": count for (what, is_gained), count in sorted(impact.counts.items())},
            "changes": [_change(each) for each in impact.changes],
        },
        "money": [_line(each) for each in impact.money],
        "deals": {"examined": impact.deals, "changed": impact.deals_changed, "without_amount": impact.unpriced},
        "new_models": list(impact.new_models),
        "gone_models": list(impact.gone_models),
        "not_comparable": _untold(found),
    }


def as_csv(found: Previewed) -> str:
    """
    Every line of both tables: accounts first, then money.
    """
    out = io.StringIO()
    names = ("change", "what", "name", "record_id", "why", "model", "clock", "currency", "channel", "before", "after",
             "difference", "deals")  # fmt: skip
    writer = csv.DictWriter(out, fieldnames=names)
    writer.writeheader()
    for change in found.impact.changes:
        row = _change(change)
        del row["account_id"]
        writer.writerow({name: _inert(value) for name, value in row.items()})
    for line in found.impact.money:
        writer.writerow({"change": "moved", **{name: _inert(value) for name, value in _line(line).items()}})
    return out.getvalue()


def told(found: Previewed) -> Iterator[str]:
    """
    The answer as people read it.
    """
    impact = found.impact
    yield (
        f"Against the rules in force (v{found.version}), as of {to_the_minute(impact.now)}: "
        f"{impact.accounts:,} accounts and {impact.deals:,} deals decided in memory. Nothing was written."
    )
    yield f"Changed: {', '.join(found.keys) or 'nothing'}"
    for what in ("engaged", "qualified"):
        for is_gained in (True, False):
            yield ""
            yield from _accounts(impact, what, is_gained=is_gained)
    yield ""
    yield from _money(impact.money, impact.deals_changed)
    untold = _untold(found)
    if untold:
        yield ""
        yield "Not comparable:"
        yield from (f"  {each}" for each in untold)


def _accounts(impact: Impact, what: str, *, is_gained: bool) -> Iterator[str]:
    count = impact.counts.get((what, is_gained), 0)
    yield f"{what.capitalize()}, {_turn(is_gained)}: {count:,}"
    named = [each for each in impact.changes if (each.what, each.is_gained) == (what, is_gained)]
    yield from (f"  {each.name or each.record_id or each.account_id}: {each.why}" for each in named[:SHOWN])
    if count > SHOWN:
        yield f"  and {count - SHOWN:,} more (--json, --csv)"


def _money(lines: list[Moved], deals: int) -> Iterator[str]:
    moving = [each for each in lines if each.difference or each.deals]
    yield f"Money moved between channels: {deals:,} deals."
    if not moving:
        return
    rows: list[list[object]] = []
    for model, clock, currency in dict.fromkeys((each.model, each.clock, each.currency) for each in moving):
        of_all = [each for each in lines if (each.model, each.clock, each.currency) == (model, clock, currency)]
        rows += [
            [model, clock, each.channel, *_sums(each.before, each.after, currency), each.deals]
            for each in of_all
            if each.difference or each.deals
        ]
        before, after = (sum((getattr(each, name) for each in of_all), Decimal(0)) for name in ("before", "after"))
        rows.append([model, clock, "All channels", *_sums(before, after, currency), ""])
    yield from table(("MODEL", "CLOCK", "CHANNEL", "BEFORE", "AFTER", "DIFFERENCE", "DEALS"), rows, right=(3, 4, 5, 6))


def _sums(before: Decimal, after: Decimal, currency: str) -> list[str]:
    return [money(value, currency) for value in (before, after, after - before)]


def _untold(found: Previewed) -> list[str]:
    impact = found.impact
    waiting = {"resolve": "records", "engage": "accounts", "attribute": "deals"}
    said = [
        f"{count:,} {waiting[flow]} that the rules in force have yet to decide: what they lack is counted here too"
        for flow, count in impact.waiting.items()
    ]
    if impact.locked:
        said.append(f"{impact.locked:,} deals in locked periods: their credits stay, the difference would be booked")
    if impact.unpriced:
        said.append(f"{impact.unpriced:,} deals without an amount: their shares may move, no money does")
    for models, word in ((impact.new_models, "new"), (impact.gone_models, "gone")):
        if models:
            said.append(f"{len(models)} models that are {word}: {', '.join(models)}")
    return [*said, *found.untold]


def _turn(is_gained: bool) -> str:
    return "gained" if is_gained else "lost"


def _change(change: Change) -> dict[str, Any]:
    return {
        "change": _turn(change.is_gained),
        "what": change.what,
        "account_id": change.account_id,
        "name": change.name,
        "record_id": change.record_id,
        "why": change.why,
    }


def _line(line: Moved) -> dict[str, Any]:
    plain = {name: format(getattr(line, name), "f") for name in ("before", "after", "difference")}
    return {**line._asdict(), **plain}


def _inert(value: object) -> object:
    """
    Text that a spreadsheet would run as a formula gets a quote before it; numbers stay numbers.
    """
    is_formula = isinstance(value, str) and value[:1] in set("=+-@\t\r")
    return f"'{value}" if is_formula and not value.lstrip("+-").replace(".", "", 1).isdigit() else value  # type: ignore[attr-defined]
