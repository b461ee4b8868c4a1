"""
Says in words and in JSON why an account is engaged or not: roles and counts, never a person's name; dates, not ages.

The sentence fits a text field of 255 characters. It decides nothing; ``flags`` is its only caller.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

import polars as pl

from worker.core.columns import sorted_by
from worker.core.engagement.points import ONE, age_factors
from worker.core.engagement.rules import LEVELS, EngagementRules, milli
from worker.core.rows import as_json, quoted, rows_of

LEFT_OUT: Final = "Not engaged: left out"  # how the sentence of an excluded account begins
LONGEST: Final = 255  # Salesforce's Text field
_LONGEST_LABEL: Final = 60
_MOST_ROLES: Final = 4
_BEYOND_BASIC_PLANE: Final = re.compile("[\U00010000-\U0010ffff]")
_LEAST_ACTS: Final = 30  # characters for the acts; where roles leave less, the people are only counted
_RANKS: Final = {level: place for place, level in enumerate(LEVELS)}


class Decided(NamedTuple):
    """
    What was decided of an account.
    """

    account_id: int
    engaged: bool
    excluded: str | None
    until_on: date | None
    points_milli: int
    people_count: int
    people_needed: int
    human_is_fresh: bool
    is_no_target: bool


class Act(NamedTuple):
    """
    An act with its points. ``occurred_at`` is in microseconds since 1970.
    """

    account_id: int
    occurred_at: int
    act_id: str
    person_id: int | None
    type: str
    label: str | None
    level: str | None
    role_label: str | None
    occurred_on: date
    raw_milli: int
    weight_milli: int
    age_days: int
    points_milli: int
    capped: bool
    screened: str | None


class Wording(NamedTuple):
    """
    What the rules have to do with words. The same for all accounts, as JSON: ``head``, how it begins, and ``ages``, an
    act's age and factor by age in days.
    """

    window_days: int
    enter_milli: int
    act_now: frozenset[str]
    head: str
    ages: Sequence[str]


_ACCOUNT: Final = attrgetter("account_id")
_TIME: Final = attrgetter("occurred_at", "act_id")


def reasons(decided: pl.DataFrame, scored: pl.DataFrame, rules: EngagementRules) -> tuple[pl.Series, pl.Series]:
    """
    A sentence (``why``) and a JSON (``detail``) an account, in the order of ``decided``, which is that of account_id.
    ``scored`` are the acts with points.

    The JSON: the rules' version and window, what is missing or when it lapses, and every act that contributes with its
    raw points, weight, age factor and points, the latest first; the points of ``acts`` sum to ``points_milli``.
    Screened acts are listed with 0 points, acts over a cap are only counted.
    """
    wording = _wording(rules)
    why, detail = [], []
    for account, acts in _with_acts(decided, scored[list(Act._fields)]):
        why.append(_sentence(account, acts, wording))
        detail.append(_detail(account, acts, wording))
    return pl.Series("why", why, dtype=pl.String), pl.Series("detail", detail, dtype=pl.String)


def _with_acts(decided: pl.DataFrame, scored: pl.DataFrame) -> Iterator[tuple[Decided, list[Act]]]:
    """
    Each account with its acts, the latest first.
    """
    acts = rows_of(sorted_by(scored, "account_id"), Act)
    groups = groupby(acts, key=_ACCOUNT)
    account_id, theirs = next(groups, (None, iter(())))
    for account in rows_of(decided, Decided):
        while account_id is not None and account_id < account.account_id:
            account_id, theirs = next(groups, (None, iter(())))
        found = list(theirs) if account_id == account.account_id else []
        found.sort(key=_TIME, reverse=True)
        yield account, found


@lru_cache(maxsize=16)
def _wording(rules: EngagementRules) -> Wording:
    head = {
        "rule_version": rules.version,
        "window_days": rules.window_days,
        "half_life_days": rules.half_life_days,
        "enter_points_milli": milli(rules.enter_points),
        "stay_points_milli": milli(rules.stay_points),
    }
    ages = [f'"age_days":{age},"age_factor":{factor / ONE:.9g}' for age, factor in enumerate(age_factors(rules))]
    return Wording(rules.window_days, milli(rules.enter_points), rules.act_now, as_json(head)[:-1], ages)


def _sentence(account: Decided, acts: Sequence[Act], wording: Wording) -> str:
    if account.excluded is not None:
        return f"{LEFT_OUT} ({account.excluded})."[:LONGEST]
    earning = [act for act in acts if act.points_milli > 0]
    tail = f". Lapses {_day(account.until_on)} if quiet." if account.engaged and account.until_on else "."
    if not earning:
        return f"No counted act in {wording.window_days} days{tail}"
    lead = "" if account.engaged else f"Not engaged, needs {_needs(account, wording)}. So far "
    room = LONGEST - len(lead) - len(": ") - len(tail)
    bare, named = _who(account.people_count, _roles(earning))
    who = named if named and room - _length(named) >= _LEAST_ACTS else bare
    return f"{lead}{who}: {_what(_labels(earning, wording), room - _length(who))}{tail}"


def _needs(account: Decided, wording: Wording) -> str:
    """
    What the account lacks to enter, in words.
    """
    people_short = account.people_needed - account.people_count
    needs = [
        "more activity" if account.points_milli < wording.enter_milli else "",
        "1 more person" if people_short == 1 else f"{people_short} more people" if people_short > 1 else "",
        "" if account.human_is_fresh else "a fresh act by a person",
        "a place in the customer profile or a target list" if account.is_no_target else "",
    ]
    *others, last = filter(None, needs)
    return f"{', '.join(others)} and {last}" if others else last


def _roles(earning: Sequence[Act]) -> list[tuple[str, int]]:
    """
    The roles of the people who earned points, each by the latest that is known, with how many hold them: the most
    senior first, then the most frequent.
    """
    latest: dict[int, tuple[str, int]] = {}
    for act in earning:
        if act.person_id is not None and act.person_id not in latest and act.role_label and act.role_label.strip():
            latest[act.person_id] = (act.role_label, _RANKS.get(act.level or "", len(LEVELS)))
    held: dict[str, list[int]] = {}
    for role, rank in latest.values():
        held.setdefault(role, []).append(rank)
    order = sorted(held.items(), key=lambda item: (min(item[1]), -len(item[1]), item[0]))
    return [(role, len(ranks)) for role, ranks in order]


def _who(people_count: int, roles: Sequence[tuple[str, int]]) -> tuple[str, str]:
    """
    Who it was, only counted, and with roles; the latter is empty where none is known.
    """
    if not people_count:
        return "company only", ""
    counted = "1 person" if people_count == 1 else f"{people_count} people"
    if not roles:
        return counted, ""
    shown = roles[:_MOST_ROLES]
    others = people_count - sum(count for _, count in shown)
    more = f", {others} others" if others > 1 else ", 1 other" if others else ""
    named = ", ".join(_clipped(role) if count == 1 else f"{count} {_clipped(role)}" for role, count in shown)
    return counted, f"{counted} ({named}{more})"


# An act's label among those of its account, in their order: whether it is no request, its points (negative), the label,
# when it was last, and how often.
_Line = tuple[bool, int, str, date, int]


def _labels(earning: Sequence[Act], wording: Wording) -> list[str]:
    """
    What was done, requests first, then by points: each label once, with the day of a request and how often.
    """
    lines: dict[str, _Line] = {}
    for act in earning:
        label = (act.label.strip() if act.label else "") or act.type.replace("_", " ")
        is_quiet, points, _, latest_on, count = lines.get(label) or (True, 0, label, act.occurred_on, 0)
        is_quiet = is_quiet and act.type not in wording.act_now
        lines[label] = (is_quiet, points - act.points_milli, label, latest_on, count + 1)
    return [
        _clipped(label) + ("" if is_quiet else f" {_day(latest_on)}") + (f" {count}x" if count > 1 else "")
        for is_quiet, _, label, latest_on, count in sorted(lines.values())
    ]


def _what(labels: Sequence[str], room: int) -> str:
    """
    As many of the labels as fit in so many characters, and how many more there are.
    """
    length, fitting = 0, labels[0][: max(room, 0)]
    for place, label in enumerate(labels, start=1):
        length += _length(label) + (len(", ") if place > 1 else 0)
        if length > room:
            break
        more = f" and {len(labels) - place} more" if place < len(labels) else ""
        if length + len(more) <= room:
            fitting = ", ".join(labels[:place]) + more
    return fitting


def _clipped(text: str) -> str:
    """
    The text cut to what a part of a sentence may take.
    """
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1].rstrip()}…"


def _length(text: str) -> int:
    """
    A text's length as Salesforce counts it: letters beyond the basic plane, such as emoji, are two.
    """
    return len(text) if text.isascii() else len(text) + len(_BEYOND_BASIC_PLANE.findall(text))


@lru_cache(maxsize=1024)
def _day(on: date) -> str:
    return f"{on:%-d %b %Y}"


def _detail(account: Decided, acts: Sequence[Act], wording: Wording) -> str:
    # Put together by hand, as there are a million acts.
    lapses_on = account.until_on.isoformat() if account.until_on else None
    state = (
        f'"points_milli":{account.points_milli},"people_count":{account.people_count},'
        f'"people_needed":{account.people_needed},"excluded":{quoted(account.excluded)},'
        f'"missing":{_missing(account, wording)},"lapses_on":{quoted(lapses_on)},'
        f'"capped_count":{sum([act.capped for act in acts])}'
    )
    listed = [
        f'{{"act_id":{quoted(act.act_id)},"person_id":{"null" if act.person_id is None else act.person_id},'
        f"{_day_as_json(act.occurred_on)},{_weighed(act.raw_milli, act.weight_milli)},{wording.ages[act.age_days]},"
        f'"points_milli":{act.points_milli},{_words(act.type, act.label, act.screened)}}}'
        for act in acts
        if act.points_milli > 0 or act.screened is not None
    ]
    return f'{wording.head},{state},"acts":[{",".join(listed)}]}}'


def _missing(account: Decided, wording: Wording) -> str:
    """
    What the account lacks to enter, as JSON: thousandths of a point, people, whether an act by a person, and whether a
    place among the targets.
    """
    if account.engaged:
        return "null"
    return (
        f'{{"points_milli":{max(wording.enter_milli - account.points_milli, 0)},'
        f'"people":{max(account.people_needed - account.people_count, 0)},'
        f'"human_act":{"false" if account.human_is_fresh else "true"},'
        f'"target":{"true" if account.is_no_target else "false"}}}'
    )


@lru_cache(maxsize=1024)
def _day_as_json(on: date) -> str:
    return f'"on":"{on.isoformat()}"'


@lru_cache(maxsize=1024)
def _weighed(raw_milli: int, weight_milli: int) -> str:
    return f'"raw_milli":{raw_milli},"weight_milli":{weight_milli}'


@lru_cache(maxsize=10_000)
def _words(type_: str, label: str | None, screened: str | None) -> str:
    return as_json({"type": type_, "label": label, "screened": screened})[1:-1]
