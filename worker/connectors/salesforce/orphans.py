"""
Ends Bulk query jobs of ours that nobody knows: the process was killed, or the answer lost, before the id was kept.

Before a job is made, the place of its window says that one is about to be; streams asks here when it finds such a place
without a job's id. A job does not show its query, so it is told by its user, object, kind, API version and moment.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog

from worker.connectors.salesforce.client import SalesforceClient
from worker.core.errors import HeadwaterError

log = structlog.get_logger()

# No call of ours is under way for longer, and a little for the rounding of clocks.
_LONGEST_CALL: Final = timedelta(minutes=15)
_ROUNDING: Final = timedelta(seconds=5)
# The list holds a thousand jobs a page, in no order, and the jobs of a week.
_MOST_PAGES: Final = 10
_MOST_ENDED: Final = 5
_RUNNING: Final = frozenset({"UploadComplete", "InProgress"})


def end_orphans(client: SalesforceClient, object_name: str, since: datetime) -> int:
    """
    Abort and delete the jobs for an object that were made right after ``since``, by the organisation's clock. Returns
    how many. It is tidying: what fails is left to Salesforce, which deletes jobs after seven days.
    """
    ended = 0
    try:
        for job in _jobs(client):
            if ended < _MOST_ENDED and _is_ours(client, job, object_name, since):
                _end(client, str(job["id"]), is_running=job.get("state") in _RUNNING)
                ended += 1
    except HeadwaterError as error:
        log.warning("bulk jobs left behind were not looked for", object=object_name, code=error.code)
    if ended:
        log.info("bulk jobs left behind were ended", object=object_name, jobs=ended)
    return ended


def _jobs(client: SalesforceClient) -> Iterator[Mapping[str, Any]]:
    params = {"jobType": "V2Query"}
    for _ in range(_MOST_PAGES):
        answer = client.ask_object("jobs/query", params=params)
        records = answer.get("records")
        yield from (each for each in records or [] if isinstance(each, dict))
        following = parse_qs(urlsplit(str(answer.get("nextRecordsUrl") or "")).query).get("queryLocator")
        if answer.get("done") is not False or not following:
            return
        params = {"jobType": "V2Query", "queryLocator": following[0]}


def _is_ours(client: SalesforceClient, job: Mapping[str, Any], object_name: str, since: datetime) -> bool:
    try:
        made_at = datetime.fromisoformat(str(job.get("createdDate")))
        is_in_time = since - _ROUNDING <= made_at <= since + _LONGEST_CALL
    except (ValueError, TypeError):
        return False  # no instant, or one without a zone
    job_id = str(job.get("id"))
    return (
        is_in_time
        and job_id.isascii()
        and job_id.isalnum()
        and str(job.get("createdById"))[:15] == str(client.user_id())[:15]
        and (job.get("object"), job.get("operation")) == (object_name, "queryAll")
        and str(job.get("apiVersion")) == client.version
    )


def _end(client: SalesforceClient, job: str, *, is_running: bool) -> None:
    # It may have ended meanwhile: whether there is anything to abort is not ours to know.
    if is_running:
        with suppress(HeadwaterError):
            client.tell("PATCH", f"jobs/query/{job}", {"state": "Aborted"})
    with suppress(HeadwaterError):
        client.tell("DELETE", f"jobs/query/{job}", None)
