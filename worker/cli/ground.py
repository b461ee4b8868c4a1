"""
What a command stands on: settings with a database and a broker, its own embedded ones where none are set.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from config.logging import configure_logging
from config.settings import Settings, load_settings
from worker.core.errors import Fatal
from worker.store.migrate import newest, present, upgrade
from worker.store.session import check, connect


@contextmanager
def ground(*, home: Path | None = None, durable: bool = True, keep: bool = True) -> Iterator[Settings]:
    """
    Settings whose database answers and has the shape this code expects.

    An embedded database is started and migrated; one that was given is only looked at. Raises Fatal HW-502 (no answer),
    HW-504 (other shape).
    """
    settings = load_settings()
    configure_logging(settings.log, level="warning")
    with ExitStack() as stack:
        if settings.database_url is None or settings.redis_url is None:
            from worker.embedded.parts import embedded

            parts = stack.enter_context(embedded(home or settings.home, durable=durable, keep=keep))
            given: dict[str, object] = {}
            if settings.database_url is None:
                given["database_url"] = parts.database_url
                upgrade(parts.database_url)
            if settings.redis_url is None:
                given["redis_url"] = parts.redis_url
            settings = load_settings(**given)
        _expect_shape(settings)
        yield settings


def _expect_shape(settings: Settings) -> None:
    assert settings.database_url is not None  # noqa: S101 - ground has just seen to it
    engine = connect(settings.database_url.get_secret_value(), pool_size=1)
    try:
        check(engine)
        found = present(engine)
    finally:
        engine.dispose()
    if found != newest():
        raise Fatal(
            "HW-504",
            f"the database is at {found or 'nothing yet'}, this version needs {newest()}",
            actions=["headwater migrate"],
        )
