"""
``headwater doctor``: checks everything the service stands on, each with its cure. It changes nothing.

With ``--writes`` it also lists what else happens in Salesforce when we write, and who else writes the same fields.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from config.errors import ConfigError
from config.rulefiles import Rules as RuleFiles
from config.rulefiles import load_rules
from config.settings import Settings, load_settings
from worker.cli.ground import ground, holds_the_demo, in_the_demo
from worker.cli.output import FAILED, Speech, common
from worker.core.errors import HeadwaterError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from worker.connectors.base import Usage
    from worker.connectors.salesforce.findings import Finding


# So many of one kind that are well are shown one by one.
_SHOWN_WELL: Final = 3


@dataclass(frozen=True)
class Check:
    """
    One thing looked at: ok, warning or error, what was found, what to do, and its code in ``docs/errors.md``.
    """

    check: str
    level: str
    message: str
    actions: tuple[str, ...] = ()
    code: str | None = None


@click.command("doctor")
@click.option(
    "--writes",
    is_flag=True,
    help="Also list the flows, triggers and rules that run when Headwater writes, and who else writes its fields.",
)
@common
def command(speech: Speech, *, writes: bool) -> int:
    """
    Check environment, rules, database, broker, Salesforce and the marketing platform. Ends with 1 on an error.
    """
    checks = list(_all(writes=writes))
    speech.answer([asdict(check) for check in checks], lambda: told(checks))
    return FAILED if any(check.level == "error" for check in checks) else 0


def _all(*, writes: bool) -> Iterator[Check]:
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
    yield from _safely("Salesforce", lambda: _salesforce(settings, files, writes=writes), demo_home)
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
    words = f"{error.message} ({error.vendor})" if error.vendor else error.message
    return Check(name, "error", words, tuple(error.actions), error.code)


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
                f"the broker does not answer ({type(error).__name__})",
                ("echo $REDIS_URL",),
                "HW-505",
            )
        else:
            yield Check("broker", "ok", "answers")


def _salesforce(settings: Settings, files: RuleFiles, *, writes: bool) -> Iterator[Check]:
    from worker.connectors.salesforce.automation import examine_writes
    from worker.connectors.salesforce.company import Company
    from worker.connectors.salesforce.doctor import examine
    from worker.store.session import connect
    from worker.wiring import STREAMS, salesforce_client, write_fields

    settings.need_salesforce()
    yield from _certificate(settings)
    sharing = "all processes share one, sealed" if settings.token_key else "each process has its own"
    cure = "" if settings.token_key else "; with HEADWATER_TOKEN_KEY they share one"
    yield Check("Salesforce: session", "ok", f"{sharing}{cure}")
    extra = {name: list(files.fields.extra.get(stream, ())) for name, stream in STREAMS.items()}
    written = write_fields(files)
    with ExitStack() as stack:
        engine = None
        if settings.salesforce_login == "refresh_token":
            # The token may be another by now, and the next one has to be kept: both are the database's.
            settings = stack.enter_context(ground(meets_org=False))
            assert settings.database_url is not None  # noqa: S101 - ground has seen to it
            engine = connect(settings.database_url.get_secret_value(), pool_size=1)
            stack.callback(engine.dispose)
        client = salesforce_client(settings, files, engine=engine)
        company = Company(files.service.org.timezone, files.service.org.currency)
        try:
            found = examine(client, write_fields=written, extra_fields=extra, company=company)
            yield from map(_of_finding, found)
            can_ask_more = not any(each.level == "error" and each.check in ("login", "host", "quota") for each in found)
            if writes and can_ask_more:
                yield from map(_of_finding, examine_writes(client, written, _changed_after_us()))
        finally:
            _count("salesforce", client.calls_made, client.usage())
    if writes:
        yield from _changed_by_others()


def _of_finding(finding: "Finding") -> Check:
    return Check(f"Salesforce: {finding.check}", finding.level, finding.message, finding.actions, finding.code)


def _certificate(settings: Settings) -> Iterator[Check]:
    from worker.connectors.salesforce.doctor import certificate_finding

    file, key = settings.salesforce_certificate_file, settings.salesforce_private_key
    if file is not None and key is not None:
        yield _of_finding(certificate_finding(file.read_bytes(), key.get_secret_value(), datetime.now(UTC)))


def _changed_after_us() -> dict[str, list[str]]:
    """
    Records of which somebody has changed a field after we wrote it, by object. None where there is no store to tell.
    """
    from worker.store.views import changed_after_us

    found: dict[str, list[str]] = {}
    try:
        with _store() as engine, engine.connect() as connection:
            for each in changed_after_us(connection):
                found.setdefault(each["object"], []).extend(each["ids"])
    except (ConfigError, HeadwaterError):
        return {}
    return {name: sorted(set(ids)) for name, ids in found.items()}


def _changed_by_others() -> Iterator[Check]:
    """
    What our own writing has met: fields of ours that somebody had changed between plan and apply, or after we had
    written them.
    """
    from worker.store.views import changed_after_us, changed_by_others

    with _store() as engine, engine.connect() as connection:
        found = changed_by_others(connection)
        undone = changed_after_us(connection)
    name = "Salesforce: writers"
    if not found and not undone:
        yield Check(name, "ok", "in 30 days nobody changed a field of ours between plan and apply, or after us")
    for each in undone:
        message = (
            f"{each['object']}.{each['field']}: somebody else changed it on {each['records']:,} records after we had "
            f"written it, for example {each['ids'][0]}, and we wrote it again"
        )
        actions = (
            f"headwater why {each['ids'][0]}",
            "Find the other writer: two that write one field undo each other.",
        )
        yield Check(name, "warning", message, actions, "HW-240")
    for each in found:
        message = (
            f"{each['object']}.{each['field']}: somebody else had changed it on {each['records']:,} records when ours "
            f"was to be written, for example {each['example']}; theirs was left"
        )
        actions = (f"headwater why {each['example']}", "See who edits it: the record's field history in Salesforce")
        yield Check(name, "warning", message, actions, "HW-240")


def _platform(settings: Settings, files: RuleFiles) -> Iterator[Check]:
    from worker.wiring import marketo_source

    source = marketo_source(settings, files)
    try:
        offset = source.now()
    finally:
        _count(source.name, source.calls(), source.usage())
    yield Check("marketing platform", "ok", f"the login works; its clock says {offset:%Y-%m-%d %H:%M:%S} UTC")


def _count(source: str, calls: int, usage: "Usage | None") -> None:
    """
    Put these calls on our account beside the workers': the platform counts them all alike. Without a store there is no
    account, which the look at the database has said.
    """
    from worker.store import apicalls

    if not calls:
        return
    try:
        with _store() as engine, engine.begin() as connection:
            apicalls.note(connection, source, "changes", calls, (usage.used, usage.allowed) if usage else None)
    except (ConfigError, HeadwaterError):
        return


@contextmanager
def _store() -> Iterator["Engine"]:
    from worker.store.session import connect

    with ground(meets_org=False) as settings:
        assert settings.database_url is not None  # noqa: S101 - ground has seen to it
        engine = connect(settings.database_url.get_secret_value(), pool_size=1)
        try:
            yield engine
        finally:
            engine.dispose()


def told(checks: list[Check]) -> Iterator[str]:
    """
    The checks as people read them, each that is not well with what is to be done; of many that are well, how many.
    """
    marks: Mapping[str, str] = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}
    well = Counter(check.check for check in checks if check.level == "ok")
    for check in checks:
        if check.level == "ok" and well[check.check] > _SHOWN_WELL:
            yield f"ok       {check.check}: {well[check.check]} looked at are well (--json lists them)"
            well[check.check] = 0
        if check.level == "ok" and well[check.check] == 0:
            continue
        code = f" ({check.code})" if check.code and check.level != "ok" else ""
        yield f"{marks[check.level]}  {check.check}{code}: {check.message}"
        for action in check.actions:
            yield f"           Try this: {action}"
    errors = sum(check.level == "error" for check in checks)
    warnings = sum(check.level == "warning" for check in checks)
    yield f"{len(checks)} checks, {errors} errors, {warnings} warnings."
