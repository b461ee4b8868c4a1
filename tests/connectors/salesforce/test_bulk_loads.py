"""
What a first load by a Bulk job costs in calls, whatever the way to Salesforce takes.
"""

import time
from collections.abc import Callable

import pytest

from tests.connectors.reader import Reader
from tests.connectors.salesforce.test_reading import LEAD, calls, leads, mark
from tests.practice_org import PracticeOrg
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.streams import DEFAULT_LIMITS, ReadLimits, SalesforceSource

pytestmark = pytest.mark.slow


def test_a_load_is_a_call_a_page_and_a_handful_more(org: PracticeOrg, connect: Callable[[], SalesforceClient]) -> None:
    org.create("Lead", leads(1_000))
    org.advance(5)
    source = SalesforceSource(connect(), limits=ReadLimits(bulk_above=100, bulk_page=400))
    before = mark(org)
    reader = Reader(LEAD)
    reader.read(source)
    time.sleep(0.5)
    reader.read_until_done(source, between=lambda: time.sleep(0.3))
    made = calls(org, before)
    pages = [path for _, path in made if path.endswith("/results")]
    asked = [path for method, path in made if method == "GET" and "/jobs/query/" in path and path not in pages]
    assert len(pages) == -(-len(reader.rows[LEAD]) // 400)
    # Its description and its size, the job, and its end; and how it does, as often as one has to ask.
    assert len(made) - len(pages) - len(asked) == 3, made


def test_half_a_million_rows_are_two_pages() -> None:
    assert -(-500_000 // DEFAULT_LIMITS.bulk_page) == 2
