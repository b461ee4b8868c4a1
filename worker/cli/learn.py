"""
``headwater learn``: learns what channels weigh from a table of paths.
"""

import csv
import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from config.errors import ConfigError
from worker.cli.credit import bar
from worker.cli.output import Speech, common, table
from worker.core.attribution.explain import share_percent, share_text
from worker.core.attribution.learn import LEARNERS, Learnt, PathCount, learn
from worker.core.errors import Fatal

DAY: Final = click.DateTime(["%Y-%m-%d"])
COLUMNS: Final = ("path", "conversions", "nulls")
MOST_PROBLEMS: Final = 20  # of a wrong file the first lines tell what is wrong with the rest
MOST_COUNT: Final = 10**15
UTF_16: Final = ("\udcff\udcfe", "\udcfe\udcff")  # how its first two bytes are read, which are none of UTF-8


@click.command("learn")
@click.argument(
    "file",
    metavar="[PATHS.csv]",
    required=False,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
)
@click.option("--model", type=click.Choice(list(LEARNERS)), help="How to learn.")
@click.option(
    "--from", "since", type=DAY, metavar="DAY", help="Instead of a table: our own deals closed from this day,"
)
@click.option("--to", "until", type=DAY, metavar="DAY", help="up to this one; both are counted.")
@common
def command(
    file: Path | None, model: str | None, since: datetime | None, until: datetime | None, speech: Speech
) -> None:
    """
    Learn what channels weigh from PATHS.csv, a table with the columns path, conversions and nulls (- reads standard
    input; no network, no database), or from our own deals that were closed --from a day --to a day.

    \b
    path,conversions,nulls
    paid_search > webinar > demo,12,140

    path: channels in time order. conversions: paths of this sequence that became a deal that was won. nulls: those that
    did not (left out: none). markov: by the removal effect, the conversions that would be lost without the channel.
    shapley: each path's conversions shared equally by its channels.

    With nothing at all: what was learnt for the models of attribution.yaml that say learn, and from which deals.
    """
    if file is None and model is None and since is None and until is None:
        _show_kept(speech)
        return
    if model is None:
        raise click.UsageError("say how to learn: --model markov or --model shapley")
    if (file is None) == (since is None or until is None):
        raise click.UsageError("name either a table of paths, or --from and --to")
    if file is not None:
        with click.open_file(str(file), encoding="utf-8-sig", errors="surrogateescape") as opened:
            paths = read_paths(opened, "standard input" if str(file) == "-" else str(file))
    elif since is not None and until is not None:
        paths = _own_paths(since, until)
    try:
        learnt = learn(paths, model)
    except Fatal as error:
        if file is None or error.code != "HW-144":
            raise
        actions = ["add the paths that converted to the table, with their number under conversions"]
        raise Fatal(error.code, error.message, actions=actions) from None
    if speech.as_json:
        click.echo(json.dumps(_as_json(learnt), ensure_ascii=False))
    else:
        for line in _as_text(learnt):
            click.echo(line)


def _show_kept(speech: Speech) -> None:
    """
    What the service learns by itself.
    """
    from worker.cli.ground import ground
    from worker.cli.learnt import models
    from worker.cli.sync import service_of
    from worker.flows.taught import to_learn
    from worker.store import learnings, views

    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        with service.engine.connect() as connection:
            found = [{name: views.plain(value) for name, value in each.items()} for each in learnings.told(connection)]
    rules = to_learn(service.rules)
    asked = [{"model": name, "learner": rule.by, "over_months": rule.over_months} for name, rule in rules.items()]
    speech.answer({"models": asked, "learnings": found}, lambda: models(rules, found))


def _own_paths(since: datetime, until: datetime) -> list[PathCount]:
    """
    Those of the store's deals; days are the organisation's.
    """
    from worker.cli.ground import ground
    from worker.cli.sync import service_of
    from worker.flows.journeys import closed_journeys

    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        zone = ZoneInfo(service.rules.zone)
        with service.engine.connect() as connection:
            return closed_journeys(
                connection,
                service.rules,
                since.replace(tzinfo=zone),
                (until + timedelta(days=1)).replace(tzinfo=zone),
            )


