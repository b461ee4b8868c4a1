"""
Decides accounts again as of any moment: flags and standings as known then, as known now of then, and replayed from a
past moment on with the memory that decisions have. A set of accounts at a time, a day of theirs at a time.

Reads only. Called by ``why``, ``since`` and the reports.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import polars as pl

from worker.core.engagement.standing import Stood, window_start
from worker.core.frames import INSTANT, Schema
from worker.core.rules import Rules
from worker.core.timeline import Lens
from worker.flows.as_of import Hindsight
from worker.flows.engage import stood_by
from worker.flows.reclassify import as_facts, classified, people_of, that_stand
from worker.store import decisions, past, standings

MOMENT: Final[Schema] = {"account_id": pl.Int64, "at": INSTANT}
# What an account's decision remembers of the last one.
_MEMORY: Final = tuple(name for name in past.REMEMBERED if name not in {"account_id", "turned_at"})
_A_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Engaged:
    """
    An account's flag (FLAG) and standing (STANDING) as mappings, and the number of the rules that made them.
    """

    flag: dict[str, Any]
    standing: dict[str, Any]
    lists: tuple[str, ...]
    rule_version: int


@dataclass(frozen=True)
class Span:
    """
    What is replayed: from a start with what was remembered there (REMEMBERED), to an end; ``extra`` instants are
    decided too. ``by_arrival``: acts count from when they came, as in life; else from when they happened.
    """

    start: datetime
    end: datetime
    memory: pl.DataFrame
    by_arrival: bool
    extra: frozenset[datetime] = frozenset()


@dataclass(frozen=True)
class Replayed:
    """
    How the accounts stood in the end, and their turns on the way: account_id, at, engaged.
    """

    stood: Stood
    turns: pl.DataFrame


class AccountsPast:
    """
    Accounts, to be decided as of any moment. What is not dated (their fields, who their people are, what was learnt) is
    as it is today; accounts that are deleted are absent.
    """

    def __init__(self, hindsight: Hindsight, account_ids: Sequence[int]) -> None:
        self._hindsight = hindsight
        self._accounts = decisions.account_facts(hindsight.connection, account_ids, with_records=True)
        self.ids: Final = self._accounts["account_id"]
        self._acts: dict[int, tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]] = {}

    def remembered(self, at: datetime) -> pl.DataFrame:
        """
        REMEMBERED: what had last been decided at a moment, as memory for a decision.
        """
        return past.remembered(self._hindsight.connection, self.ids.to_list(), at)

    def decide(self, rules: Rules, lens: Lens, turns: pl.DataFrame, *, by_arrival: bool = False) -> Stood:
        """
        Flags and standings by ``rules`` of what ``lens`` sees, each account at its own instant: ``turns`` has
        account_id, ``at``, ``last`` (the decision before; null for none) and what REMEMBERED has. All of one UTC day:
        only days count for points and pauses.
        """
        people, of_people, of_account = self._classified(rules)
        whose = people.select("account_id", golden_id="person_id")
        now = turns["at"].max()
        assert isinstance(now, datetime)  # noqa: S101 - there is nobody to decide about nobody
        start = window_start(rules.engagement, now)
        # What lies before the window counts no more, but may be the first of two that are one.
        near = pl.col("occurred_at") >= start - timedelta(hours=rules.touchpoints.same_touch_hours)
        seen = _seen(of_people.filter(near), whose, lens, turns, by_arrival=by_arrival)
        own = _seen(of_account.filter(near), self._themselves(), lens, turns, by_arrival=by_arrival)
        facts = as_facts(people, that_stand(seen.select(of_people.columns), rules), own.select(of_account.columns))
        facts = facts.filter(pl.col("occurred_at") >= start)
        new = pl.concat([each.filter("is_new").select("touch_id") for each in (seen, own)])["touch_id"]
        accounts = self._accounts.drop(*_MEMORY, "decided_at").join(
            turns.select("account_id", *_MEMORY, decided_at=pl.coalesce("last", "at")), on="account_id"
        )
        stood = stood_by(
            accounts,
            facts.with_columns(is_new=pl.col("act_id").is_in(new.implode())),
            self._deals(rules, turns, lens),
            rules,
            self._hindsight.learnt,
            now=now,
        )
        return _stamped(stood, turns, now)

    def replay(self, rules_at: Callable[[datetime], Rules], lens: Lens, span: Span) -> Replayed:
        """
        Decide again and again over a span, from what was remembered at its start: whenever something comes, before a
        pause ends, and when the rules change.
        """
        state = self.ids.to_frame().join(span.memory, on="account_id", maintain_order="left")
        state = state.with_columns(last=pl.lit(span.start).cast(INSTANT))
        turns = []
        for moments in self._moments(rules_at(span.end), lens, span):
            asked = moments.join(state, on="account_id")
            earliest = moments["at"].min()
            assert isinstance(earliest, datetime)  # noqa: S101 - a moment is one
            found = self.decide(rules_at(earliest), lens, asked, by_arrival=span.by_arrival)
            now = asked.select("account_id", "was_engaged", last="at").join(memory_of(found), on="account_id")
            turned = pl.col("was_engaged") != pl.col("was_engaged_right")
            turns.append(now.filter(turned).select("account_id", at="last", engaged="was_engaged_right"))
            now = now.drop("was_engaged").rename({"was_engaged_right": "was_engaged"})
            state = state.update(now, on="account_id", include_nulls=True)
        return Replayed(found, pl.concat(turns))

    def acts(self, rules: Rules) -> pl.DataFrame:
        """
        Everything that was done here: TOUCHPOINT with occurred_at and arrived_at, machines and doubles left out.
        """
        _, of_people, of_account = self._classified(rules)
        return pl.concat([that_stand(of_people, rules), of_account.filter(pl.col("machine").is_null())])

    def last_arrivals(self, rules: Rules, lens: Lens) -> pl.DataFrame:
        """
        account_id and ``at``: when the last act that the lens sees had come; accounts without any are absent.
        """
        return self._news(rules, lens, "arrived_at").group_by("account_id").agg(pl.col("at").max()).sort("account_id")

    def came_late(self, rules: Rules, moment: datetime) -> bool:
        """
        Whether anything that had happened by a moment came after it.
        """
        _, of_people, of_account = self._classified(rules)
        late = Lens(moment).sees() & (pl.col("arrived_at") > moment)
        return any(acts.filter(late).height for acts in (of_people, of_account))

    def noted(self, at: datetime) -> pl.DataFrame:
        """
        account_id and ``at`` of everything that had been noted about them by a moment.
        """
        return past.turns_of(self._hindsight.connection, self.ids.to_list(), at)

    def _moments(self, rules: Rules, lens: Lens, span: Span) -> Iterator[pl.DataFrame]:
        """
        When to decide whom (MOMENT), in order of time: at the last news of each day, at the end of the day before where
        days passed, when rules changed, at the end.
        """
        clock = "arrived_at" if span.by_arrival else "occurred_at"
        news = pl.concat([self._news(rules, lens, clock), self._deal_days()])
        inside = news.filter((pl.col("at") > span.start) & (pl.col("at") <= span.end)).sort("account_id", "at")
        day, extra = pl.col("at").dt.date(), sorted(span.extra)
        before = pl.col("at").shift(1).over("account_id").fill_null(pl.lit(span.start)).dt.date()
        pauses = inside.filter(day > before + timedelta(days=1)).with_columns(
            at=pl.col("at").dt.truncate("1d") - _A_MOMENT
        )
        changes = self.ids.to_frame().join(pl.DataFrame({"at": extra}, schema={"at": INSTANT}), how="cross")
        # Within a day points only grow by what comes, so its last news decides for all of it; not so what rules do.
        phase = pl.sum_horizontal(pl.lit(0), *(pl.col("at") >= each for each in extra))
        keys = ["day", "phase", "is_news"]
        moments = (
            pl.concat([inside.with_columns(is_news=True), pauses.with_columns(is_news=True)])
            .vstack(changes.with_columns(is_news=pl.lit(value=False)).select("account_id", "at", "is_news"))
            .filter(pl.col("at") < span.end)
            .with_columns(day=day, phase=phase)
            .group_by(["account_id", *keys])
            .agg(pl.col("at").max())
            .sort(*keys, "account_id")
        )
        yield from (each.select("account_id", "at") for each in moments.partition_by(keys, maintain_order=True))
        yield self.ids.to_frame().with_columns(at=pl.lit(span.end).cast(INSTANT))

    def _news(self, rules: Rules, lens: Lens, clock: str) -> pl.DataFrame:
        """
        MOMENT of every act that the lens sees.
        """
        people, of_people, of_account = self._classified(rules)
        whose = people.select("account_id", golden_id="person_id")
        return pl.concat(
            acts.filter(lens.sees()).join(owners, on="golden_id").select("account_id", at=pl.col(clock).cast(INSTANT))
            for acts, owners in ((of_people, whose), (of_account, self._themselves()))
        )

    def _classified(self, rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        if rules.version not in self._acts:
            connection, timeline, ids = self._hindsight.connection, self._hindsight.timeline, self.ids.to_list()
            people = people_of(connection, ids, rules)
            self._acts[rules.version] = (
                people,
                timeline.arrived(classified(connection, "person", people["person_id"].to_list(), rules)),
                timeline.arrived(classified(connection, "account", ids, rules)),
            )
        return self._acts[rules.version]

    def _themselves(self) -> pl.DataFrame:
        return self.ids.to_frame().with_columns(golden_id="account_id")

    def _deals(self, rules: Rules, turns: pl.DataFrame, lens: Lens) -> pl.DataFrame:
        """
        The accounts' deals as they stood by their dates.
        """
        found = standings.deals_of(self._hindsight.connection, turns["account_id"].to_list(), rules.deals.exclude_types)
        on = turns.select("account_id", on=pl.min_horizontal("at", pl.lit(lens.until).cast(INSTANT)).dt.date())
        is_later = (pl.col("closed_on") > pl.col("on")).fill_null(value=False)
        return (
            found.join(on, on="account_id", maintain_order="left")
            .filter(pl.col("created_on") <= pl.col("on"))
            .with_columns(
                outcome=pl.when(is_later).then(pl.lit("open")).otherwise("outcome"),
                closed_on=pl.when(~is_later).then("closed_on"),
            )
            .drop("on")
        )

    def _deal_days(self) -> pl.DataFrame:
        """
        MOMENT of the end of each day on which a deal was created or closed.
        """
        found = standings.deals_of(self._hindsight.connection, self.ids.to_list(), ())
        end = pl.col("on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + timedelta(days=1) - _A_MOMENT
        days = [found.select("account_id", on=name).drop_nulls() for name in ("created_on", "closed_on")]
        return pl.concat(days).select("account_id", at=end.cast(INSTANT))


def _seen(
    acts: pl.DataFrame, owners: pl.DataFrame, lens: Lens, turns: pl.DataFrame, *, by_arrival: bool
) -> pl.DataFrame:
    """
    The acts that the lens sees up to their account's instant, and ``is_new``: they came after its last decision.
    """
    at, arrived = pl.col("at"), pl.col("arrived_at")
    within = (pl.col("occurred_at") <= at).fill_null(value=True)
    if by_arrival:
        within &= (arrived <= at).fill_null(value=True)
    return (
        acts.filter(lens.sees())
        .join(owners, on="golden_id")
        .join(turns.select("account_id", "at", "last"), on="account_id")
        .filter(within)
        .with_columns(is_new=(arrived > pl.col("last")).fill_null(value=True))
    )


def _stamped(stood: Stood, turns: pl.DataFrame, now: datetime) -> Stood:
    """
    What was decided now, with each account's own instant in its place.
    """

    def own(decided: pl.DataFrame, *names: str) -> pl.DataFrame:
        placed = decided.join(turns.select("account_id", "at"), on="account_id", maintain_order="left")
        is_now = [pl.when(pl.col(name) == now).then("at").otherwise(name).alias(name) for name in names]
        return placed.with_columns(is_now).drop("at")

    return Stood(
        own(stood.flags, "since_at", "alerted_at"),
        own(stood.standings, "qualified_since_at", "spiked_at"),
        stood.memberships,
    )


def memory_of(found: Stood) -> pl.DataFrame:
    """
    What the next decision remembers of these.
    """
    flags = found.flags.select(
        "account_id", "alerted_at", was_engaged="engaged", engaged_since_at="since_at", was_band="band"
    )
    standing = found.standings.select("account_id", "qualified_since_at", was_qualified="qualified")
    return flags.join(standing, on="account_id")


def flags_as_known_then(hindsight: Hindsight, accounts: AccountsPast, moment: datetime) -> Stood:
    """
    What had last been decided by a moment: what its rules made of what was known then, with the memory of what had
    been decided before.
    """
    rules, lens = hindsight.rules_at(moment), Lens(moment, moment)
    arrivals = accounts.last_arrivals(rules, lens).rename({"at": "came_at"})
    memory = accounts.remembered(moment).join(arrivals, on="account_id", how="left", maintain_order="left")
    # The band is decided when something comes or the flag turns, and stays while nothing does.
    is_later = pl.col("turned_at").is_null() | (pl.col("turned_at") <= pl.col("came_at"))
    came = memory.filter(pl.col("came_at").is_not_null() & is_later).with_columns(
        at=pl.col("came_at"), last=pl.lit(None, INSTANT)
    )
    bands = [
        accounts.decide(rules, Lens(moment, moment), each).flags.select("account_id", was_band="band")
        for each in _by_day(came)
    ]
    memory = memory.update(pl.concat(bands), on="account_id") if bands else memory
    last = _last_decided(hindsight, accounts, arrivals, moment)
    turns = memory.join(last, on="account_id", maintain_order="left").with_columns(last=pl.coalesce("came_at", "at"))
    return joined([accounts.decide(rules, lens, each) for each in _by_day(turns)])


def _last_decided(
    hindsight: Hindsight, accounts: AccountsPast, arrivals: pl.DataFrame, moment: datetime
) -> pl.DataFrame:
    """
    MOMENT: when each account was last decided by a moment: when something came, was noted or ruled otherwise, and at
    every review since, a week after the last decision; the moment itself where nothing ever did.
    """
    ruled = [each for each in hindsight.took_effect(datetime.min.replace(tzinfo=UTC)) if each <= moment]
    noted = pl.concat([arrivals.select("account_id", at="came_at"), accounts.noted(moment).cast(pl.Schema(MOMENT))])
    begun = noted.group_by("account_id").agg(pl.col("at").max())
    reviewed: dict[date, datetime | None] = {}
    rows = []
    for account_id, at in accounts.ids.to_frame().join(begun, on="account_id", how="left").iter_rows():
        known = max((each for each in (at, *ruled[-1:]) if each is not None), default=moment)
        day = known.astimezone(UTC).date()
        if day not in reviewed:
            reviewed[day] = _last_review(hindsight, day, moment)
        rows.append((account_id, reviewed[day] or known))
    return pl.DataFrame(rows, schema=MOMENT, orient="row")


def _last_review(hindsight: Hindsight, day: date, moment: datetime) -> datetime | None:
    """
    When an account that was decided on a day was last reviewed by a moment.
    """
    found = None
    while True:
        due = datetime.combine(day, time(), UTC) + decisions.REVIEW
        ran = hindsight.timeline.first_run_from(due)
        if ran is None or ran > moment:
            return found
        found, day = ran, ran.astimezone(UTC).date()


def flags_as_known_now(hindsight: Hindsight, accounts: AccountsPast, moment: datetime) -> Replayed:
    """
    What the rules of that moment make of all that is known today of what happened up to then: for accounts of which
    something came late. For all others what had been decided holds.
    """
    rules = hindsight.rules_at(moment)
    start = known_now_from(hindsight, moment)
    span = Span(start, moment, accounts.remembered(start), by_arrival=False)
    return accounts.replay(lambda _at: rules, Lens(moment), span)


def known_now_from(hindsight: Hindsight, moment: datetime) -> datetime:
    """
    Where a replay for a moment begins: what happened before no longer counts for it.
    """
    rules = hindsight.rules_at(moment)
    return moment - timedelta(days=rules.engagement.window_days + rules.engagement.hold_days)


def engaged_of(found: Stood, rule_version: int) -> Engaged:
    """
    The decision about the one account.
    """
    return Engaged(
        found.flags.row(0, named=True),
        found.standings.row(0, named=True),
        tuple(found.memberships["list"].sort().to_list()),
        rule_version,
    )


def joined(parts: Sequence[Stood]) -> Stood:
    """
    Decisions about different accounts as one.
    """
    frames = [pl.concat(each) for each in zip(*((p.flags, p.standings, p.memberships) for p in parts), strict=True)]
    return Stood(*frames)


def _by_day(turns: pl.DataFrame) -> list[pl.DataFrame]:
    if turns.is_empty():
        return []
    return turns.with_columns(day=pl.col("at").dt.date()).partition_by("day", include_key=False)
