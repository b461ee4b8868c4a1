"""
``headwater doctor``: checks everything the service stands on, each with its cure. It changes nothing.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from config.errors import ConfigError
from config.rulefiles import Rules as RuleFiles
from config.rulefiles import load_rules
from config.settings import Settings, load_settings
from worker.cli.ground import ground, holds_the_demo, in_the_demo
from worker.cli.output import FAILED, Speech, common
from worker.core.errors import HeadwaterError


@dataclass(frozen=True)
class Check:
    """
    One thing looked at: ok, warning or error, what was found, and what to do.
    """

    check: str
    level: str
    message: str
    actions: tuple[str, ...] = ()


@click.command("doctor")
@common
def command(speech: Speech) -> int:
    """
    Check environment, rules, database, broker, Salesforce and the marketing platform. Ends with 1 on an error.
    """
    checks = list(_all())
    speech.answer([asdict(check) for check in checks], lambda: told(checks))
    return FAILED if any(check.level == "error" for check in checks) else 0


def _all() -> Iterator[Check]:
    try:
        settings = load_settings()
        files = load_rules(settings.rules)
    except ConfigError as error:
        yield _of_error("settings and rules", error)
        return
    yield Check("settings and rules", "ok", f"rules in {files.folder}, digest {files.digest[:12]}")
    for note in settings.notes:
        yield Check("settings", "warning", note)
    # Set by the look at the database: in the demo's store a missing login means something else.
    in_demo = threading.Event()
    yield from _safely("database and broker", lambda: _ground(in_demo))
    demo_home = settings.home if in_demo.is_set() else None
    yield from _safely("Salesforce", lambda: _salesforce(settings, files), demo_home)
    if files.service.marketing_platform.kind != "none":
        yield from _safely("marketing platform", lambda: _platform(settings, files), demo_home)


def _safely(name: str, checks: Callable[[], Iterator[Check]], demo_home: Path | None = None) -> Iterator[Check]:
    try:
        yield from checks()
    except ConfigError as error:
        yield _of_error(name, in_the_demo(error, demo_home) if demo_home else error)
    except HeadwaterError as error:
        yield _of_error(name, error)


def _of_error(name: str, error: HeadwaterError | ConfigError) -> Check:
    words = f"{error.code}: {error.message}" + (f" ({error.vendor})" if error.vendor else "")
    return Check(name, "error", words, tuple(error.actions))


def _ground(in_demo: threading.Event) -> Iterator[Check]:
    import redis

    with ground() as settings:
        yield Check("database", "ok", "answers, and has the shape this version expects")
        if holds_the_demo(settings):
            in_demo.set()
            yield Check("store", "ok", "holds the demo's company")
        assert settings.redis_url is not None  # noqa: S101 - ground has seen to it
        try:
            redis.from_url(settings.redis_url.get_secret_value(), socket_connect_timeout=5).ping()
        except redis.RedisError as error:
            yield Check(
                "broker",
                "error",
                f"HW-505: the broker does not answer ({type(error).__name__})",
                ("echo $REDIS_URL",),
            )
        else:
            yield Check("broker", "ok", "answers")


def _salesforce(settings: Settings, files: RuleFiles) -> Iterator[Check]:
    from worker.connectors.salesforce.doctor import examine
    from worker.wiring import STREAMS, salesforce_client, write_fields

    extra = {name: list(files.fields.extra.get(stream, ())) for name, stream in STREAMS.items()}
    found = examine(salesforce_client(settings, files), write_fields=write_fields(files), extra_fields=extra)
    for finding in found:
        yield Check(f"Salesforce: {finding.check}", finding.level, finding.message, tuple(finding.actions))


def _platform(settings: Settings, files: RuleFiles) -> Iterator[Check]:
    from worker.wiring import marketo_source

    source = marketo_source(settings, files)
    offset = source.now()
    yield Check("marketing platform", "ok", f"the login works; its clock says {offset:%Y-%m-%d %H:%M:%S} UTC")


def told(checks: list[Check]) -> Iterator[str]:
    """
    The checks as people read them, and what is to be done at the end.
    """
    marks: Mapping[str, str] = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}
    for check in checks:
        yield f"{marks[check.level]}  {check.check}: {check.message}"
        for action in check.actions:
            yield f"           Try this: {action}"
    errors = sum(check.level == "error" for check in checks)
    warnings = sum(check.level == "warning" for check in checks)
    yield f"{len(checks)} checks, {errors} errors, {warnings} warnings."
