"""
Builds what a run needs out of settings and rule files. The only file that reads config or names a platform.

``build`` makes a Service for working; ``rules_of`` turns the rule files' models into the frozen rules of core.
"""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

import polars as pl
from cryptography.fernet import Fernet, MultiFernet
from pydantic import SecretStr
from sqlalchemy import Engine

from config.rulefiles import DECIDING, load_rules, stored_rules
from config.rulefiles import Rules as RuleFiles
from config.rules_accounts import AccountCondition
from config.rules_attribution import AttributionRules as AttributionFile
from config.rules_attribution import Milestone as MilestoneFile
from config.rules_attribution import Model as ModelFile
from config.rules_engagement import EngagementRules as EngagementFile
from config.rules_fields import ActivityObject
from config.rules_fields import FieldRules as FieldsFile
from config.rules_funnel import FunnelRules as FunnelFile
from config.rules_touches import Predicate as PredicateFile
from config.settings import Settings
from worker.broker.bell import bell
from worker.broker.shelf import RedisShelf
from worker.connectors.base import Sink, Source
from worker.connectors.http import HttpOptions
from worker.connectors.marketo.client import MarketoClient
from worker.connectors.marketo.streams import MarketoSource
from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.hosts import suffixes_of
from worker.connectors.salesforce.mapping import ObjectMap, activity_object, touch_object
from worker.connectors.salesforce.streams import ReadLimits, SalesforceSource
from worker.connectors.salesforce.writer import SalesforceSink
from worker.core.attribution.learnings import LearnRule
from worker.core.attribution.rules import AttributionRules, Model, Position
from worker.core.deals import DealRules
from worker.core.engagement.buying_group import GroupRules, PartRule
from worker.core.engagement.conditions import EXTRA, Condition
from worker.core.engagement.fit import Factor, FitRules
from worker.core.engagement.levels import LEVEL_PATTERNS, LevelRules
from worker.core.engagement.lists import ListRules, TargetList, Tier
from worker.core.engagement.rules import ActRule, EngagementRules
from worker.core.engagement.stages import QualifiedRules, StageLine
from worker.core.engagement.standing import StandingRules
from worker.core.errors import Fatal
from worker.core.funnel.quota import Group, QuotaRules, RevenueTarget
from worker.core.funnel.value import KindRules
from worker.core.matching.accounts import AccountRules
from worker.core.matching.keys import IdentityRules
from worker.core.matching.normalize import FREE_MAIL, ROLE_MAILBOXES
from worker.core.reconcile.rules import Target, TouchRecordRules, WriteRules
from worker.core.rules import Rules, TrackingRules
from worker.core.survivorship.rules import FieldRule, MergeRules
from worker.core.touchpoints.rules import (
    Attributes,
    ChannelRule,
    MachineRules,
    MemberRules,
    Predicate,
    TakeRule,
    TouchpointRules,
    TouchRule,
    TouchType,
)
from worker.core.touchpoints.screens import Screen
from worker.flows.run import Limits, Service
from worker.store import decisions, jobs, scopes
from worker.store.secrets import SealedVault
from worker.store.session import connect

# Which stream an object's records are read by, and which golden kind they are.
STREAMS: Final = {
    "Account": "salesforce.account",
    "Opportunity": "salesforce.opportunity",
    "Lead": "salesforce.lead",
    "Contact": "salesforce.contact",
}
# What stands beneath a deal, one record a touch.
TOUCH_OBJECT: Final = "HW_Touch__c"
# A year has every season once.
LEARN_OVER_MONTHS: Final = 12
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
    # A cycle asks many small questions of small frames: the streaming engine needs twice as long to begin each of them.
    pl.Config.set_engine_affinity("in-memory")
    engine = connect(settings.database_url.get_secret_value())
    client = salesforce_client(settings, files, engine=engine) if sources else None
    platforms = _platforms(settings, files, client) if client is not None else ({}, {})
    limits = Limits(lease=lease) if lease else Limits()
    return Service(
        engine=engine,
        rules=rules_of(files, register(engine, files) if decides else known_version(engine, files)),
        sources=platforms[0],
        sinks=platforms[1],
        owner=f"{socket.gethostname()}:{os.getpid()}",
        api_floor_percent=files.service.salesforce.api_floor_percent,
        api_cap_percent=files.service.salesforce.api_cap_percent,
        cycle_every=timedelta(minutes=files.service.cycle.every_minutes),
        limits=limits,
        ring=bell(settings.redis_url.get_secret_value()),
    )


