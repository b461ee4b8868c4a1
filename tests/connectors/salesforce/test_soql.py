"""
Ids of 15 characters, as people copy them, and of 18, as the API gives them, are the same id.
"""

import pytest

from worker.connectors.salesforce.soql import full_id


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("0012300000bVTq1", "0012300000bVTq1AAG"),
        ("005xx000001SwiU", "005xx000001SwiUAAS"),
        ("001000000000000", "001000000000000AAA"),
    ],
)
def test_a_short_id_gets_the_three_characters_that_tell_its_capitals(short: str, full: str) -> None:
    assert full_id(short) == full
    assert full_id(full) == full


def test_what_is_no_id_stays_as_it_is() -> None:
    assert full_id("not an id at all") == "not an id at all"
    assert full_id("../../../../../") == "../../../../../"
