"""
Rules of a test's own, written as a folder and brought into force; and those that were in force, for looking back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.rulefiles import load_rules
from config.settings import load_settings
from tests.service import Running, settings_of
from worker.core.rules import Rules
from worker.flows.as_of import Hindsight
from worker.store import past
from worker.wiring import build, past_rules


def folder_of(path: Path, files: dict[str, str]) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_text(content, encoding="utf-8")
    return path


def in_force_with(service: Running, folder: Path) -> None:
    """
    Have the rules in ``folder`` take effect, and one cycle decide by them.
    """
    settings = load_settings(
        database_url=service.database_url, redis_url=service.redis_url, rules=folder, **settings_of(service.org)
    )
    service.service.engine.dispose()
    service.service = build(settings)
    service.cycle()


@contextmanager
def hindsight_of(service: Running, **replaced: Any) -> Iterator[Hindsight]:
    """
    Look back by the rules of each day; ``replaced`` are fields of theirs that stand in no file.
    """
    engine = service.service.engine
    of_version = past_rules(engine, load_rules())

    def by_number(number: int) -> Rules:
        return replace(of_version(number), **replaced)

    with past.look_only(engine) as connection:
        yield Hindsight(connection, by_number)