def register(engine: Engine, files: RuleFiles) -> int:
    """
    Put these rules in force and give their version number; other rules than before have everything decided again.
    """
    with engine.begin() as connection:
        number = decisions.register_rules(connection, files.digest, as_json(files))
        if decisions.put_in_force(connection, number):
            scopes.everything_again(connection)
            if any(model.learn for model in files.attribution.models.values()):
                jobs.enqueue(connection, "learn")
    return number


def known_version(engine: Engine, files: RuleFiles) -> int:
    """
    The version number of these rules in the store, 0 where they were never in force.
    """
    with engine.connect() as connection:
        return decisions.rules_number(connection, files.digest) or 0


def files_of_version(engine: Engine, number: int, files: RuleFiles) -> RuleFiles:
    """
    The rules of an earlier version as the store has kept them, beside what of ``files`` decides nothing. Raises
    ConfigError HW-180 where this release does not understand them any more.
    """
    with engine.connect() as connection:
        return stored_rules(decisions.kept_rules(connection, number), files)


def past_rules(engine: Engine, files: RuleFiles) -> Callable[[int], Rules]:
    """
    Gives the rules of earlier versions by number, each read once.
    """

    @cache
    def of_version(number: int) -> Rules:
        return rules_of(files_of_version(engine, number, files), number)

    return of_version


def as_json(files: RuleFiles) -> dict[str, Any]:
    """
    The sections that decide, as the store keeps them.
    """
    return {name: getattr(files, name).model_dump(mode="json") for name in DECIDING}


def _platforms(
    settings: Settings, files: RuleFiles, client: SalesforceClient
) -> tuple[dict[str, Source], dict[str, Sink]]:
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
        activities=[
            *(activity_object(name, **_columns(fields)) for name, fields in files.fields.activities.items()),
            *touch_records_of(files),
        ],
        overlap=timedelta(minutes=files.service.salesforce.overlap_minutes),
        limits=ReadLimits(bulk_above=files.service.salesforce.bulk_above_rows, zone=files.service.org.timezone),
    )
    sources: dict[str, Source] = {"salesforce": salesforce}
    if files.service.marketing_platform.kind == "marketo":
        sources["marketo"] = marketo_source(settings, files)
    touches = _touch_rules(files)
    sink = SalesforceSink(
        client, bulk_above=files.service.writes.bulk_above_records, keys={touches.object: touches.key_field}
    )
    return sources, {"salesforce": sink}


def touch_records_of(files: RuleFiles) -> list[ObjectMap]:
    """
    How the records beneath deals are read back; none where they are not written.
    """
    touches = _touch_rules(files)
    if not touches.enabled:
        return []
    return [touch_object(touches.stream, touches.object, touches.key_field, touches.parent_field)]


def _touch_rules(files: RuleFiles) -> TouchRecordRules:
    said = files.fields.touch_records
    named = {ours: target.field for ours, target in files.fields.write.get(TOUCH_OBJECT, {}).items()}
    known = TouchRecordRules(object=TOUCH_OBJECT)
    return TouchRecordRules(
        # Without its key and its deal a record could neither be found again nor be made.
        enabled=said.enabled and {"key", "opportunity"} <= named.keys(),
        most_a_deal=said.most_a_deal,
        months_after_close=said.months_after_close,
        object=TOUCH_OBJECT,
        key_field=named.get("key", known.key_field),
        parent_field=named.get("opportunity", known.parent_field),
    )


