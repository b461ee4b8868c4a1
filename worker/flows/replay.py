"""
Decides an account again as of any moment: its flag and standing as known then, as known now of then, and replayed from
a past moment on with the memory that decisions have.

Reads only. Called by ``why`` and ``since``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from worker.core.engagement.standing import Stood
from worker.core.frames import INSTANT, Schema
from worker.core.rules import Rules
from worker.core.timeline import Lens
from worker.flows.as_of import Hindsight
from worker.flows.engage import stood_by
from worker.flows.reclassify import as_facts, classified, people_of, that_stand
from worker.store import decisions, past, standings

# What an account's decision remembers of the last one.
_MEMORY: Final[Schema] = {
    "was_engaged": pl.Boolean,
    "engaged_since_at": INSTANT,
    "was_band": pl.String,
    "alerted_at": INSTANT,
    "was_qualified": pl.Boolean,
    "qualified_since_at": INSTANT,
}


@dataclass(frozen=True)
class Engaged:
    """
    An account's flag (FLAG) and standing (STANDING) as mappings, and the number of the rules that made them.
    """

    flag: dict[str, Any]
    standing: dict[str, Any]
    lists: tuple[str, ...]
    rule_version: int


class AccountPast:
    """
    One account, to be decided as of any moment. What is not dated (its fields, who its people are, what was learnt) is
    as it is today.
    """

    def __init__(self, hindsight: Hindsight, account_id: int) -> None:
        self._hindsight = hindsight
        self._account_id = account_id
        self._account = decisions.account_facts(hindsight.connection, [account_id], with_records=True)
        self._acts: dict[int, tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]] = {}

    @property
    def is_there(self) -> bool:
        """
        Whether the account is known and not deleted.
        """
        return not self._account.is_empty()

    def remembered(self, at: datetime) -> dict[str, Any]:
        """
        What had last been decided at a moment, as memory for a decision.
        """
        return past.remembered(self._hindsight.connection, self._account_id, at)

    def decide(
        self, rules: Rules, lens: Lens, moment: datetime, memory: dict[str, Any], last: datetime | None = None
    ) -> Engaged:
        """
        The flag and standing by ``rules`` at ``moment`` of what ``lens`` sees. ``last`` is the decision before.
        """
        people, of_people, of_account = self._classified(rules)
        seen = of_people.filter(lens.sees())
        own = of_account.filter(lens.sees())
        facts = as_facts(people, that_stand(seen, rules), own)
        arrived = pl.concat([each.select("touch_id", "arrived_at") for each in (seen, own)])
        new = arrived.filter(pl.col("arrived_at") > last)["touch_id"] if last else arrived["touch_id"]
        facts = facts.with_columns(is_new=pl.col("act_id").is_in(new.implode()))
        account = self._account.with_columns(
            *(pl.lit(memory[name], dtype).alias(name) for name, dtype in _MEMORY.items()),
            decided_at=pl.lit(last or moment).cast(INSTANT),
        )
        deals = self._deals(rules, min(moment, lens.until))
        stood = stood_by(account, facts, deals, rules, self._hindsight.learnt, now=moment)
        return _engaged(stood, rules)

    def replay(self, rules_at: Callable[[datetime], Rules], lens: Lens, span: "Span") -> Engaged:
        """
        Decide again and again over a span, from what was remembered at its start: whenever something comes, before a
        pause ends, and when the rules change. ``span.by_arrival``: acts count from when they came, as in life; else
        from when they happened.
        """
        memory, last = span.memory, span.start
        for moment in self._moments(rules_at(span.end), lens, span):
            seen = Lens(min(moment, lens.until), lens.since, moment if span.by_arrival else None)
            found = self.decide(rules_at(moment), seen, moment, memory, last)
            memory, last = memory_of(found), moment
        return found

    def acts(self, rules: Rules) -> pl.DataFrame:
        """
        Everything that was done here: TOUCHPOINT with occurred_at and arrived_at, machines and doubles left out.
        """
        _, of_people, of_account = self._classified(rules)
        return pl.concat([that_stand(of_people, rules), of_account.filter(pl.col("machine").is_null())])

    def last_arrival(self, rules: Rules, lens: Lens) -> datetime | None:
        """
        When the last act that the lens sees had come.
        """
        _, of_people, of_account = self._classified(rules)
        found = [each.filter(lens.sees())["arrived_at"].max() for each in (of_people, of_account)]
        return max((each for each in found if isinstance(each, datetime)), default=None)

    def _moments(self, rules: Rules, lens: Lens, span: "Span") -> Iterator[datetime]:
        """
        When to decide: at the last news of each day, just before it where days passed, when rules changed, at the end.
        """
        _, of_people, of_account = self._classified(rules)
        clock = "arrived_at" if span.by_arrival else "occurred_at"
        news = pl.concat([each.filter(lens.sees()).select(at=clock) for each in (of_people, of_account)])[
            "at"
        ].to_list()
        news += [datetime.combine(day, datetime.max.time(), UTC) for day in self._deal_days()]
        moments = set(span.extra)
        last = span.start
        for at in sorted(each for each in news if span.start < each <= span.end):
            if at.date() > last.date() + timedelta(days=1):
                moments.add(at - timedelta(microseconds=1))
            moments.add(at)
            last = at
        # Within a day points only grow by what comes, so its last news decides for all of it.
        of_day: dict[Any, datetime] = {}
        for at in sorted(moments):
            of_day[at.astimezone(UTC).date(), at in span.extra] = at
        yield from sorted(set(of_day.values()) - {span.end})
        yield span.end

    def _classified(self, rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        if rules.version not in self._acts:
            connection, timeline = self._hindsight.connection, self._hindsight.timeline
            people = people_of(connection, [self._account_id], rules)
            self._acts[rules.version] = (
                people,
                timeline.arrived(classified(connection, "person", people["person_id"].to_list(), rules)),
                timeline.arrived(classified(connection, "account", [self._account_id], rules)),
            )
        return self._acts[rules.version]

    def _deals(self, rules: Rules, moment: datetime) -> pl.DataFrame:
        """
        The account's deals as they stood by their dates.
        """
        found = standings.deals_of(self._hindsight.connection, [self._account_id], rules.deals.exclude_types)
        today = moment.astimezone(UTC).date()
        is_later = (pl.col("closed_on") > today).fill_null(value=False)
        return found.filter(pl.col("created_on") <= today).with_columns(
            outcome=pl.when(is_later).then(pl.lit("open")).otherwise("outcome"),
            closed_on=pl.when(~is_later).then("closed_on"),
        )

    def _deal_days(self) -> list[Any]:
        found = standings.deals_of(self._hindsight.connection, [self._account_id], ())
        return [*found["created_on"].drop_nulls(), *found["closed_on"].drop_nulls()]


@dataclass(frozen=True)
class Span:
    """
    What is replayed: from a start with what was remembered there, to an end; ``extra`` instants are decided too.
    """

    start: datetime
    end: datetime
    memory: dict[str, Any]
    by_arrival: bool
    extra: frozenset[datetime] = frozenset()


def flag_as_known_then(hindsight: Hindsight, account: AccountPast, moment: datetime) -> Engaged:
    """
    What the rules of that moment made of what was known then, with the memory of what had been decided.
    """
    rules, memory, lens = hindsight.rules_at(moment), account.remembered(moment), Lens(moment, moment)
    last = account.last_arrival(rules, lens)
    turned_at = memory["turned_at"]
    if last is not None and (turned_at is None or turned_at <= last):
        # The band is decided when something comes, and stays while nothing does.
        memory["was_band"] = account.decide(rules, Lens(last, last), last, memory).flag["band"]
    return account.decide(rules, lens, moment, memory, last or moment)


def flag_as_known_now(hindsight: Hindsight, account: AccountPast, moment: datetime) -> Engaged:
    """
    What the rules of that moment make of all that is known today of what happened up to then.
    """
    rules = hindsight.rules_at(moment)
    start = moment - timedelta(days=rules.engagement.window_days + rules.engagement.hold_days)
    span = Span(start, moment, account.remembered(start), by_arrival=False)
    return account.replay(lambda _at: rules, Lens(moment), span)


def _engaged(stood: Stood, rules: Rules) -> Engaged:
    return Engaged(
        stood.flags.row(0, named=True),
        stood.standings.row(0, named=True),
        tuple(stood.memberships["list"].sort().to_list()),
        rules.version,
    )


def memory_of(found: Engaged) -> dict[str, Any]:
    """
    What the next decision remembers of this one.
    """
    return {
        "was_engaged": found.flag["engaged"],
        "engaged_since_at": found.flag["since_at"],
        "was_band": found.flag["band"],
        "alerted_at": found.flag["alerted_at"],
        "was_qualified": found.standing["qualified"],
        "qualified_since_at": found.standing["qualified_since_at"],
    }
