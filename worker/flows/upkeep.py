"""
Keeps the house in order once a day: forgets old runs and ended jobs, and gives rows that were refused another try,
because permissions are granted and rules are changed without telling us.
"""

from datetime import timedelta
from typing import Final

from worker.flows.run import Run
from worker.store import apicalls, jobs, outbox

KEEP_DAYS: Final = 30


def upkeep(run: Run) -> None:
    """
    One short transaction.
    """
    with run.transaction() as connection:
        run.count("runs and jobs forgotten", jobs.trim(connection, KEEP_DAYS))
        run.count("hours of API use forgotten", apicalls.trim(connection, KEEP_DAYS))
        run.count("refused records tried again", outbox.try_again(connection, timedelta(days=1)))
