"""
What one practice server holds: the clock, the journal, the faults, the two orgs, and where their files are.

Routes of both orgs receive this object and nothing else. The Salesforce org is built here; a marketing platform's
routes set ``marketo`` to whatever object they keep their own state in.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.practice.clock import Clock
from worker.practice.faults import Faults
from worker.practice.journal import Journal
from worker.practice.salesforce.org import Org


@dataclass
class PracticeState:
    """
    ``data`` is the folder of this server: keys, certificates, databases, finished Bulk results. It exists.
    """

    data: Path
    clock: Clock = field(default_factory=Clock)
    journal: Journal = field(default_factory=Journal)
    faults: Faults = field(default_factory=Faults)
    salesforce: Org | None = None
    marketo: Any = None
