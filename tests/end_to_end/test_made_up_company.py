"""
The made-up company, read, decided, planned and written back: what is said about it holds for every record of it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from tests.practice_org import PracticeOrg
from tests.service import Running, moved
from worker.practice.company import STORY, Company, fill, generate

pytestmark = pytest.mark.slow

SEED = 2_026
NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def company(org: PracticeOrg) -> Company:
    print(f"seed {SEED}")
    made = generate(SEED, NOW)
    org.control("POST", "clock", {"now": NOW.isoformat()})
    fill(made, org.url)
    return made


@pytest.fixture(scope="module")
def written(service: Running, company: Company) -> Running:
    """
    After a first cycle and an approved first plan.
    """
    service.cycle()
    service.approve()
    return service


def test_x(written: Running) -> None:
    import json
    print(json.dumps(written.status(), default=str, indent=1)[:6000])
    m=written.mark()
    written.settle()
    for c in written.calls(m): print(c['kind'],c['method'],c['path'],c['status'],c['rows'])
