"""
Who asks a query, and all that its answer depends on beside the records.
"""

from dataclasses import dataclass

from worker.practice.salesforce.schema import Schema
from worker.practice.salesforce.soql.datewords import Calendar


@dataclass(frozen=True)
class Asker:
    """
    ``schema`` is what the user may see, ``calendar`` the user's today. ``currency`` is the user's and ``corporate`` the
    org's, None in an org that has one currency only; ``dated`` says that rates of a day apply to opportunities;
    ``tooling`` that the question came by the Tooling API, ``all_rows_allowed`` that ALL ROWS is understood.
    """

    user_id: str
    schema: Schema
    calendar: Calendar
    currency: str | None = None
    corporate: str | None = None
    dated: bool = False
    tooling: bool = False
    all_rows_allowed: bool = False
