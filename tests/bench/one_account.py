"""
Times what one touch costs in a warm process, in a store and in one ten times as large, against the bare SQL that reads
and writes the same rows (``one_account.sql``).

The bound is for deciding again: the account's flag and where it stands, and every model's credits of its deals with
their words, each flow one transaction, from what is due to the commit. The whole trip of a stored response is told
beside it: classified, held against the person's other touches, then the same, with every job claimed, every run noted
and what is due next asked for. Both stores lie on one server and all sides alternate.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import text

from tests.bench import store
from tests.bench.ground import Alternating, Report, ground, load, statements_of
from tests.bench.warm_cycle import copied
from worker.embedded.parts import EmbeddedParts
from worker.flows.attribute import attribute
from worker.flows.drain import drain, follow_up
from worker.flows.engage import engage
from worker.flows.run import Run, Service
from worker.store import jobs

BASE_LEADS: Final = 2_000
COPIES: Final = {"small store": 10, "large store": 100}
MUST: Final = 10.0
FLOWS: Final = ("resolve", "engage", "attribute")
# What the floor does for the touch itself, before anything is decided again.
OF_THE_TOUCH: Final = ("member", "touch", "owner")
MEMBERS: Final = "salesforce.campaign_member"
# How often everything runs before it is timed: statements are prepared at their sixth turn.
WARM_UP: Final = 12
FLOOR: Final = statements_of(Path(__file__).with_suffix(".sql"))


@dataclass
class Side:
    """
    One store with a warm service on it and a warm session for the floor. ``account`` is the number of the next account
    somebody of whom responds; every sixth has an open deal with its contacts on it.
    """

    name: str
    url: str
    service: Service
    floor: "psycopg.Connection[Any]"
    copies: int
    turn: int = 0

    def arrive(self) -> str:
        """
        A response of a contact who is on an open deal, stored and due. Returns its record id.
        """
        self.turn += 1
        mark = store.mark_of(self.turn * 7 % self.copies)
        account = 2 + 6 * (self.turn % (BASE_LEADS // 60))
        contact = f"003{mark}{2 * account:08d}AAA"
        member = f"00v{mark}T{self.turn:07d}AAA"
        now = datetime.now(UTC)
        with self.service.engine.begin() as connection:
            connection.execute(
                text(
                    """
                    INSERT INTO source_member (stream, record_id, stamp_at, created_at, is_deleted, campaign_ref,
                        contact_ref, status, has_responded, responded_on)
                    VALUES (:stream, :member, :now, :now, false, :campaign, :contact, 'Responded', true, :today)
                    """
                ),
                {
                    "stream": MEMBERS,
                    "member": member,
                    "now": now,
                    "campaign": f"701{1 + self.turn % 200:012d}AAA",
                    "contact": contact,
                    "today": date.fromordinal(now.toordinal() - 1),
                },
            )
            connection.execute(
                text("INSERT INTO due (flow, kind, key) VALUES ('resolve', 'member', :key)"),
                {"key": f"{MEMBERS}:{member}"},
            )
            follow_up(connection, self.service)
        return member

    def drain(self, flows: Sequence[str]) -> None:
        """
        From what is due for these flows to their last commit.
        """
        while drain(self.service, flows):
            pass

    def runs(self) -> list[Run]:
        """
        A run of each of the two flows that decide, begun as the service begins it.
        """
        begun = []
        with self.service.engine.begin() as connection:
            for flow in ("engage", "attribute"):
                job = jobs.claim(connection, (flow,), owner="bench", lease=self.service.limits.lease)
                assert job is not None, flow
                now = datetime.now(UTC)
                run_id = jobs.begin_run(connection, job, now)
                rules = self.service.rules
                begun.append(Run(self.service.engine, job, run_id, now, rules, {}, {}, meter=self.service.meter))
        return begun

    def decide(self, runs: Sequence[Run]) -> None:
        """
        The account's flag and its deals' credits, committed.
        """
        for run, flow in zip(runs, (engage, attribute), strict=True):
            flow(run)

    def end(self, runs: Sequence[Run]) -> None:
        with self.service.engine.begin() as connection:
            for run in runs:
                jobs.finish(connection, run.job)
                jobs.end_run(connection, run.run_id, run.tally)

    def bare(self, values: Mapping[str, Any], statements: Sequence[str]) -> None:
        """
        The floor: the same rows read and written, one commit.
        """
        with self.floor.transaction():
            for name in statements:
                cursor = self.floor.execute(FLOOR[name].encode(), values)
                if cursor.description is not None:
                    cursor.fetchall()

    def written(self, member: str) -> dict[str, Any]:
        """
        What the service wrote for this response, as the floor's statements take it. Raise AssertionError where it did
        not decide the account and the deal.
        """
        touch = f"{MEMBERS}:{member}"
        with self.service.engine.begin() as connection:
            left = connection.execute(
                text("SELECT count(*) FROM due WHERE flow IN ('resolve', 'engage', 'attribute')")
            ).scalar_one()
            touchpoint, account, deals = connection.execute(
                text(
                    """
                    SELECT to_json(t), p.account_id,
                        ARRAY(SELECT id FROM opportunity o WHERE o.account_id = p.account_id)
                    FROM touchpoint t
                    JOIN crosswalk c ON c.kind = 'person' AND c.source = t.source AND c.record_id = t.person_ref
                    JOIN person p ON p.id = c.golden_id WHERE t.touch_id = :touch
                    """
                ),
                {"touch": touch},
            ).one()
            found: dict[str, Any] = {}
            for name, table, key, ids in (
                ("engagement", "engagement", "account_id", [account]),
                ("standing", "account_standing", "account_id", [account]),
                ("attributions", "attribution", "opportunity_id", deals),
                ("digests", "credit_digest", "opportunity_id", deals),
                ("credits", "credit", "opportunity_id", deals),
            ):
                rows = connection.execute(
                    text(f"SELECT to_json(t) FROM {table} t WHERE t.{key} = ANY(:ids)"), {"ids": ids}
                )
                found[name] = list(rows.scalars())
        assert left == 0, f"{left} subjects are left"
        assert len(deals) == 1, deals
        assert any(row["touch_id"] == touch for row in found["credits"]), "the touch earned no credit"
        assert touch in json.dumps(found["engagement"]), "the touch is no part of the flag"
        single = {"engagement", "standing"}
        return {
            "member": member,
            "touch": touch,
            "account": account,
            "deals": deals,
            "touchpoint": json.dumps(touchpoint),
            **{name: json.dumps(rows[0] if name in single else rows) for name, rows in found.items()},
        }

    def tidy(self) -> None:
        """
        What follows and is not timed: the plan, settled as if it had been written.
        """
        while drain(self.service):
            pass
        store.settle(self.url, self.service.rules)


def run(report: Report, *, small: bool, rounds: int | None = None) -> None:
    """
    Make both stores, warm up, time in turns.
    """
    turns = Alternating()
    with ground() as parts, ExitStack() as stack:
        sides = stores(report, parts, stack, COPIES if not small else {"small store": 2, "large store": 20})
        for side in sides:
            for _ in range(WARM_UP):
                play(side, Alternating())
        report.say(f"  one touch arrives; {load()}")
        for _ in range(rounds or (15 if small else 25)):
            for side in sides:
                play(side, turns)
    tell(report, turns, sides)


def stores(report: Report, parts: EmbeddedParts, stack: ExitStack, copies: Mapping[str, int]) -> list[Side]:
    """
    The small and the large store, copied from one decided base.
    """
    sides = []
    for copy in copied(parts, stack, BASE_LEADS, copies):
        store.vacuum(copy.url)
        sides.append(Side(copy.name, copy.url, copy.service, copy.floor, copy.times))
        rows = store.counts(copy.url)
        report.say(f"  {copy.name}: {rows['source_person']:,} leads and contacts, {rows['touchpoint']:,} touches")
    return sides


def play(side: Side, turns: Alternating) -> None:
    """
    A touch decided on its own, and another one's whole trip, each with a turn of the floor over the same rows.
    """
    member = side.arrive()
    side.drain(("resolve",))
    runs = side.runs()
    turns.time(f"{side.name}, decided", lambda: side.decide(runs))
    side.end(runs)
    values = side.written(member)
    turns.time(f"{side.name}, floor", lambda: side.bare(values, [name for name in FLOOR if name not in OF_THE_TOUCH]))
    side.tidy()
    member = side.arrive()
    turns.time(f"{side.name}, whole trip", lambda: side.drain(FLOWS))
    values = side.written(member)
    turns.time(f"{side.name}, its floor", lambda: side.bare(values, list(FLOOR)))
    side.tidy()


def tell(report: Report, turns: Alternating, sides: Sequence[Side]) -> None:
    report.turns(turns)
    small, large = (side.name for side in sides)
    for name in (small, large):
        ratio = turns.ratio(f"{name}, decided", f"{name}, floor")
        report.bound(f"{name}: flag and credits after one touch / floor", ratio, goal=MUST)
    growth = turns.ratio(f"{large}, decided", f"{small}, decided")
    report.bound("flag and credits in ten times the store", growth, goal=1.3)
    for name in (small, large):
        report.say(f"  {name}: whole trip / its floor: {turns.ratio(f'{name}, whole trip', f'{name}, its floor'):.1f}x")
    grown = turns.ratio(f"{large}, whole trip", f"{small}, whole trip")
    report.say(f"  whole trip in ten times the store: {grown:.2f}x")
