"""
What one rule file says about names that another declares: touch types, models, positions, fields, targets.

Each model checks itself; this is what no model can see alone. Called by ``config.rulefiles`` alone.
"""

from collections.abc import Iterable, Iterator, Mapping

from config.ruleerrors import hint
from config.rulemodel import RuleModel
from config.rules_accounts import AccountCondition
from config.rules_attribution import CREATION, MIDDLE, POSITIONS, AttributionRules
from config.rules_engagement import EngagementRules
from config.rules_fields import (
    GOLDEN_ACCOUNT,
    GOLDEN_OPPORTUNITY,
    GOLDEN_PERSON,
    WRITABLE,
    FieldRules,
    WriteTarget,
)
from config.yamlfile import YamlPath

Disagreement = tuple[str, YamlPath, str]


def disagreements(sections: Mapping[str, RuleModel]) -> Iterator[Disagreement]:
    """
    Section, path and words of every name that nobody declares. Sections that could not be read are left out.
    """
    attribution, engagement, fields = (sections.get(name) for name in ("attribution", "engagement", "fields"))
    if isinstance(attribution, AttributionRules):
        yield from _in_attribution(attribution)
        if isinstance(engagement, EngagementRules):
            yield from _in_engagement(engagement, attribution)
    if isinstance(engagement, EngagementRules) and isinstance(fields, FieldRules):
        yield from _in_accounts(engagement, fields)
    if isinstance(fields, FieldRules):
        yield from _in_golden_fields(fields)
        yield from _in_targets(fields)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f'unknown {what} "{name}"{hint(name, known)}'


def _in_attribution(rules: AttributionRules) -> Iterator[Disagreement]:
    types = rules.types
    named: list[tuple[YamlPath, str]] = [(("touches", i, "type"), rule.type) for i, rule in enumerate(rules.touches)]
    named += [(("channels", i, "types"), name) for i, rule in enumerate(rules.channels) for name in rule.types]
    for key, lines in (("offers", rules.offers), ("campaigns", rules.campaigns)):
        named += [((key, i, "types"), name) for i, rule in enumerate(lines) for name in rule.types]
    named += [(("positions", name), m.touch_type) for name, m in rules.positions.items() if m.touch_type is not None]
    for path, name in named:
        if name not in types:
            yield "attribution", path, _unknown("touch type", name, types)
    for name, milestone in rules.positions.items():
        if name in (*POSITIONS, MIDDLE) and not (name == CREATION and milestone.stage):
            yield "attribution", ("positions", name), f'"{name}" is a position already; choose another name'
    positions = {*POSITIONS, MIDDLE, *rules.positions}
    for model, rule in rules.models.items():
        for position in rule.weights:
            if position not in positions:
                yield "attribution", ("models", model, "weights", position), _unknown("position", position, positions)
    if rules.write_model not in rules.models:
        yield "attribution", ("write_model",), _unknown("model", rules.write_model, rules.models)
    elif rules.models[rules.write_model].learn is not None:
        words = (
            f'"{rules.write_model}" is learnt anew each month, and what is written to Salesforce would move by itself; '
            'choose one that stands here, or give this one "channels", as headwater learn prints them'
        )
        yield "attribution", ("write_model",), words


def _in_engagement(rules: EngagementRules, attribution: AttributionRules) -> Iterator[Disagreement]:
    types = attribution.types
    named: list[tuple[YamlPath, str]] = [(("points", name), name) for name in rules.points]
    named += [(("act_now", i), name) for i, name in enumerate(rules.act_now)]
    named += [(("supporting_types", i), name) for i, name in enumerate(rules.supporting_types)]
    named += [(("intent", "types", i), name) for i, name in enumerate(rules.intent.types)]
    for path, name in named:
        if name not in types:
            yield "engagement", path, _unknown("touch type", name, types)
    for i, name in enumerate(rules.act_now):
        if name in types and not (name in rules.points and rules.points[name].points):
            yield "engagement", ("act_now", i), f'"{name}" is to act now and earns no points'


def _in_accounts(rules: EngagementRules, fields: FieldRules) -> Iterator[Disagreement]:
    """
    The customer's own fields must be read before rules can look at them; lists and tiers must be there.
    """
    placed: list[tuple[YamlPath, AccountCondition]] = []
    for key in ("tiers", "profile", "target_lists", "stages"):
        for i, line in enumerate(getattr(rules, key)):
            placed += [((key, i, "where", j), each) for j, each in enumerate(line.where)]
    for i, factor in enumerate(rules.fit.factors):
        placed += [(("fit", "factors", i, "where", j), each) for j, each in enumerate(factor.where)]
    read = set(fields.extra.get("salesforce.account", ()))
    wanted: list[tuple[YamlPath, str, set[str], str]] = [
        (path, each.extra, read, "salesforce.account") for path, each in placed if each.extra is not None
    ]
    technology = enumerate(rules.fit.technology_fields)
    wanted += [(("fit", "technology_fields", i), name, read, "salesforce.account") for i, name in technology]
    people = {*fields.extra.get("salesforce.lead", ()), *fields.extra.get("salesforce.contact", ())}
    opted = enumerate(rules.exclude.tracking_opt_out_fields)
    wanted += [(("exclude", "tracking_opt_out_fields", i), name, people, "salesforce.contact") for i, name in opted]
    for path, name, known, stream in wanted:
        if name not in known:
            yield "engagement", path, f'"{name}" is not read; add it to "extra" of {stream} in fields.yaml'
    tiers = {each.tier for each in rules.tiers}
    for name in rules.tier_weights:
        if name not in tiers:
            yield "engagement", ("tier_weights", name), _unknown("tier", name, tiers)
    lists = [each.name for each in rules.target_lists]
    for path, each in placed:
        if each.field == "list":
            # A list may build on those before it only.
            before = lists[: path[1]] if path[0] == "target_lists" and isinstance(path[1], int) else lists
            for name in each.in_ or ([each.equals] if each.equals else []):
                if name not in before:
                    yield "engagement", path, _unknown("target list before this line", name, before)


def _in_golden_fields(rules: FieldRules) -> Iterator[Disagreement]:
    for entity, known in (("person", GOLDEN_PERSON), ("account", GOLDEN_ACCOUNT), ("opportunity", GOLDEN_OPPORTUNITY)):
        for name in getattr(rules, entity).fields:
            if name not in known:
                yield "fields", (entity, "fields", name), _unknown(f"field of {entity}", name, known)


def _in_targets(rules: FieldRules) -> Iterator[Disagreement]:
    for target_object, targets in rules.write.items():
        path: YamlPath = ("write", target_object)
        if target_object not in WRITABLE:
            yield "fields", path, _unknown("object", target_object, WRITABLE)
            continue
        taken: dict[str, str] = {}
        for name, target in targets.items():
            yield from _in_target((*path, name), name, target, WRITABLE[target_object])
            other = taken.setdefault(target.field.lower(), name)
            if other != name:
                yield "fields", (*path, name), f'"{name}" and "{other}" both go to {target.field}'


def _in_target(path: YamlPath, name: str, target: WriteTarget, known: Mapping[str, str]) -> Iterator[Disagreement]:
    if name not in known:
        yield "fields", path, _unknown("value of ours", name, known)
    elif target.type.kind != known[name]:
        yield "fields", (*path, "type"), f'"{name}" needs a field of type {known[name]}, not {target.type}'
    if target.min_move_days is not None and target.type.kind != "Date":
        yield "fields", (*path, "min_move_days"), f'"min_move_days" is for dates; "{name}" is {target.type}'
