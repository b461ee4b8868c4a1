"""
What every part of an org stands on: clock, schema, tables, ids, settings, rules. Parts that need no more of the org
than this ask for no more; ``org.py`` gives it.
"""

from worker.practice.clock import Clock
from worker.practice.salesforce.database import Database
from worker.practice.salesforce.ids import IdMaker
from worker.practice.salesforce.rules import Rules
from worker.practice.salesforce.schema import Schema
from worker.practice.salesforce.settings import Settings


class Ground:
    """
    Schema, settings, rules and ids are replaced when the org becomes new again: ask for them each time.
    """

    clock: Clock
    schema: Schema
    database: Database
    settings: Settings
    rules: Rules
    ids: IdMaker
