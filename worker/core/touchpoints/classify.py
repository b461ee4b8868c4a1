"""
Decides for each native activity whether it is a touch and which: type, team, channel, offer, campaign, label.

First match wins in every list of rules. What no touch rule fits is not an act at all and yields no row. Whether a touch
stands for another or was a machine's by its neighbours is decided in ``duplicates``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote_plus

import polars as pl

from worker.core.frames import INSTANT, Schema
from worker.core.touchpoints.predicates import UTM_PREFIX, all_hold, any_holds, attribute, filled
from worker.core.touchpoints.rules import ChannelRule, TakeRule, TouchpointRules, TouchRule

# A native activity or campaign member with what is known of its campaign and of the user who did it.
ACTIVITY: Final[Schema] = {
    "touch_id": pl.String,  # "<stream>:<record id>"
    "origin": pl.String,  # "<source>.<shape>": marketo.activity, salesforce.member
    "source": pl.String,
    "person_ref": pl.String,
    "account_ref": pl.String,
    "occurred_at": INSTANT,
    "native_type": pl.String,
    "asset": pl.String,
    "attributes": pl.String,  # JSON object of text values
    "campaign_name": pl.String,
    "campaign_type": pl.String,
    "campaign_status": pl.String,
    "campaign_key": pl.String,  # one word for a program and the campaign it is linked with
    "member_status": pl.String,
    "actor_department": pl.String,
    "actor_title": pl.String,
    "actor_user_type": pl.String,
}

TOUCHPOINT: Final[Schema] = {
    "touch_id": pl.String,
    "source": pl.String,
    "person_ref": pl.String,
    "account_ref": pl.String,
    "occurred_at": INSTANT,
    "type": pl.String,
    "team": pl.String,
    "channel": pl.String,
    "offer": pl.String,
    "campaign": pl.String,
    "campaign_key": pl.String,
    "label": pl.String,
    "earns_credit": pl.Boolean,
    "machine": pl.String,
}

FLAGGED_BY_PLATFORM: Final = "the platform flags it as a bot's"


def classify(activities: pl.DataFrame, rules: TouchpointRules) -> pl.DataFrame:
    """
    ACTIVITY rows in, TOUCHPOINT rows out: those that are touches, in the same order.
    """
    if activities.is_empty() or not rules.touches:
        return pl.DataFrame(schema=TOUCHPOINT)
    asked = _asked(activities, rules)
    if not asked:
        return pl.DataFrame(schema=TOUCHPOINT)
    known = _with_parameters(activities, rules)
    fitting = pl.coalesce(_touch_rule(number, rules.touches[number], natives) for number, natives in asked.items())
    ruled = known.with_columns(rule=fitting)
    touches = ruled.filter(pl.col("rule").is_not_null() & pl.col("occurred_at").is_not_null()).with_columns(
        type=pl.col("rule").replace_strict(
            {number: rules.touches[number].type for number in asked}, return_dtype=pl.String
        ),
        team=pl.col("rule").replace_strict(
            {number: rules.touches[number].team for number in asked}, return_dtype=pl.String
        ),
    )
    types = set(touches["type"])
    channels = [rule for rule in rules.channels if not rule.types or types & set(rule.types)]
    decided = touches.with_columns(
        channel=pl.coalesce(*(_channel(rule, rules) for rule in channels), pl.lit(rules.other_channel)),
        offer=_taken([rule for rule in rules.offers if not rule.types or types & set(rule.types)], {}),
        machine=pl.when(any_holds(rules.machines.where)).then(pl.lit(FLAGGED_BY_PLATFORM)),
        campaign=_taken(rules.campaigns, rules.utm_campaigns),
    )
    return decided.with_columns(
        earns_credit=_by_type({name: type_.eligible for name, type_ in rules.types.items()}, pl.Boolean)
        & pl.col("machine").is_null(),
        label=_label(_by_type({name: type_.label for name, type_ in rules.types.items()}, pl.String), pl.col("offer")),
    ).select(pl.col(name).cast(kind) for name, kind in TOUCHPOINT.items())


def _with_parameters(activities: pl.DataFrame, rules: TouchpointRules) -> pl.DataFrame:
    """
    The activities with url, query, referrer_host and the UTM parameters; an empty parameter is "", an absent one null.
    """
    names = rules.attributes
    located = activities.with_columns(url=pl.coalesce(*map(attribute, names.page), filled(pl.col("asset"))))
    queried = located.with_columns(
        query=pl.coalesce(*map(attribute, names.query), pl.col("url").str.extract(r"\?([^#]*)", 1)),
        referrer_host=pl.coalesce(*map(attribute, names.referrer), pl.lit(None, pl.String)).str.extract(
            r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*://)?([^/?#:]+)", 1
        ),
    )
    return queried.with_columns(
        _decoded(queried["query"].str.extract(r"(?:^|[?&])" + parameter + r"=([^&#]*)", 1), UTM_PREFIX + name)
        for name, parameter in names.utm.items()
    )


def _decoded(values: pl.Series, name: str) -> pl.Series:
    spelled = values.unique().drop_nulls().to_list()
    return values.replace(spelled, [unquote_plus(value).strip() for value in spelled]).alias(name)


def _asked(activities: pl.DataFrame, rules: TouchpointRules) -> dict[int, list[str | None]]:
    """
    The rules that some of these activities may fit, by number, each with the native types among them that it is for. A
    rule costs the same to ask for one activity as for a thousand, and most are for others.
    """
    kinds = list(activities.select("origin", "native_type").unique(maintain_order=True).iter_rows())
    found = {
        number: [native for origin, native in kinds if origin == rule.from_ and _is_for(rule, native)]
        for number, rule in enumerate(rules.touches)
    }
    return {number: natives for number, natives in found.items() if natives}


def _is_for(rule: TouchRule, native_type: str | None) -> bool:
    """
    Whether the native type is one of the rule's, of which "X*" stands for every beginning with X; a rule that names
    none is for all.
    """
    return not rule.native_type or (
        native_type is not None
        and any(
            native_type.startswith(name[:-1]) if name.endswith("*") else native_type == name
            for name in rule.native_type
        )
    )


def _touch_rule(number: int, rule: TouchRule, natives: Sequence[str | None]) -> pl.Expr:
    fits = (pl.col("origin") == rule.from_) & all_hold(rule.where)
    if rule.native_type:
        fits &= pl.col("native_type").is_in(natives)
    return pl.when(fits).then(pl.lit(number))


def _channel(rule: ChannelRule, rules: TouchpointRules) -> pl.Expr:
    fits = all_hold(rule.where)
    for column, allowed in (("type", rule.types), ("team", rule.teams), ("origin", rule.from_)):
        if allowed:
            fits &= pl.col(column).is_in(list(allowed))
    match rule.take:
        case "medium":
            medium = pl.col(UTM_PREFIX + "medium")
            spelled = (
                pl.when(medium == "")
                .then(pl.lit(rules.empty_medium))
                .otherwise(
                    pl.coalesce(
                        medium.str.to_lowercase().replace_strict(
                            dict(rules.mediums), default=None, return_dtype=pl.String
                        ),
                        medium,
                    )
                )
            )
            return pl.when(fits & medium.is_not_null()).then(spelled)
        case "campaign_type":
            return pl.when(fits).then(filled(pl.col("campaign_type")))
        case None:
            return pl.when(fits).then(pl.lit(rule.channel))


def _label(words: pl.Expr, offer: pl.Expr) -> pl.Expr:
    """
    What a reader would call the act: the type's words with the offer in the place of {offer}, or else behind them. An
    offer that only says the same again is left out.
    """
    named = offer.fill_null("")
    says_the_same = named.str.to_lowercase() == words.str.to_lowercase()
    behind = pl.when(says_the_same).then(words).otherwise(words + " " + named)
    placed = words.str.replace("{offer}", named, literal=True)
    return pl.when(words.str.contains("{offer}", literal=True)).then(placed).otherwise(behind).str.strip_chars()


def _taken(rules: Iterable[TakeRule], utm_campaigns: Mapping[str, str]) -> pl.Expr:
    """
    The first filled of the first rule that finds anything; a UTM campaign goes by its name where it has one.
    """
    found = [
        pl.when(pl.col("type").is_in(list(rule.types)) if rule.types else pl.lit(value=True)).then(
            pl.coalesce(_named(name, utm_campaigns) for name in rule.take)
        )
        for rule in rules
    ]
    return pl.coalesce(*found, pl.lit(None, pl.String))


def _named(name: str, utm_campaigns: Mapping[str, str]) -> pl.Expr:
    if name == "url":
        # The last part of the path is what people call a page; the start page has none.
        page = pl.col("url").str.extract(
            r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*://)?[^/?#]*/(?:[^?#]*/)?([^/?#]+)/?(?:[?#]|$)", 1
        )
        return filled(page.str.replace_all(r"[-_+]|%20", " "))
    value = filled(pl.col(UTM_PREFIX + name.removeprefix("utm_") if name.startswith("utm_") else name))
    if name != "utm_campaign" or not utm_campaigns:
        return value
    known = value.str.to_lowercase().replace_strict(dict(utm_campaigns), default=None, return_dtype=pl.String)
    return pl.coalesce(known, value)


def _by_type(values: Mapping[str, object], kind: type[pl.DataType]) -> pl.Expr:
    return pl.col("type").replace_strict(dict(values), default=None, return_dtype=kind)
