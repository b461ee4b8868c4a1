"""
Puts an attribution into words: shares, positions, and the one sentence that sales reads on the opportunity.

Says only what ``path`` decided, with absolute dates, offers and campaigns as representatives know them, and never a
person's name. Called by the attribution flow and the console.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple

import polars as pl

from worker.core.attribution.path import PathSet
from worker.core.attribution.rules import AttributionRules, Model
from worker.core.chain import queried
from worker.core.columns import one, rows_where

# Salesforce's Text(255); characters beyond the basic plane count twice there, as in UTF-16.
LONGEST_SENTENCE: Final = 255
LONGEST_NAME: Final = 60

# Unicode's white space.
WHITESPACE: Final = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

# Types as a representative calls them; any other is its own name with spaces.
TYPE_WORDS: Final = {
    "webinar_attended": "webinar",
    "event_attended": "event",
    "demo_request": "demo",
    "campaign_response": "campaign",
}
MILESTONE_WORDS: Final = {"LC": "lead creation", "OC": "creation", "CW": "close"}
BASIS_WORDS: Final = {"roles": "by role", "account": "of the account", "primary": "as primary contact"}
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def share_text(numerator: int, denominator: int) -> str:
    """
    A share as text: a finite decimal where there is one ("0.6"), else the fraction in lowest terms ("1/3").
    """
    share = Fraction(numerator, denominator)
    rest, twos, fives = share.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{share.numerator}/{share.denominator}"
    places = max(twos, fives)
    digits = f"{share.numerator * 10**places // share.denominator:0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def share_percent(numerator: int, denominator: int, digits: int) -> Decimal:
    """
    A share in percent with that many digits, halves away from zero: (5, 8, 2) becomes 62.50.
    """
    scaled = Fraction(numerator * 100 * 10**digits, denominator)
    whole = (2 * abs(scaled.numerator) + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if scaled >= 0 else -whole).scaleb(-digits)


def positions_text(positions: Iterable[str]) -> str:
    """
    ["FT", "LC"] becomes "FT; LC"; no position becomes "".
    """
    return "; ".join(positions)


class Told(NamedTuple):
    """
    A touch as a sentence tells it: ``word`` its type as said, ``name`` of the offer or campaign or "", ``on`` the local
    day.
    """

    word: str
    name: str
    team: str
    on: date

    def label(self, longest: int) -> str:
        """
        "webinar Cost Control", the name cut to that many characters.
        """
        name = self.name if len(self.name) <= longest else self.name[: longest - 1].rstrip() + "…"
        if name.lower().startswith(self.word):
            return name
        return f"{self.word} {name}".strip()


class Facts(NamedTuple):
    """
    What a deal's sentence says: the opening touch (of any team, up to creation), the touches that hold a position of
    the model beside it, the reached milestones without a touch, those still pending; on how many path touches, of whom;
    and the sourcing team that an administrator set, with the day, where one did.
    """

    opening: Told | None
    held: Sequence[Told]
    bare: Sequence[str]
    pending: Sequence[str]
    touch_count: int
    people_count: int
    basis: str
    override: tuple[str, date] | None = None


def sentence(facts: Facts, model: str, version: str) -> str:
    """
    HW_Attribution_Why__c: at most 255 characters; what does not fit is shortened, then counted.
    """
    for longest_name in (LONGEST_NAME, 40, 25):
        for kept in range(len(facts.held), -1, -1):
            text = _written(facts, kept, longest_name, model, version)
            if _length(text) <= LONGEST_SENTENCE:
                return text
    return _cut(text)


def sentences(
    paths: PathSet,
    touches: pl.DataFrame,
    rules: AttributionRules,
    *,
    model: str,
    zone: str = "UTC",
    overrides: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """
    ``opportunity_id``, ``why``: one sentence a deal, by opportunity, as the latest clock of ``paths`` sees it.

    ``touches`` as handed to ``build_paths``; days are those of ``zone`` (an IANA name). ``overrides`` (OVERRIDE) are
    the sourcing teams that administrators set. Raises Fatal HW-141 for a model that the rules do not have.
    """
    chosen = rules.model(model)
    weighed = [name for name in rules.position_names if name in chosen.parts()]
    if paths.deals.is_empty():
        return pl.DataFrame(schema={"opportunity_id": pl.Int64, "why": pl.String})
    clock = paths.clocks["clock"]
    latest = rows_where(clock == one(str(clock.max()), pl.String))
    holders, openings = _holders(paths, latest, weighed), paths.opening_rows.to_list()
    told = _told({row for rows in (openings, *holders) for row in rows if row is not None}, touches, zone)
    set_by_hand = _set_by_hand(overrides, zone)
    seen = ("outcome", "touch_count", "holder:OC", *(f"state:{name}" for name in weighed))
    columns = {name: paths.deals[name] for name in ("opportunity_id", "people_count", "basis")}
    columns |= {name: paths.clocks[name][latest] for name in seen}
    rows = zip(*(column.to_list() for column in columns.values()), strict=True)
    label, why = _model_label(chosen), []
    for row, opening, holding in zip(rows, openings, holders, strict=True):
        deal = dict(zip(columns, row, strict=True))
        held = [told[touch] for touch in holding if touch != opening]
        facts = _facts(deal, told.get(opening), held, weighed, set_by_hand.get(deal["opportunity_id"]))
        why.append(sentence(facts, label, rules.version))
    return pl.DataFrame([paths.deals["opportunity_id"], pl.Series("why", why, dtype=pl.String)])


def _holders(paths: PathSet, groups: pl.Series, names: Sequence[str]) -> list[list[int]]:
    """
    Of each of these rows of clocks the touches (rows as handed in), in path order, that hold one of these positions.
    """
    starts = paths.starts[groups].to_list()
    held = zip(starts, *(paths.clocks[f"holder:{name}"][groups].to_list() for name in names), strict=True)
    places = [sorted({start + place for place in holders if place is not None}) for start, *holders in held]
    rows = pl.Series([place for each in places for place in each], dtype=pl.UInt32)
    touches = iter(paths.touch_rows[rows].to_list())
    return [list(islice(touches, len(each))) for each in places]


def _set_by_hand(overrides: pl.DataFrame | None, zone: str) -> dict[int, tuple[str, date]]:
    if overrides is None or overrides.is_empty():
        return {}
    on = pl.col("said_at").dt.convert_time_zone(zone).dt.date()
    rows = overrides.select("opportunity_id", pl.col("team").str.replace_all("_", " "), on).iter_rows()
    return {deal: (team, day) for deal, team, day in rows}


def _told(needed: set[int], touches: pl.DataFrame, zone: str) -> dict[int | None, Told]:
    """
    These touches as a sentence tells them, by row.
    """
    rows = sorted(needed)
    chosen = pl.Series(rows, dtype=pl.UInt32)
    occurred = touches["occurred_at"][chosen].to_frame()
    local_days = queried(occurred, _local_day(zone)).to_list()
    columns = (touches[name][chosen].to_list() for name in ("type", "offer", "campaign", "team"))
    return {
        row: Told(TYPE_WORDS.get(kind, kind).replace("_", " "), _name(offer, campaign), team.replace("_", " "), day)
        for row, kind, offer, campaign, team, day in zip(rows, *columns, local_days, strict=True)
    }


@lru_cache(maxsize=8)
def _local_day(zone: str) -> pl.Expr:
    return pl.col("occurred_at").dt.convert_time_zone(zone).dt.date()


# Deals by the thousand name a few dozen offers.
@lru_cache(maxsize=4_096)
def _name(offer: str | None, campaign: str | None) -> str:
    """
    The offer's name, else the campaign's, on one line.
    """
    name = campaign if offer is None else offer
    return "" if name is None else WHITESPACE.sub(" ", name).strip(" ")


def _facts(
    row: Mapping[str, Any],
    opening: Told | None,
    held: Sequence[Told],
    weighed: Sequence[str],
    override: tuple[str, date] | None,
) -> Facts:
    bare = [MILESTONE_WORDS.get(name, name) for name in weighed if row[f"state:{name}"] == "bare"]
    pending = [MILESTONE_WORDS.get(name, name) for name in weighed if row[f"state:{name}"] == "unreached"]
    # The last touch before the close is from before creation, so marketing did nothing while the deal was open.
    if row["outcome"] != "open" and row["touch_count"] and row["holder:OC"] == row["touch_count"] - 1:
        bare.append(MILESTONE_WORDS["CW"])
    return Facts(
        opening=opening,
        held=held,
        bare=bare if row["touch_count"] else [],
        pending=pending if row["outcome"] == "open" and row["touch_count"] else [],
        touch_count=row["touch_count"],
        people_count=row["people_count"],
        basis=row["basis"],
        override=override,
    )


def _written(facts: Facts, kept: int, longest_name: int, model: str, version: str) -> str:
    pieces = list(_pieces(facts, kept, longest_name))
    if facts.override is not None:
        team, on = facts.override
        pieces.insert(0, f"source set to {team} by an administrator {_day(on, 0)}")
    if not facts.touch_count:
        pieces.append("no marketing touch")
    elif not facts.held and (facts.opening is None or facts.opening.team != "marketing"):
        pieces.append(f"{facts.touch_count} marketing touch{'es' if facts.touch_count > 1 else ''}")
    if facts.bare:
        pieces.append(f"no marketing touch at {' or '.join(facts.bare)}")
    if facts.pending:
        pieces.append(f"{' and '.join(facts.pending)} pending")
    told = "; ".join(pieces)
    people = "1 person" if facts.people_count == 1 else f"{facts.people_count} people"
    stamp = version if version.startswith("v") else f"v{version}"
    return f"{told[:1].upper()}{told[1:]}. {model} {stamp}, {people} {BASIS_WORDS[facts.basis]}."


def _pieces(facts: Facts, kept: int, longest_name: int) -> Iterator[str]:
    """
    The opening, then the first ``kept`` holders; the year is said where it is another than the one said last.
    """
    year = 0
    if facts.opening is None:
        yield "no touch before creation"
    else:
        label, year = facts.opening.label(longest_name), facts.opening.on.year
        if facts.opening.team != "marketing":
            label = f"{facts.opening.team} ({label})"
        yield f"opened by {label} {_day(facts.opening.on, 0)}"
    for touch in facts.held[:kept]:
        yield f"{touch.label(longest_name)} {_day(touch.on, year)}"
        year = touch.on.year
    if kept < len(facts.held):
        yield f"{len(facts.held) - kept} more"


def _day(day: date, year_said: int) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}" + ("" if day.year == year_said else f" {day.year}")


def _model_label(model: Model) -> str:
    label = model.name.replace("_", " ")
    return label[:1].upper() + label[1:]


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str) -> str:
    while _length(text) >= LONGEST_SENTENCE:
        text = text[:-1]
    return text + "…"
