"""
Instants as they are written.
"""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from worker.core.instants import to_the_minute, to_the_second


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        ("2026-11-22T13:52:13.596789Z", "2026-11-22 13:52 UTC"),
        ("2026-11-22T15:52:59+02:00", "2026-11-22 13:52 UTC"),
        (datetime(2026, 11, 22, 13, 52, 59, tzinfo=UTC), "2026-11-22 13:52 UTC"),
        (datetime(2026, 11, 22, 23, 30, tzinfo=timezone(timedelta(hours=-1))), "2026-11-23 00:30 UTC"),
        ("2026-11-22", "2026-11-22"),
        ("GIYDAOBNGEYS2MBW", "GIYDAOBNGEYS2MBW"),
        ("", "-"),
        (None, "-"),
    ],
)
def test_an_instant_is_shown_to_the_minute_and_anything_else_as_it_is(
    instant: datetime | str | None, shown: str
) -> None:
    assert to_the_minute(instant) == shown


def test_to_the_second_an_instant_is_written_in_utc_and_never_rounded_up() -> None:
    late = datetime(2026, 11, 22, 23, 30, 59, 999_999, tzinfo=timezone(timedelta(hours=-1)))
    assert to_the_second(late) == "2026-11-23T00:30:59Z"
