"""
What a command stands on: settings with a database and a broker, its own embedded ones where none are set.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from config.errors import ConfigError
from config.logging import configure_logging
from config.settings import Settings, load_settings
from worker.core.errors import Fatal
from worker.store import marks
from worker.store.migrate import newest, present, upgrade
from worker.store.session import check, connect


@contextmanager
def ground(
    *, home: Path | None = None, durable: bool = True, keep: bool = True, meets_org: bool = True
) -> Iterator[Settings]:
    """
    Settings whose database answers and has the shape this code expects.

    An embedded database is started and migrated; one that was given is only looked at. A store that holds the demo's
    company goes by that company's rules. ``meets_org`` is False for commands that only look into the store, or bring an
    organisation of their own. Raises Fatal HW-502 (no answer), HW-504 (other shape), HW-113 (the demo's store and
    another organisation). A ConfigError that says that no organisation is named leaves with the demo's advice where the
    store is the demo's.
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
        if not _expect_shape(settings, meets_org=meets_org):
            yield settings
            return
        if "HEADWATER_RULES" not in os.environ:
            from worker.practice.company import RULES

            given["rules"] = RULES
            settings = load_settings(**given)
        try:
            yield settings
        except ConfigError as error:
            raise in_the_demo(error, settings.home) from error


def in_the_demo(error: ConfigError, home: Path) -> ConfigError:
    """
    The error, with what it means in the demo's store where it says that no organisation is named in the environment.
    """
    if not error.message.endswith(" not set"):
        return error
    return ConfigError(
        error.code,
        f"{error.message}. This store belongs to the demo, whose company is only reached while the demo runs",
        (
            "make demo   # reads, decides and writes by itself; status, why and report look into it any time",
            f"eval $(headwater practice env --data {demo_folder(home)})   # the demo's orgs, while it runs",
            "export HEADWATER_HOME=.headwater/own   # another store, for your own Salesforce or practice orgs: README",
        ),
    )


def holds_the_demo(settings: Settings) -> bool:
    """
    Whether the database that the settings name holds the demo's company.
    """
    assert settings.database_url is not None  # noqa: S101 - ground has seen to it
    engine = connect(settings.database_url.get_secret_value(), pool_size=1)
    try:
        with engine.connect() as connection:
            return marks.is_made_up(connection)
    finally:
        engine.dispose()


def demo_folder(home: Path) -> Path:
    """
    Where the demo's practice orgs keep their records and say where they are served.
    """
    return home / "practice-demo"


def _demo_url(home: Path) -> str | None:
    from worker.practice.server import read_endpoints

    try:
        return read_endpoints(demo_folder(home)).https_url
    except (OSError, ValueError, TypeError):
        return None


def _expect_shape(settings: Settings, *, meets_org: bool) -> bool:
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
                if made_up and meets_org and settings.salesforce_client_id is not None:
                    marks.expect_no_other(connection, settings.salesforce_login_url, _demo_url(settings.home))
    finally:
        engine.dispose()
    if found != newest():
        raise Fatal(
            "HW-504",
            f"the database is at {found or 'nothing yet'}, this version needs {newest()}",
            actions=["headwater migrate"],
        )
    return made_up