def read_paths(lines: Iterable[str], shown: str) -> list[PathCount]:
    """
    The rows of the table. Raises ``ConfigError`` HW-132 with the lines that are wrong, at most 20 of them.
    """
    lines = iter(lines)
    first = next(lines, "")
    if first.startswith(UTF_16) or "\0" in first:
        raise _unusable([f"{shown}:1: the file is UTF-16; save it as UTF-8"])
    rows = csv.reader(chain((first,), lines), strict=True)
    paths: list[PathCount] = []
    problems: list[str] = []
    try:
        places = _places(next(rows, []), shown)
        for row in rows:
            if row:
                try:
                    paths.append(_path_count(row, places))
                except ValueError as error:
                    problems.append(f"{shown}:{rows.line_num}: {error}")
            if len(problems) == MOST_PROBLEMS:
                break
    except csv.Error as error:
        problems.append(f"{shown}:{rows.line_num}: not readable as CSV: {error}")
    if not paths and not problems:
        problems.append(f"{shown}:{rows.line_num + 1}: there is no path under the header")
    if problems:
        raise _unusable(problems)
    return paths


def _places(header: list[str], shown: str) -> dict[str, int]:
    """
    Where each column stands.
    """
    names = [name.strip().lower() for name in header]
    problems = []
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            meant = f'. Did you mean "{near[0]}"?' if near else f"; known are {', '.join(COLUMNS)}"
            problems.append(f'{shown}:1: unknown column "{name}"{meant}')
        elif names.count(name) > 1:
            problems.append(f'{shown}:1: two columns are named "{name}"')
    problems += [f'{shown}:1: the column "{name}" is missing' for name in COLUMNS[:2] if name not in names]
    if problems:
        raise _unusable(list(dict.fromkeys(problems)))
    return {name: place for place, name in enumerate(names)}


def _path_count(values: Sequence[str], places: Mapping[str, int]) -> PathCount:
    if len(values) != len(places):
        raise ValueError(f"{len(values)} values under {len(places)} columns")
    row = {name: values[place] for name, place in places.items()}
    if any("\udc80" <= letter <= "\udcff" for letter in row["path"]):
        raise ValueError("not UTF-8; save the file in that encoding")
    channels = [channel.strip() for channel in row["path"].split(">")]
    if not all(channels):
        raise ValueError(f'"{row["path"]}" names no channel in one place; write paid_search > webinar')
    if any(channel.endswith(("-", "=", "–", "—")) for channel in channels[:-1]) or "→" in row["path"]:
        raise ValueError(f'"{row["path"]}" is written with arrows; write paid_search > webinar')
    if " | " in row["path"]:
        raise ValueError(f'"{row["path"]}" is written with bars; write paid_search > webinar')
    return PathCount(channels, _count("conversions", row["conversions"]), _count("nulls", row.get("nulls", "0")))


def _count(name: str, text: str) -> int:
    whole, _, rest = text.strip().partition(".")
    if not (whole.isascii() and whole.isdigit()) or rest.strip("0") or int(whole[:20]) > MOST_COUNT:
        raise ValueError(f'{name}: "{text}" is no count; a whole number of at least 0 is expected')
    return int(whole)


def _unusable(problems: list[str]) -> ConfigError:
    count = len(problems)
    things = "one thing" if count == 1 else f"{count} things"
    if count >= MOST_PROBLEMS:
        things = f"the first {count} things"
    text = "\n".join(f"  {problem}" for problem in problems)
    return ConfigError("HW-132", f"{things} to correct in the table of paths\n{text}", ("headwater learn --help",))


def _as_json(learnt: Learnt) -> dict[str, Any]:
    return {
        "model": learnt.model,
        "conversions": learnt.conversions,
        "nulls": learnt.nulls,
        "channels": {
            channel: {
                "weight": float(weight),
                "share": share_text(weight.numerator, weight.denominator),
                "conversions": float(weight * learnt.conversions),
                **({"removal_effect": learnt.removal_effects[channel]} if learnt.removal_effects else {}),
            }
            for channel, weight in learnt.weights.items()
        },
    }


def _as_text(learnt: Learnt) -> Iterator[str]:
    yield f"{learnt.model}: {learnt.conversions:,} conversions, {learnt.nulls:,} paths without one"
    yield ""
    ranked = sorted(learnt.weights.items(), key=lambda item: (-item[1], item[0]))
    yield from table(
        ("CHANNEL", "WEIGHT", "CONVERSIONS", "REMOVAL EFFECT", ""),
        [
            (
                channel,
                f"{share_percent(weight.numerator, weight.denominator, 2)} %",
                f"{float(weight * learnt.conversions):,.2f}",
                f"{learnt.removal_effects[channel]:.2%}" if learnt.removal_effects else None,
                bar(weight),
            )
            for channel, weight in ranked
        ],
        right=(1, 2, 3),
    )
    yield ""
    yield "As a model of attribution.yaml:"
    parts = ", ".join(
        f"{json.dumps(channel, ensure_ascii=False)}: {share_text(weight.numerator, weight.denominator)}"
        for channel, weight in learnt.weights.items()
    )
    yield f"  {learnt.model}: {{channels: {{{parts}}}}}"
