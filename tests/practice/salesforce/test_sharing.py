"""
A record whose owner changes is lost to a user who does not see everything, and no stamp tells.
"""

import requests

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

WINDOW = {"start": "2026-11-18T09:00:00Z", "end": "2026-11-18T10:00:00Z"}


def restricted(org: PracticeOrg) -> Client:
    client = Client(org)
    form = {
        "grant_type": "password",
        "client_id": "headwater",
        "client_secret": "practice-secret",
        "username": "restricted@practice.test",
        "password": "any",
    }
    answer = requests.post(f"{org.url}/services/oauth2/token", data=form, timeout=30).json()
    client.session.headers["Authorization"] = f"Bearer {answer['access_token']}"
    return client


def test_a_change_of_owner_hides_and_shows_a_lead(client: Client, org: PracticeOrg) -> None:
    organization = client.values("SELECT Id FROM Organization")[0]
    body = {"object": "Organization", "records": [{"Id": organization, "DefaultLeadAccess": "None"}]}
    org.control("POST", "salesforce/update", body)
    users = {row["Username"]: row["Id"] for row in client.rows("SELECT Username, Id FROM User")}
    mine, theirs = users["restricted@practice.test"], users["admin@practice.test"]
    (lead,) = org.create("Lead", [{"LastName": "Ray", "Company": "C", "OwnerId": mine}])
    user = restricted(org)
    assert user.values("SELECT Id FROM Lead") == [lead]

    org.control("POST", "salesforce/update", {"object": "Lead", "records": [{"Id": lead, "OwnerId": theirs}]})
    org.advance(120)
    assert user.values("SELECT Id FROM Lead") == user.values("SELECT Id FROM Lead", everything=True) == []
    assert user.call("GET", "sobjects/Lead/updated", params=WINDOW).json()["ids"] == []
    assert user.call("GET", "sobjects/Lead/deleted", params=WINDOW).json()["deletedRecords"] == []
    assert user.call("GET", f"sobjects/Lead/{lead}").status_code == 404
    assert user.call("PATCH", f"sobjects/Lead/{lead}", json={"Title": "VP"}).status_code == 404
    assert client.values("SELECT Id FROM Lead") == [lead]

    org.control("POST", "salesforce/update", {"object": "Lead", "records": [{"Id": lead, "OwnerId": mine}]})
    assert user.values("SELECT Id FROM Lead") == [lead]
