"""
A cycle costs what has changed, not what is stored: a hundred changed leads take the same calls and the same rows with
ten times as many leads beside them.

By default 20,000 leads against 2,000; with ``--full`` 100,000 against 10,000.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.service import MACHINERY, Running, moved

pytestmark = pytest.mark.slow

LEADS_AN_ACCOUNT = 10
CHANGED = 100
MOVING = 40
WRITES = ("n_tup_ins", "n_tup_upd", "n_tup_del")
READS = ("seq_tup_read", "idx_tup_fetch")


@dataclass(frozen=True)
class Cost:
    """
    What one cycle took: its calls by method and path with the rows each carried, and the rows it read and wrote, of
    every table that holds what the service knows.
    """

    calls: list[tuple[str, str, int | None]]
    written: dict[str, tuple[int, ...]]
    read: dict[str, int]
    rows_read: int


@dataclass
class Field:
    """
    The leads of the test. Every tenth belongs to an account by its domain; the first hundred are those that change.
    """

    running: Running
    leads: list[str]
    accounts: list[str]

    def grow(self, to: int) -> None:
        """
        Have ``to`` leads, matched in the same proportion and with as many on each account as before.
        """
        org = self.running.org
        fresh = range(len(self.leads), to)
        count = to // 100
        names = [{"Name": f"Firm {n}", "Website": f"https://firm{n}.example"} for n in range(len(self.accounts), count)]
        self.accounts += org.create("Account", names)
        for start in range(0, len(fresh), 5_000):
            self.leads += org.create("Lead", [self._lead(number) for number in fresh[start : start + 5_000]])

    def _lead(self, number: int) -> dict[str, str]:
        is_matched = number < CHANGED or number % 10 == 0
        domain = f"firm{self.home(number)}.example" if is_matched else f"nobody{number}.example"
        return {"LastName": f"Lead {number}", "Company": f"Company {number}", "Email": f"lead{number}@{domain}"}

    def home(self, number: int) -> int:
        """
        Which account a matched lead is on: ten on each, whatever their number.
        """
        return number // LEADS_AN_ACCOUNT if number < CHANGED else number // 100

    def change(self, turn: int) -> list[str]:
        """
        Change a hundred leads as a person would, forty of them so that they belong to another account. Returns these.
        """
        records = []
        for number in range(CHANGED):
            record = {"Id": self.leads[number], "Title": f"Controller {turn}"}
            if number < MOVING:
                target = (self.home(number) + 10 * turn) % 20
                record["Email"] = f"lead{number}@firm{target}.example"
            records.append(record)
        self.running.colleague.update("Lead", records)
        return self.leads[:MOVING]


@pytest.fixture(scope="module")
def sizes(request: pytest.FixtureRequest) -> tuple[int, int]:
    return (10_000, 100_000) if request.config.getoption("--full", default=False) else (2_000, 20_000)


@pytest.fixture(scope="module")
def costs(service: Running, sizes: Sequence[int]) -> list[Cost]:
    field = Field(service, [], [])
    found = []
    for turn, size in enumerate(sizes, start=1):
        field.grow(size)
        service.settle()
        moving = field.change(turn)
        found.append(cost_of_a_cycle(service))
        print(size, found[-1])  # noqa: T201 - the figures behind the verdict
        there = service.colleague.query(
            "SELECT Email, HW_Matched_Account__r.Website FROM Lead WHERE HW_Matched_Account__c <> null "
            f"AND LastName IN ({', '.join(repr(f'Lead {number}') for number in range(MOVING))})"
        )
        assert len(there) == len(moving)
        for lead in there:
            assert lead["Email"].endswith(lead["HW_Matched_Account__r"]["Website"].removeprefix("https://"))
    return found


def cost_of_a_cycle(service: Running) -> Cost:
    before = service.counters()
    mark = service.mark()
    cycle = service.cycle()
    touched = moved(before, service.counters())
    known = {table: counts for table, counts in touched.items() if table not in MACHINERY}
    return Cost(
        calls=[(call["method"], call["path"].rpartition("/v")[2], call["rows"]) for call in service.calls(mark)],
        written={table: tuple(counts.get(name, 0) for name in WRITES) for table, counts in known.items()},
        read={table: sum(counts.get(name, 0) for name in READS) for table, counts in known.items()},
        rows_read=cycle.total("rows read"),
    )


def test_the_changed_leads_and_no_others_are_read(costs: list[Cost]) -> None:
    assert [cost.rows_read for cost in costs] == [CHANGED, CHANGED]


def test_ten_times_the_leads_take_the_same_calls(costs: list[Cost]) -> None:
    small, large = costs
    assert small.calls == large.calls
    writes = [rows for method, path, rows in large.calls if method == "PATCH"]
    assert writes == [MOVING]


def test_ten_times_the_leads_take_the_same_rows_written(costs: list[Cost]) -> None:
    small, large = costs
    assert {table: counts for table, counts in small.written.items() if any(counts)} == {
        table: counts for table, counts in large.written.items() if any(counts)
    }


def test_ten_times_the_leads_take_no_more_rows_read(costs: list[Cost]) -> None:
    small, large = costs
    assert sum(large.read.values()) <= sum(small.read.values()) * 1.1, (small.read, large.read)
