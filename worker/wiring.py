"""
Builds what a run needs out of settings and rule files. The only file that reads config or names a platform.

``build`` makes a Service for working; ``rules_of`` turns the rule files' models into the frozen rules of core.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Engine

from config.rulefiles import Rules as RuleFiles
from config.rulefiles import load_rules
from config.rules_attribution import AttributionRules as AttributionFile
from config.rules_engagement import EngagementRules as EngagementFile
from config.rules_fields import FieldRules as FieldsFile
from config.rules_touches import Predicate as PredicateFile
from config.settings import Settings
from worker.broker.bell import bell
from worker.connectors.base import Sink, Source
from worker.connectors.http import HttpOptions
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.streams import MarketoSource
from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.streams import ReadLimits, SalesforceSource
from worker.connectors.salesforce.writer import SalesforceSink
from worker.core.attribution.rules import AttributionRules, Model, Position
from worker.core.deals import DealRules
from worker.core.engagement.levels import LEVEL_PATTERNS, LevelRules
from worker.core.engagement.rules import ActRule, EngagementRules
from worker.core.errors import Fatal
from worker.core.matching.accounts import AccountRules
from worker.core.matching.keys import IdentityRules
from worker.core.matching.normalize import FREE_MAIL, ROLE_MAILBOXES
from worker.core.reconcile.rules import Target, WriteRules
from worker.core.rules import Rules
from worker.core.survivorship.rules import FieldRule, MergeRules
from worker.core.touchpoints.rules import (
    Attributes,
    ChannelRule,
    MachineRules,
    MemberRules,
    OfferRule,
    Predicate,
    TouchpointRules,
    TouchRule,
    TouchType,
)
from worker.core.touchpoints.screens import Screen
from worker.flows.run import Limits, Service
from worker.store import decisions, scopes
from worker.store.session import connect

# Which stream an object's records are read by, and which golden kind they are.
STREAMS: Final = {
    "Account": "salesforce.account",
    "Opportunity": "salesforce.opportunity",
    "Lead": "salesforce.lead",
    "Contact": "salesforce.contact",
}
KINDS: Final = {"Account": "account", "Opportunity": "opportunity", "Lead": "person", "Contact": "person"}


def build(
    settings: Settings,
    *,
    sources: bool = True,
    decides: bool = True,
    lease: timedelta | None = None,
    files: RuleFiles | None = None,
) -> Service:
    """
    A service on the database and the platforms that the settings name.

    ``sources`` False leaves the platforms out. ``decides`` False is for commands that only look: changed rule files do
    not take effect by being looked at. ``files`` are rules read before; none means to read them now. Raises
    ConfigError naming what is missing, Fatal HW-502 where the database does not answer.
    """
    if settings.database_url is None or settings.redis_url is None:
        raise Fatal("HW-101", "no database or broker is set", actions=["headwater up   (starts both on this machine)"])
    files = files or load_rules(settings.rules)
    engine = connect(settings.database_url.get_secret_value())
    platforms = _platforms(settings, files) if sources else ({}, {})
    limits = Limits(lease=lease) if lease else Limits()
    return Service(
        engine=engine,
        rules=rules_of(files, register(engine, files) if decides else known_version(engine, files)),
        sources=platforms[0],
        sinks=platforms[1],
        owner=f"{socket.gethostname()}:{os.getpid()}",
        api_floor_percent=files.service.salesforce.api_floor_percent,
        cycle_every=timedelta(minutes=files.service.cycle.every_minutes),
        limits=limits,
        ring=bell(settings.redis_url.get_secret_value()),
    )


def register(engine: Engine, files: RuleFiles) -> int:
    """
    Put these rules in force and give their version number; other rules than before have everything decided again.
    """
    with engine.begin() as connection:
        number = decisions.register_rules(connection, files.digest, _as_json(files))
        if decisions.put_in_force(connection, number):
            scopes.everything_again(connection)
    return number


def known_version(engine: Engine, files: RuleFiles) -> int:
    """
    The version number of these rules in the store, 0 where they were never in force.
    """
    with engine.connect() as connection:
        return decisions.rules_number(connection, files.digest) or 0


def _as_json(files: RuleFiles) -> dict[str, Any]:
    return {
        name: getattr(files, name).model_dump(mode="json")
        for name in ("service", "fields", "engagement", "attribution")
    }


def _platforms(settings: Settings, files: RuleFiles) -> tuple[dict[str, Source], dict[str, Sink]]:
    client = salesforce_client(settings, files)
    written = write_fields(files)
    extra = {
        name: list(files.fields.extra.get(stream, ()))
        for name, stream in STREAMS.items()
        if stream in files.fields.extra
    }
    salesforce = SalesforceSource(
        client,
        write_fields=written,
        extra_fields=extra,
        overlap=timedelta(minutes=files.service.salesforce.overlap_minutes),
        limits=ReadLimits(bulk_above=files.service.salesforce.bulk_above_rows),
    )
    sources: dict[str, Source] = {"salesforce": salesforce}
    if files.service.marketing_platform.kind == "marketo":
        sources["marketo"] = marketo_source(settings, files)
    return sources, {"salesforce": SalesforceSink(client)}


def salesforce_client(settings: Settings, files: RuleFiles) -> SalesforceClient:
    """
    The connection to Salesforce that the settings describe; it logs in at its first call.
    """
    settings.need_salesforce()
    key, secret = settings.salesforce_private_key, settings.salesforce_client_secret
    credentials = Credentials(
        settings.salesforce_login_url,
        settings.salesforce_client_id or "",
        username=settings.salesforce_username,
        private_key=key.get_secret_value() if key else None,
        client_secret=secret.get_secret_value() if secret else None,
    )
    options = HttpOptions(ca_file=str(settings.salesforce_ca_file) if settings.salesforce_ca_file else None)
    return SalesforceClient(credentials, version=files.service.salesforce.api_version, options=options)


def marketo_source(settings: Settings, files: RuleFiles) -> MarketoSource:
    """
    The connection to Marketo that the settings describe, reading the activity types that the rules speak of.
    """
    settings.need_marketo()
    secret = settings.marketo_client_secret
    client = MarketoClient(
        settings.marketo_url or "", settings.marketo_client_id or "", secret.get_secret_value() if secret else ""
    )
    start = datetime.combine(files.service.marketing_platform.start_on, time(), UTC)
    return MarketoSource(client, start_at=start, activity_types=activity_types(files))


def activity_types(files: RuleFiles) -> Sequence[int]:
    """
    Marketo's activity types that some touch rule looks at, each once.
    """
    return sorted(
        {
            int(native)
            for rule in files.attribution.touches
            if rule.from_ == "marketo.activity"
            for native in rule.native_type
            if native.isdigit()
        }
    )


def write_fields(files: RuleFiles) -> dict[str, list[str]]:
    """
    The API names of the fields we own, by object.
    """
    return {
        name: [target.field for target in targets.values()]
        for name, targets in files.fields.write.items()
        if name in STREAMS
    }


def rules_of(files: RuleFiles, version: int) -> Rules:
    """
    The rule files as the frozen rules that core decides by.
    """
    return Rules(
        version=version,
        zone=files.service.org.timezone,
        currency=files.service.org.currency,
        identity=IdentityRules(
            role_mailboxes=(ROLE_MAILBOXES | set(files.fields.role_mailboxes)) - set(files.fields.not_role_mailboxes)
        ),
        accounts=AccountRules(
            free_mail=(FREE_MAIL | set(files.fields.free_mail_domains)) - set(files.fields.not_free_mail_domains)
        ),
        merge=_merge_rules(files.fields),
        touchpoints=_touchpoint_rules(files.attribution, version),
        engagement=_engagement_rules(files.engagement, version),
        levels=_level_rules(files.engagement),
        attribution=_attribution_rules(files.attribution, version),
        write=_write_rules(files),
        write_model=files.attribution.write_model,
        screens=tuple(
            Screen(screen.label, screen.domains, screen.email_prefixes, screen.title_words)
            for screen in files.fields.screens
        ),
        own_domains=frozenset({*files.service.org.own_domains, *files.engagement.exclude.domains}),
        deals=DealRules(
            exclude_types=files.attribution.deals.exclude_types,
            exclude_record_types=files.attribution.deals.exclude_record_types,
            exclude_stages=files.attribution.deals.exclude_stages,
            include_zero_amount=files.attribution.deals.include_zero_amount,
            minimum_amount=files.attribution.deals.minimum_amount,
        ),
    )


def _merge_rules(fields: FieldsFile) -> Mapping[str, MergeRules]:
    named = {"person": fields.person, "account": fields.account, "opportunity": fields.opportunity}
    return {
        kind: MergeRules(
            {name: FieldRule(rule.keep, rule.blank_wins, rule.compare) for name, rule in record.fields.items()},
            stream_order=record.order,
        )
        for kind, record in named.items()
    }


def _touchpoint_rules(file: AttributionFile, version: int) -> TouchpointRules:
    return TouchpointRules(
        version=version,
        types={name: TouchType(each.label, each.eligible, each.response) for name, each in file.types.items()},
        attributes=Attributes(
            tuple(file.attributes.query),
            tuple(file.attributes.referrer),
            tuple(file.attributes.page),
            {str(part): name for part, name in file.attributes.utm.items()},
        ),
        machines=MachineRules(
            _predicates(file.machines.where),
            file.machines.within_seconds_of_delivery,
            file.machines.links_in_one_second_count,
        ),
        touches=tuple(
            TouchRule(rule.from_, rule.native_type, _predicates(rule.where), rule.type, rule.team)
            for rule in file.touches
        ),
        channels=tuple(
            ChannelRule(
                types=rule.types,
                teams=tuple(rule.teams),
                from_=rule.from_,
                where=_predicates(rule.where),
                channel=rule.channel,
                take=rule.take,
            )
            for rule in file.channels
        ),
        offers=tuple(OfferRule(rule.types, tuple(rule.take)) for rule in file.offers),
        mediums=file.mediums,
        members=MemberRules(file.members.responded_only, file.members.date, file.members.date_otherwise),
        empty_medium=file.empty_medium,
        other_channel=file.other_channel,
        same_touch_hours=file.same_touch_hours,
        other_warning_percent=Decimal(file.other_warning_percent),
    )


def _predicates(rules: Sequence[PredicateFile]) -> tuple[Predicate, ...]:
    return tuple(Predicate(each.source, each.name, each.test, each.values, each.negated) for each in rules)


def _engagement_rules(file: EngagementFile, version: int) -> EngagementRules:
    acts = {
        name: ActRule(
            points.points,
            cap=points.most_points,
            per=_CAP_PERIODS[points.per_days] if points.per_days in _CAP_PERIODS else _no_such_period(name),
        )
        for name, points in file.points.items()
    }
    return EngagementRules(
        version=str(version),
        window_days=file.window_days,
        half_life_days=file.half_life_days,
        acts=acts,
        act_now=frozenset(file.act_now),
        supporting=frozenset(file.supporting_types),
        level_weights={str(level): weight for level, weight in file.level_weights.items()},
        role_weights=dict(file.role_weights),
        tier_weights=dict(file.tier_weights),
        enter_points=file.enter.points,
        enter_people=file.enter.people_count,
        small_company_employees=file.enter.small_company_employees_below,
        small_company_people=file.enter.small_company_people_count,
        human_act_days=file.enter.human_act_within_days,
        stay_points=file.stay.points,
        hold_days=file.stay.hold_days,
        bands=tuple((band.band, band.from_points) for band in file.bands),
        excluded_types=frozenset(file.exclude.account_types),
        account_acts_cap_percent=int(file.account_acts.cap_percent),
    )


_CAP_PERIODS: Final[Mapping[int | None, str]] = {None: "day", 1: "day", 7: "week"}


def _no_such_period(name: str) -> str:
    raise Fatal("HW-151", f"engagement.yaml: the cap of {name} must be per 1 or per 7 days")


def _level_rules(file: EngagementFile) -> LevelRules:
    """
    The file's words first, then the patterns that come with the product.
    """
    own = tuple(
        (level.level, r"\b(" + "|".join(_escaped(word) for word in level.words) + r")\b") for level in file.title_levels
    )
    return LevelRules(levels=own + LEVEL_PATTERNS)


def _escaped(words: str) -> str:
    return "".join(f"\\{each}" if not each.isalnum() and each != " " else each for each in words.lower())


def _attribution_rules(file: AttributionFile, version: int) -> AttributionRules:
    return AttributionRules(
        version=str(version),
        lookback_days=file.path.lookback_days,
        account_people_days=file.path.account_basis_days,
        lead_creation_window_days=file.path.lead_creation_after_days,
        path=file.path.people,
        no_touch=file.no_touch,
        influence_days=file.influence_days,
        eligible_types=[name for name, each in file.types.items() if each.eligible],
        response_types=[name for name, each in file.types.items() if each.response],
        positions=[
            Position(name, "stage", each.stage)
            if each.stage
            else Position(name, "first_touch_of_type", each.touch_type or "")
            for name, each in file.positions.items()
        ],
        models=[Model(name, each.weights, each.half_life_days) for name, each in file.models.items()],
    )


def _write_rules(files: RuleFiles) -> WriteRules:
    writes = files.service.writes
    return WriteRules(
        targets={
            name: {
                ours: Target(each.field, each.type.kind, each.type.length, each.type.scale, each.min_move_days)
                for ours, each in targets.items()
            }
            for name, targets in files.fields.write.items()
            if name in STREAMS
        },
        streams={name: STREAMS[name] for name in files.fields.write if name in STREAMS},
        kinds={name: KINDS[name] for name in files.fields.write if name in STREAMS},
        guard_percent=writes.guard_percent,
        guard_flips=writes.guard_flips,
        guard_floor_records=writes.guard_floor_records,
    )