def _columns(fields: ActivityObject) -> dict[str, Any]:
    """
    What a rule says of a custom object, by the columns of an act.
    """
    named = {
        "person_ref": fields.person,
        "account_ref": fields.account,
        "occurred_at": fields.at,
        "native_type": fields.type,
        "asset": fields.asset,
        "campaign_ref": fields.campaign,
        "actor_ref": fields.actor,
    }
    return {"fields": {name: given for name, given in named.items() if given}, "attributes": fields.attributes}


def salesforce_client(settings: Settings, files: RuleFiles, *, engine: Engine | None = None) -> SalesforceClient:
    """
    The connection to Salesforce that the settings describe; it logs in at its first call.

    With an engine it takes part in the installation: it shares its session through the broker. Without one it logs in
    for itself, as whoever tries the credentials wants it.
    """
    settings.need_salesforce()
    credentials = Credentials(
        settings.salesforce_login_url,
        settings.salesforce_client_id or "",
        username=settings.salesforce_username,
        private_key=_shown(settings.salesforce_private_key),
        client_secret=_shown(settings.salesforce_client_secret),
        refresh_token=_shown(settings.salesforce_refresh_token),
    )
    options = HttpOptions(ca_file=str(settings.salesforce_ca_file) if settings.salesforce_ca_file else None)
    seal = seal_of(settings)
    redis_url = _shown(settings.redis_url)
    return SalesforceClient(
        credentials,
        version=files.service.salesforce.api_version,
        options=options,
        host_suffixes=suffixes_of(settings.salesforce_login_url),
        shelf=RedisShelf(redis_url, seal) if engine is not None and redis_url else None,
        vault=SealedVault(engine, seal) if engine is not None and seal else None,
        logins_per_hour=files.service.salesforce.logins_per_hour,
    )


def seal_of(settings: Settings) -> MultiFernet | None:
    """
    What seals tokens at rest: the first key seals, all of them open. None where there is no key, and then no token ever
    leaves its process.
    """
    keys = _shown(settings.token_key)
    return MultiFernet([Fernet(key) for key in keys.split(",")]) if keys else None


def _shown(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


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
        if name in STREAMS or (name == TOUCH_OBJECT and _touch_rules(files).enabled)
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
        attribution=_attribution_rules(files.attribution, version, files.service.org.timezone),
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
            exclude_names=files.attribution.deals.exclude_names,
            include_zero_amount=files.attribution.deals.include_zero_amount,
            minimum_amount=files.attribution.deals.minimum_amount,
        ),
        standing=_standing_rules(files.engagement),
        tracking=TrackingRules(
            files.engagement.exclude.tracking_opt_out_fields, files.engagement.exclude.email_opt_out
        ),
        quota=_quota_rules(files.funnel),
        kinds=KindRules(files.funnel.renewal_types, files.funnel.expansion_types),
    )


def _quota_rules(file: FunnelFile) -> QuotaRules:
    return QuotaRules(
        file.baseline_months,
        file.win_rate_percent,
        file.deal_size,
        file.cycle_days,
        tuple(Group(group.name, group.teams, group.channels, group.types) for group in file.groups),
        tuple(RevenueTarget(target.period, target.revenue, target.groups) for target in file.targets),
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
        offers=tuple(TakeRule(rule.types, tuple(rule.take)) for rule in file.offers),
        campaigns=tuple(TakeRule(rule.types, tuple(rule.take)) for rule in file.campaigns),
        utm_campaigns=file.utm_campaigns,
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
        alert_days=file.alert_every_days,
        targets_only=file.enter.targets_only,
        intent=frozenset(file.intent.types),
        spike_points=file.intent.spike.points,
        spike_people=file.intent.spike.people_count,
        spike_times=file.intent.spike.times,
    )


