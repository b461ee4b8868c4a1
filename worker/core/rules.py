"""
All rules that decide, in one frozen bundle: what wiring makes of the rule files and every flow is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.attribution.rules import AttributionRules
from worker.core.deals import DealRules
from worker.core.engagement.levels import LevelRules
from worker.core.engagement.rules import EngagementRules
from worker.core.engagement.standing import StandingRules
from worker.core.funnel.quota import QuotaRules
from worker.core.funnel.value import KindRules
from worker.core.matching.accounts import AccountRules
from worker.core.matching.keys import IdentityRules
from worker.core.reconcile.rules import WriteRules
from worker.core.survivorship.rules import MergeRules
from worker.core.touchpoints.rules import TouchpointRules
from worker.core.touchpoints.screens import Screen


@dataclass(frozen=True)
class TrackingRules:
    """
    By which of the customer's own fields people opt out of being tracked, and whether wanting no mails is the same.
    """

    opt_out_fields: tuple[str, ...] = ()
    email_opt_out: bool = False


@dataclass(frozen=True)
class Rules:
    """
    ``version`` numbers this content in the store; ``zone`` is the organisation's time zone, ``currency`` its own.
    ``write_model`` names the model whose share is written back.
    """

    version: int
    zone: str
    currency: str
    identity: IdentityRules
    accounts: AccountRules
    merge: Mapping[str, MergeRules]
    touchpoints: TouchpointRules
    engagement: EngagementRules
    levels: LevelRules
    attribution: AttributionRules
    write: WriteRules
    write_model: str
    screens: tuple[Screen, ...] = ()
    own_domains: frozenset[str] = frozenset()
    deals: DealRules = field(default_factory=DealRules)
    standing: StandingRules = field(default_factory=StandingRules)
    tracking: TrackingRules = field(default_factory=TrackingRules)
    quota: QuotaRules = field(default_factory=QuotaRules)
    kinds: KindRules = field(default_factory=KindRules)
