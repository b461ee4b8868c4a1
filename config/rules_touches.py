"""
The pieces of ``attribution.yaml`` that turn a native activity into a touch: predicates, touch types, touch rules,
channels, offers, campaigns. Simple data; the engine that applies them is elsewhere.
"""

from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from config.rulemodel import Name, Names, RuleModel, Text, Texts, Whole, YesNo, spelt

Team = Literal["marketing", "sales", "partner", "customer_success"]
TEAM_NAMES: Final[tuple[str, ...]] = get_args(Team)

PredicateField = Literal[
    "asset",
    "url",
    "query",
    "referrer_host",
    "native_type",
    "campaign_name",
    "campaign_type",
    "campaign_status",
    "member_status",
    "actor_department",
    "actor_title",
    "actor_user_type",
]
UtmPart = Literal["source", "medium", "campaign", "content", "term"]
PredicateSource = Literal["field", "attribute", "utm"]
PredicateTest = Literal["in", "contains", "words", "starts_with", "missing", "differs_from"]
TakenPart = Literal["asset", "campaign_name", "utm_campaign", "utm_content", "url"]

_SOURCES: Final = get_args(PredicateSource)
_TESTS: Final = ("equals", *get_args(PredicateTest))

# <source>.<shape>: what kind of record of which system a rule is about.
RecordKind = Annotated[
    Text, spelt(r"[a-z_]{2,40}\.(activity|member)", "kind of record; write marketo.activity or salesforce.member")
]


class Predicate(RuleModel):
    """
    One condition on an activity or a campaign member: what is looked at, the test, what it is held against.

    Comparisons trim and take any case. ``in``: one of ``values``. ``contains``: one of them is part of the text.
    ``words``: one of them occurs as whole words. ``starts_with``. ``missing``: absent, null or empty. ``differs_from``:
    ``values[0]`` names another native attribute. What is absent passes no test but ``missing``. ``negated`` turns the
    answer round.
    """

    source: PredicateSource
    name: Text
    test: PredicateTest
    values: Annotated[Texts, Field(min_length=1)]
    negated: YesNo = False

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "source" in value:
            return value
        unknown = sorted(set(value) - {*_SOURCES, *_TESTS, "not"})
        if unknown:
            raise ValueError(f'unknown condition "{unknown[0]}"; one of {", ".join((*_SOURCES, *_TESTS))}, not')
        sources = [key for key in _SOURCES if key in value]
        tests = [key for key in _TESTS if key in value]
        if len(sources) != 1:
            raise ValueError('looks at exactly one of "field", "attribute", "utm"')
        if len(tests) != 1:
            raise ValueError(f"needs exactly one test: {', '.join(_TESTS)}")
        return cls._normal(sources[0], tests[0], value)

    @staticmethod
    def _normal(source: str, test: str, value: dict[str, Any]) -> dict[str, Any]:
        negated, held_against = value.get("not", False), value[test]
        if test == "missing":
            if not isinstance(held_against, bool) or not isinstance(negated, bool):
                raise ValueError('"missing" and "not" take true or false')
            negated, held_against = negated == held_against, "true"
        return {
            "source": source,
            "name": value[source],
            "test": "in" if test == "equals" else test,
            "values": held_against,
            "negated": negated,
        }

    @model_validator(mode="after")
    def _known_name(self) -> Self:
        known = {"field": get_args(PredicateField), "utm": get_args(UtmPart)}.get(self.source)
        if known is not None and self.name not in known:
            raise ValueError(f'"{self.name}" is no {self.source}; one of {", ".join(known)}')
        return self


Predicates = tuple[Predicate, ...]


class TouchType(RuleModel):
    """
    A kind of act. ``label`` is what a reader calls it; ``eligible``: it may earn credit for its team; ``response``: it
    counts for "influenced".
    """

    label: Text
    eligible: YesNo
    response: YesNo = False

    @model_validator(mode="after")
    def _response_is_eligible(self) -> Self:
        if self.response and not self.eligible:
            raise ValueError('"response: true" needs "eligible: true"')
        return self


class Attributes(RuleModel):
    """
    Which of a platform's attributes say what: the first filled one of each list is taken.
    """

    query: Texts
    referrer: Texts
    page: Texts
    utm: dict[UtmPart, Text]


class Machines(RuleModel):
    """
    How a machine's clicks are told from a person's. They are kept and labelled, and never score or earn credit.
    """

    where: Predicates
    within_seconds_of_delivery: Annotated[Whole, Field(ge=0, le=3_600)]
    links_in_one_second_count: Annotated[Whole, Field(ge=2, le=1_000)]


class TouchRule(RuleModel):
    """
    Records of one kind that meet every condition become acts of ``type``, done for ``team``.

    ``native_type``: the platform's own words or numbers, exact or ending in ``*``; empty means any.
    """

    from_: Annotated[RecordKind, Field(alias="from")]
    native_type: Texts = ()
    where: Predicates = ()
    type: Name
    team: Team = "marketing"


class Members(RuleModel):
    """
    Which campaign members are touches, and which of their dates is the touch's.
    """

    responded_only: YesNo
    date: dict[Text, Literal["responded", "campaign_start", "member_created"]]
    date_otherwise: Literal["responded", "campaign_start", "member_created"]


class ChannelRule(RuleModel):
    """
    Touches that meet every condition belong to ``channel``, or to the channel that ``take`` finds.

    A rule whose ``take`` finds nothing does not match, and the next one is asked.
    """

    types: Names = ()
    teams: tuple[Team, ...] = ()
    from_: Annotated[tuple[RecordKind, ...], Field(alias="from")] = ()
    where: Predicates = ()
    channel: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] | None = None
    take: Literal["medium", "campaign_type"] | None = None

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if (self.channel is None) == (self.take is None):
            raise ValueError('needs exactly one of "channel" and "take"')
        return self


class TakeRule(RuleModel):
    """
    For touches of these types (none named: all) the offer, or the campaign, is the first filled of ``take``.
    """

    types: Names = ()
    take: Annotated[tuple[TakenPart, ...], Field(min_length=1)]
