"""
What a command stands on: settings with a database and a broker, its own embedded ones where none are set.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from config.logging import configure_logging
from config.settings import Settings, load_settings
from worker.core.errors import Fatal
from worker.store import marks
from worker.store.migrate import newest, present, upgrade
from worker.store.session import check, connect


@contextmanager
def ground(*, home: Path | None = None, durable: bool = True, keep: bool = True) -> Iterator[Settings]:
    """
    Settings whose database answers and has the shape this code expects.

    An embedded database is started and migrated; one that was given is only looked at. A store that holds the demo's
    company goes by that company's rules. Raises Fatal HW-502 (no answer),
    HW-504 (other shape).
    """
    settings = load_settings()
    configure_logging(settings.log, level="warning")
    given: dict[str, object] = {}
    with ExitStack() as stack:
        if settings.database_url is None or settings.redis_url is None:
            from worker.embedded.parts import embedded

            parts = stack.enter_context(embedded(home or settings.home, durable=durable, keep=keep))
            if settings.database_url is None:
                given["database_url"] = parts.database_url
                upgrade(parts.database_url)
            if settings.redis_url is None:
                given["redis_url"] = parts.redis_url
            settings = load_settings(**given)
        if _expect_shape(settings) and "HEADWATER_RULES" not in os.environ:
            from worker.practice.company import RULES

            given["rules"] = RULES
            settings = load_settings(**given)
        yield settings


def _expect_shape(settings: Settings) -> bool:
    """
    Whether the store is the made-up company's; raises Fatal where it cannot be used.
    """
    assert settings.database_url is not None  # noqa: S101 - ground has just seen to it
    engine = connect(settings.database_url.get_secret_value(), pool_size=1)
    made_up = False
    try:
        check(engine)
        found = present(engine)
        if found == newest():
            with engine.connect() as connection:
                made_up = marks.is_made_up(connection)
    finally:
        engine.dispose()
    if found != newest():
        raise Fatal(
            "HW-504",
            f"the database is at {found or 'nothing yet'}, this version needs {newest()}",
            actions=["headwater migrate"],
        )
    return made_up