def _standing_rules(file: EngagementFile) -> StandingRules:
    fit = file.fit
    return StandingRules(
        fit=FitRules(
            by=fit.by,
            start=fit.start_points,
            factors=tuple(Factor(each.name, each.points, _conditions(each.where)) for each in fit.factors),
            strong=fit.strong_from,
            moderate=fit.moderate_from,
            technology=fit.technology_fields,
        ),
        lists=ListRules(
            tiers=tuple(Tier(each.tier, _conditions(each.where)) for each in file.tiers),
            profile=tuple(_conditions(each.where) for each in file.profile),
            lists=tuple(
                TargetList(each.name, frozenset(each.accounts), _conditions(each.where), each.product)
                for each in file.target_lists
            ),
        ),
        group=GroupRules(
            needed=file.buying_group.needed,
            parts=tuple(PartRule(each.part, each.functions, each.levels) for each in file.buying_group.parts),
        ),
        stages=tuple(StageLine(each.stage, _conditions(each.where)) for each in file.stages),
        qualified=QualifiedRules(file.qualified.fit_bands, file.qualified.stages, file.qualified.hold_days),
    )


def _conditions(where: Sequence[AccountCondition]) -> tuple[Condition, ...]:
    return tuple(_condition(each) for each in where)


def _condition(file: AccountCondition) -> Condition:
    fact = file.field or f"{EXTRA}{file.extra}"
    match file.tests()[0]:
        case "missing":
            # missing: false is the opposite of missing: true.
            return Condition(fact, "missing", negated=file.missing == file.not_)
        case "equals":
            return Condition(fact, "in", (file.equals or "",), file.not_)
        case "in":
            return Condition(fact, "in", file.in_ or (), file.not_)
        case "contains":
            return Condition(fact, "contains", file.contains or (), file.not_)
        case "at_least":
            return Condition(fact, "at_least", (file.at_least or 0,), file.not_)
        case _:
            return Condition(fact, "below", (file.below or 0,), file.not_)


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


def _attribution_rules(file: AttributionFile, version: int, zone: str) -> AttributionRules:
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
        positions=positions_of(file.positions),
        models=models_of(file.models, learns_from=_paths_digest(file, zone)),
    )


# What of attribution.yaml says which touches stand on a closed deal's path, and in which channel.
_MAKES_PATHS: Final = ("types", "attributes", "machines", "touches", "members", "channels", "mediums", "empty_medium",
                       "other_channel", "same_touch_hours", "path", "deals")  # fmt: skip


def _paths_digest(file: AttributionFile, zone: str) -> str:
    """
    Tells rules that make other paths of the same acts apart.
    """
    said = file.model_dump(mode="json", include=set(_MAKES_PATHS)) | {"zone": zone}
    return hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def positions_of(file: Mapping[str, MilestoneFile]) -> list[Position]:
    """
    Positions defined by rule, as the engine takes them.
    """
    return [
        Position(name, "stage", each.stage)
        if each.stage
        else Position(name, "first_touch_of_type", each.touch_type or "")
        for name, each in file.items()
    ]


def models_of(file: Mapping[str, ModelFile], *, learns_from: str = "") -> list[Model]:
    """
    Models as the engine takes them; ``learns_from`` is a digest of what makes the paths that are learnt from.
    """
    return [
        Model(
            name,
            each.weights,
            each.half_life_days,
            each.channels,
            LearnRule(each.learn, each.over_months or LEARN_OVER_MONTHS, learns_from) if each.learn else None,
        )
        for name, each in file.items()
    ]


def _write_rules(files: RuleFiles) -> WriteRules:
    writes = files.service.writes
    return WriteRules(
        targets={
            name: {
                ours: Target(each.field, each.type.kind, each.type.length, each.type.scale, each.min_move_days)
                for ours, each in targets.items()
            }
            for name, targets in files.fields.write.items()
            if name in STREAMS or name == TOUCH_OBJECT
        },
        streams={name: STREAMS[name] for name in files.fields.write if name in STREAMS},
        kinds={name: KINDS[name] for name in files.fields.write if name in STREAMS},
        guard_percent=writes.guard_percent,
        guard_flips=writes.guard_flips,
        guard_floor_records=writes.guard_floor_records,
        touches=_touch_rules(files),
    )
