"""
``headwater report``: numbers with what is behind them. Every number is a count or a sum of rows that ``--rows`` prints.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
import polars as pl
from sqlalchemy import Connection

from config.errors import ConfigError
from config.settings import Settings
from worker.cli import sources
from worker.cli.ground import ground
from worker.cli.moment import AsOf, looking_back, past_moment
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.core.funnel.calendar import KINDS
from worker.core.funnel.totals import Measure, Totals, matching
from worker.core.instants import to_the_minute
from worker.core.rules import Rules
from worker.flows.as_of import Moment
from worker.flows.now import now_of
from worker.flows.reports import catalogue
from worker.flows.reports.shape import Asked, Report, Standing, Table
from worker.flows.run import Service
from worker.store import fiscal, reports, views

NAMES = ("sources", *catalogue.REPORTS)
# More groups than a screen takes are cut there, and only there.
SHOWN_LINES = 60
# What a spreadsheet takes for the beginning of a formula, or skips before one.
FORMULA = tuple("=+-@\t\r\0")


@click.command("report", epilog=f"Groups of time: {', '.join(KINDS)}; year, half and quarter are fiscal.")
@click.argument("name", type=click.Choice(NAMES))
@click.argument("subject", required=False, nargs=-1)
@click.option("--period", help="Only 2026, 2026-H1, 2026-Q3, 2026-07 or 2026-W30.")
@click.option("--by", "by", help="Sum up by this; several with commas: --by channel,quarter")
@click.option("--model", help="The attribution model; else the one that is written back.")
@click.option("--of", "of", type=click.Choice(["accounts", "people"]), help="What the funnel counts.")
@click.option("--rows", "as_rows", is_flag=True, help="The rows behind the numbers.")
@click.option("--where", multiple=True, metavar="GROUP=VALUE", help="Only rows of that group; VALUE empty: none.")
@past_moment
@click.option("--csv", "as_csv", is_flag=True, help="Answer in CSV, without totals.")
@common
def command(
    name: str,
    subject: tuple[str, ...],
    *,
    as_of: AsOf | None,
    as_rows: bool,
    as_csv: bool,
    speech: Speech,
    **asked: Any,
) -> None:
    """
    sources, funnel, attribution, engagement, journey DEAL, campaigns, velocity, quota, handover, value, metrics,
    readiness, weekly.

    --as-of makes the report of a past moment, by the rules in force then; nothing is written.
    """
    wanted = dict(_pair(each) for each in asked.pop("where"))
    asked |= {"subject": " ".join(subject) or None}
    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        if as_of is not None:
            found = _of_past(service, settings, name, as_of.moment(service.rules.zone), asked)
        else:
            with service.engine.connect() as connection:
                if name == "sources":
                    _sources(connection, service.rules, speech, as_csv=as_csv)
                    return
                found = catalogue.make(connection, name, _asked(connection, service.rules, now_of(connection), asked))
                found = replace(found, standing=Standing(**reports.standing_of(connection)))
    standing = found.standing or Standing(None, None)
    tables = _narrowed(found.tables, wanted)
    if as_csv:
        for each in tables:
            frame = each.rows if as_rows else each.summed().lines
            click.echo(_csv(frame.columns, _plain(frame)), nl=False)
        return
    data = _data(name, found, tables, standing, as_rows=as_rows)
    speech.answer(data, lambda: _told(found, tables, standing, as_rows=as_rows))


def _of_past(service: Service, settings: Settings, name: str, moment: Moment, asked: Mapping[str, Any]) -> Report:
    """
    The report as of a moment.
    """
    catalogue.expect_past(name)
    with looking_back(service, settings) as hindsight:
        hindsight.expect_past(moment.at)
        rules = hindsight.rules_at(moment.at)
        return catalogue.make_as_of(hindsight, name, _asked(hindsight.connection, rules, moment.at, asked), moment)


def _asked(connection: Connection, rules: Rules, now: datetime, options: Mapping[str, Any]) -> Asked:
    calendar = fiscal.calendar_of(connection, rules.zone)
    period, by = options["period"], options["by"]
    return Asked(
        now=now,
        calendar=calendar,
        rules=rules,
        model=options["model"] or rules.write_model,
        period=calendar.span(period) if period else None,
        by=tuple(part.strip() for part in by.split(",") if part.strip()) if by else (),
        of=options["of"],
        subject=options["subject"],
    )


def _pair(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError("HW-161", f'"{text}" is no GROUP=VALUE', ("--where channel=Webinar",))
    return name.strip(), value or None


def _narrowed(tables: Sequence[Table], wanted: Mapping[str, str | None]) -> list[Table]:
    """
    The tables that have all the columns, with the rows that are wanted.
    """
    found = [each for each in tables if set(wanted) <= set(each.rows.columns)]
    if not found:
        columns = dict.fromkeys(name for each in tables for name in each.rows.columns)
        strangers = sorted(set(wanted) - set(columns)) or sorted(wanted)
        names = " and ".join(each.name for each in tables)
        raise ConfigError("HW-161", f"{names} have no {strangers[0]}", (f"--where one of {', '.join(columns)}",))
    return [replace(each, rows=matching(each.rows, wanted)) for each in found]


def _told(found: Report, tables: Sequence[Table], standing: Standing, *, as_rows: bool) -> Iterator[str]:
    yield found.title
    if standing.sense is not None:
        yield f"As of {to_the_minute(standing.at)}, {standing.sense}, by rules v{standing.rules}."
        yield from (f"  Not known: {each}" for each in standing.not_known)
    yield from found.notes
    for each in tables:
        yield ""
        yield from _rows_told(each) if as_rows else _lines_told(each, found.maturing)
    yield ""
    yield from found.remarks
    if standing.sense is None:
        said = f"As of {to_the_minute(standing.at)}, rules v{standing.rules}."
        yield said if standing.at else "Nothing was decided yet."


def _lines_told(found: Table, maturing: frozenset[str]) -> Iterator[str]:
    summed = found.summed()
    heads = [*summed.by, *(measure.name for measure in found.measures)]
    units = {measure.name: measure for measure in found.measures}
    lines = [
        [_cell(line[name], units.get(name), is_young=_is_young(line, summed, maturing)) for name in heads]
        for line in summed.lines.head(SHOWN_LINES).iter_rows(named=True)
    ]
    if found.has_total:
        cells = (_cell(summed.total[measure.name], measure) for measure in found.measures)
        lines.append(["Total", *[""] * (len(summed.by) - 1), *cells])
    right = range(len(summed.by), len(heads))
    yield from table([name.replace("_", " ").upper() for name in heads], lines, right=tuple(right))
    if summed.lines.height > SHOWN_LINES:
        yield f"... and {summed.lines.height - SHOWN_LINES:,} more; all of them with --csv or --json"


def _is_young(line: Mapping[str, Any], summed: Totals, maturing: frozenset[str]) -> bool:
    return any(line[name] in maturing for name in summed.by if isinstance(line[name], str))


def _rows_told(found: Table) -> Iterator[str]:
    shown = found.rows.head(SHOWN_LINES)
    yield from table(
        [name.replace("_", " ").upper() for name in shown.columns],
        [[_cell(value, None) for value in row] for row in shown.iter_rows()],
    )
    if found.rows.height > SHOWN_LINES:
        yield f"... and {found.rows.height - SHOWN_LINES:,} more; all of them with --csv or --json"


def _cell(value: object, measure: Measure | None, *, is_young: bool = False) -> object:
    if measure is not None and measure.unit == "percent":
        return "maturing" if is_young else None if value is None else f"{value} %"
    match value:
        case datetime():
            return to_the_minute(value)
        case Decimal():
            return f"{value:,.2f}" if value == value.quantize(Decimal("0.01")) else f"{value.normalize():,f}"
        case float():
            return f"{value:,.2f}"
        case _:
            return value


def _plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [{name: views.plain(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]


def _data(name: str, found: Report, tables: Sequence[Table], standing: Standing, *, as_rows: bool) -> dict[str, Any]:
    """
    The report as JSON. A maturing line has nulls for its rates.
    """

    def told(each: Table) -> dict[str, Any]:
        summed = each.summed()
        rates = [measure.name for measure in each.measures if measure.unit == "percent"]
        lines = [
            line | dict.fromkeys(rates) | {"maturing": True} if _is_young(line, summed, found.maturing) else line
            for line in _plain(summed.lines)
        ]
        return {
            "name": each.name,
            "by": list(summed.by),
            "measures": [{"name": measure.name, "unit": measure.unit} for measure in each.measures],
            "lines": lines,
            "total": {key: views.plain(value) for key, value in summed.total.items()} if each.has_total else None,
            "row_count": each.rows.height,
            **({"rows": _plain(each.rows)} if as_rows else {}),
        }

    return {
        "report": name,
        "title": found.title,
        "as_of": {
            "at": views.plain(standing.at),
            "rules": standing.rules,
            **({"sense": standing.sense, "not_known": list(standing.not_known)} if standing.sense else {}),
        },
        "notes": list(found.notes),
        "tables": [told(each) for each in tables],
        "remarks": list(found.remarks),
    }


def _sources(connection: Connection, rules: Rules, speech: Speech, *, as_csv: bool) -> None:
    found = views.report_sources(connection)
    currencies = sources.won_in(connection, rules.currency)
    if as_csv:
        click.echo(_csv(list(found["rows"][0]) if found["rows"] else ["channel"], found["rows"]), nl=False)
    else:
        speech.answer(found, lambda: sources.told(found, currencies))


def _csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """
    CSV for people: text that a spreadsheet would run as a formula gets a quote before it.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(names))
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
                for name, value in row.items()
            }
        )
    return out.getvalue()
