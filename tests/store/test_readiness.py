"""
What the data lack: campaigns whose members stand where they were put, and those in which nothing counts as a response.
"""

import polars as pl
import pytest
from sqlalchemy import Connection

from worker.store import reports
from worker.store.staging import save_rows

MOVED = "campaigns whose members were never moved on"
RESPONSES = "campaigns without a status that is a response"


def campaign(connection: Connection, record: str, *members: tuple[str, str], statuses: str = "Sent Attended+") -> None:
    """
    ``members`` are (status, whether that is a response); ``statuses`` those of the campaign, that of new members first,
    responses marked with a plus.
    """
    save_rows(connection, "salesforce.campaign", "campaign", ("record_id", "name"), [(record, record.title())])
    columns = ("record_id", "campaign_ref", "status", "has_responded")
    rows = [(f"{record}-m{number}", record, *each) for number, each in enumerate(members)]
    save_rows(connection, "salesforce.campaign_member", "member", columns, rows)
    save_rows(
        connection,
        "salesforce.campaign_member_status",
        "member_status",
        ("record_id", "campaign_ref", "name", "has_responded", "is_default"),
        [
            (f"{record}-{word}", record, word.rstrip("+"), str(word.endswith("+")).lower(), str(not place).lower())
            for place, word in enumerate(statuses.split())
        ],
    )


@pytest.fixture
def campaigns(connection: Connection) -> dict[str, dict[str, bool]]:
    campaign(connection, "left alone", ("Sent", "false"), ("Sent", "false"))
    campaign(connection, "one attended", ("Sent", "false"), ("Attended", "true"))
    campaign(connection, "moved", ("Registered", "false"), statuses="Sent Registered Attended+")
    campaign(connection, "no responses", ("Sent", "false"), statuses="Sent Received")
    campaign(connection, "statuses unread", ("Sent", "false"), statuses="")
    campaign(connection, "empty")
    found = reports.gaps(connection)
    return {
        check: {row["what"].lower(): row["is_gap"] for row in found.filter(pl.col("check") == check).to_dicts()}
        for check in (MOVED, RESPONSES)
    }


def test_a_campaign_whose_members_all_have_its_first_status_was_never_worked(
    campaigns: dict[str, dict[str, bool]],
) -> None:
    assert campaigns[MOVED] == {
        "left alone": True,
        "one attended": False,
        "moved": False,
        "no responses": True,
        "statuses unread": True,
    }


def test_a_campaign_in_which_no_status_is_a_response_can_never_earn_credit(
    campaigns: dict[str, dict[str, bool]],
) -> None:
    assert campaigns[RESPONSES] == {"left alone": False, "one attended": False, "moved": False, "no responses": True}
