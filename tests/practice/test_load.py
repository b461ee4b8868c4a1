"""
A folder of real files becomes a practice company, and nothing of it is lost in silence.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.practice_org import PracticeOrg
from worker.core.errors import Fatal
from worker.practice.identity import CLIENT_ID, CLIENT_SECRET
from worker.practice.load import LoadReport, find_mapping, load
from worker.practice.mappings.language import Column, read_mapping
from worker.practice.mappings.table import parse_cell

LEADS = """mql_id,first_contact_date,landing_page_id,origin
lead-paid,01-02-2018,page-a,paid_search
lead-empty,20-10-2017,page-b,
lead-unknown,2018-03-22,page-a,unknown
lead-odd,08-03-2018,page & more,"social, paid"
lead-broken,32-01-2018,page-a,email
lead-paid,02-02-2018,page-a,email
,02-02-2018,page-a,email
lead-short,02-02-2018
"""
DEALS = """mql_id,seller_id,sdr_id,sr_id,won_date,business_segment,lead_type,lead_behaviour_profile,has_company,has_gtin
lead-paid,seller-1,rep-anna,rep-omar,2018-02-26 19:58:54,pet,online_medium,cat,,
lead-odd,seller-2,rep-omar,rep-omar,2018-03-06 19:38:55,,online_big,"cat, wolf",True,False
lead-nobody,seller-3,rep-anna,rep-omar,2018-03-06 19:38:55,pet,,,,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "marketing_qualified_leads.csv").write_text(LEADS, encoding="utf-8-sig")
    (tmp_path / "closed_deals.csv").write_text(DEALS)
    return tmp_path


@pytest.fixture
def org() -> Iterator[PracticeOrg]:
    with PracticeOrg() as running:
        yield running


def marketo_token(org: PracticeOrg) -> str:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = requests.post(f"{org.url}/identity/oauth/token", data=form, timeout=30)
    return str(answer.json()["access_token"])


def marketo_rows(org: PracticeOrg, path: str, **query: Any) -> list[dict[str, Any]]:
    """
    All rows of a Marketo read, as a connector would get them.
    """
    token = marketo_token(org)
    headers = {"Authorization": f"Bearer {token}"}
    rows: list[dict[str, Any]] = []
    more = True
    while more:
        page = requests.get(f"{org.url}/rest/{path}", params=query, headers=headers, timeout=30).json()
        assert page["success"], page
        rows += page.get("result", [])
        more = page.get("moreResult", False)
        query["nextPageToken"] = page.get("nextPageToken")
    return rows


def form_fills(org: PracticeOrg) -> dict[str, dict[str, Any]]:
    """
    The form fills by the name of who filled in the form.
    """
    token = marketo_token(org)
    since = {"sinceDatetime": "2017-01-01T00:00:00Z"}
    address = f"{org.url}/rest/v1/activities/pagingtoken.json"
    start = requests.get(address, params=since, headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
    rows = marketo_rows(org, "v1/activities.json", activityTypeIds="2", nextPageToken=start["nextPageToken"])
    people = {person["id"]: person["lastName"] for person in people_of(org).values()}
    return {people[row["leadId"]]: row for row in rows}


def people_of(org: PracticeOrg) -> dict[str, dict[str, Any]]:
    fields = "lastName,email,createdAt,sfdcLeadId,sfdcContactId,sfdcAccountId,sfdcType,leadSource"
    ids = ",".join(map(str, range(1, 301)))
    rows = marketo_rows(org, "v1/leads.json", filterType="id", filterValues=ids, fields=fields)
    return {row["lastName"]: row for row in rows}


def query(org: PracticeOrg, soql: str) -> list[dict[str, Any]]:
    """
    Salesforce rows through the public API.
    """
    grant = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = requests.post(f"{org.url}/services/oauth2/token", data=grant, timeout=30)
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    address: str | None = f"{org.url}/services/data/v64.0/query"
    rows: list[dict[str, Any]] = []
    parameters: dict[str, str] | None = {"q": soql}
    while address:
        page = requests.get(address, params=parameters, headers=headers, timeout=60).json()
        assert "records" in page, page
        rows += page["records"]
        address = org.url + page["nextRecordsUrl"] if page.get("nextRecordsUrl") else None
        parameters = None
    return rows


def test_leads_become_people_with_a_form_fill_and_deals_become_conversions(folder: Path, org: PracticeOrg) -> None:
    report = load(folder, org.url)
    assert report.made["marketo.person"] == report.made["marketo.activity"] == report.made["salesforce.Lead"] == 4
    assert report.made["salesforce.conversion"] == 2
    assert report.made["salesforce.Task"] == 4
    assert report.made["salesforce.User"] == 2

    (lead,) = query(
        org,
        "SELECT Id, LastName, Company, Email, CreatedDate, IsConverted, ConvertedAccountId, ConvertedContactId, "
        "ConvertedOpportunityId FROM Lead WHERE LastName = 'lead-paid'",
    )
    assert (lead["Company"], lead["Email"], lead["IsConverted"]) == ("lead-paid", None, True)
    assert lead["CreatedDate"] == "2018-02-01T00:00:00.000+0000"
    (deal,) = query(
        org,
        "SELECT Id, Name, AccountId, Account.Name, Account.Industry, Amount, StageName, IsWon, CloseDate, CreatedDate "
        "FROM Opportunity WHERE Account.Name = 'seller-1'",
    )
    assert deal["Id"] == lead["ConvertedOpportunityId"]
    assert (deal["Account"]["Industry"], deal["Amount"], deal["IsWon"]) == ("pet", None, True)
    assert (deal["CloseDate"], deal["CreatedDate"]) == ("2018-02-26", "2018-02-26T19:58:54.000+0000")
    (role,) = query(
        org, f"SELECT ContactId, Role, IsPrimary FROM OpportunityContactRole WHERE OpportunityId = '{deal['Id']}'"
    )
    assert (role["ContactId"], role["Role"], role["IsPrimary"]) == (lead["ConvertedContactId"], "Decision Maker", True)
    (history,) = query(
        org, f"SELECT StageName, CreatedDate FROM OpportunityHistory WHERE OpportunityId = '{deal['Id']}'"
    )
    assert (history["StageName"], history["CreatedDate"]) == ("Closed Won", "2018-02-26T19:58:54.000+0000")


def test_the_two_representatives_did_their_work_at_the_close(folder: Path, org: PracticeOrg) -> None:
    load(folder, org.url)
    tasks = query(
        org,
        "SELECT Subject, Who.Name, What.Name, Owner.LastName, CompletedDateTime FROM Task ORDER BY Subject",
    )
    of_first = [task for task in tasks if task["What"]["Name"] == "seller-1"]
    assert [(task["Subject"], task["Owner"]["LastName"]) for task in of_first] == [
        ("Call", "rep-anna"),
        ("Meeting", "rep-omar"),
    ]
    assert {task["CompletedDateTime"] for task in of_first} == {"2018-02-26T19:58:54.000+0000"}
    assert {task["Who"]["Name"] for task in of_first} == {"lead-paid"}


def test_marketo_is_tied_to_salesforce_by_ids_alone(folder: Path, org: PracticeOrg) -> None:
    load(folder, org.url)
    people = people_of(org)
    leads = {
        lead["LastName"]: lead
        for lead in query(org, "SELECT Id, LastName, ConvertedContactId, ConvertedAccountId FROM Lead")
    }
    won, kept = people["lead-paid"], people["lead-unknown"]
    assert won["sfdcLeadId"] == leads["lead-paid"]["Id"]
    assert won["sfdcContactId"] == leads["lead-paid"]["ConvertedContactId"]
    assert won["sfdcAccountId"] == leads["lead-paid"]["ConvertedAccountId"]
    assert (won["sfdcType"], kept["sfdcType"]) == ("contact", "lead")
    assert (kept["sfdcContactId"], kept["email"]) == (None, None)


def test_an_empty_origin_stays_apart_from_the_word_unknown(folder: Path, org: PracticeOrg) -> None:
    load(folder, org.url)
    fills = form_fills(org)

    def query_of(lead: str) -> str:
        return str({item["name"]: item["value"] for item in fills[lead]["attributes"]}["Query Parameters"])

    assert query_of("lead-paid") == "utm_medium=paid_search&utm_content=page-a"
    assert query_of("lead-empty") == "utm_medium=&utm_content=page-b"
    assert query_of("lead-unknown") == "utm_medium=unknown&utm_content=page-a"
    assert query_of("lead-odd") == "utm_medium=social%2C%20paid&utm_content=page%20%26%20more"
    assert fills["lead-paid"]["primaryAttributeValue"] == "page-a"
    assert fills["lead-unknown"]["activityDate"] == "2018-03-22T00:00:00Z"
    people = people_of(org)
    assert (people["lead-empty"]["leadSource"], people["lead-unknown"]["leadSource"]) == (None, "unknown")


def test_every_row_that_is_not_used_is_reported_with_line_and_reason(folder: Path, org: PracticeOrg) -> None:
    report = load(folder, org.url)
    assert report.read == {"marketing_qualified_leads.csv": 8, "closed_deals.csv": 3}
    assert [(row.file, row.line, row.reason) for row in report.rejected] == [
        ("closed_deals.csv", 4, "mql_id lead-nobody is not in marketing_qualified_leads.csv"),
        ("marketing_qualified_leads.csv", 6, "first_contact_date: '32-01-2018' fits none of %d-%m-%Y, %Y-%m-%d"),
        ("marketing_qualified_leads.csv", 7, "mql_id lead-paid stands already in line 2"),
        ("marketing_qualified_leads.csv", 8, "mql_id is empty"),
        ("marketing_qualified_leads.csv", 9, "2 cells, the header has 4"),
    ]
    assert json.loads(json.dumps(asdict(report)))["rejected"][1]["line"] == 6
    used = sum(report.read.values()) - len(report.rejected)
    assert used == report.made["salesforce.Lead"] + report.made["salesforce.conversion"]


def test_a_deal_won_before_its_leads_first_contact_is_loaded_and_named(folder: Path, org: PracticeOrg) -> None:
    report = load(folder, org.url)
    assert [(n.file, n.line, n.say) for n in report.notices] == [
        ("closed_deals.csv", 3, "won before the lead's first contact")
    ]
    assert query(org, "SELECT Id FROM Opportunity WHERE Account.Name = 'seller-2' AND IsWon = true")


def test_another_companys_files_are_loaded_by_a_mapping_of_their_own(tmp_path: Path, org: PracticeOrg) -> None:
    (tmp_path / "signups.csv").write_text("who,ignored\nada@analytical.example,x\n\ngrace@cobol.example,y\n")
    (tmp_path / "visits.csv").write_text(
        "nr,visitor,seen,paid,seconds\n"
        "1,ada@analytical.example,03/04/2026 10:15,yes,12.5\n"
        "2,nobody@x.example,03/04/2026 10:15,no,1\n"
    )
    (tmp_path / "mapping.yaml").write_text(
        """
files:
  signups: {path: signups.csv, key: who, columns: {who: text}}
  visits:
    path: visits.csv
    key: nr
    columns:
      nr: number
      visitor: text
      seen: {type: instant, formats: ["%d/%m/%Y %H:%M"]}
      paid: boolean
      seconds: number
steps:
  - {step: person, make: marketo.person, of: signups, values: {email: "{who}", lastName: "{who|lower}"}}
  - step: visit
    make: marketo.activity
    of: visits
    values:
      leadId: "{id:person/visitor}"
      activityDate: "{seen}"
      activityTypeId: 1
      primaryAttributeValue: "page {nr}"
      attributes: {Paid: "{paid}", Seconds: "{seconds}", Note: {if: "{paid}", then: "paid on {seen|date}", else: free}}
"""
    )
    report = load(tmp_path, org.url)
    assert report.made == {"marketo.person": 2, "marketo.activity": 1}
    assert report.unused_columns == {"signups.csv": ("ignored",)}
    assert [(row.file, row.line, row.reason) for row in report.rejected] == [
        ("visits.csv", 3, "step visit: no person for visitor nobody@x.example")
    ]


# Mistakes in the mapping name their line


@pytest.mark.parametrize(
    ("line", "broken", "words"),
    [
        ("    key: mql_id\n", "    key: mql\n", "no column 'mql'. Did you mean mql_id?"),
        ("      origin: text\n", "      origin: txt\n", "no type 'txt'. Did you mean text?"),
        ("    make: salesforce.User\n", "    make: marketo.user\n", "no kind of record 'marketo.user'"),
        ("    of: leads\n", "    of: lead\n", "no file 'lead'. Did you mean leads?"),
        ('      leadId: "{id:lead}"\n', '      leadId: "{id:laed}"\n', "no earlier step 'laed'. Did you mean lead?"),
        ('      LeadSource: "{origin}"\n', '      LeadSource: "{orgin}"\n', "no column 'orgin'. Did you mean origin?"),
        ('      WhoId: "{id:deal.contactId}"\n', '      WhoId: "{id:deal}"\n', "say which part of step deal"),
        ('      ActivityDate: "{won_date|date}"\n', '      ActivityDate: "{won_date|day}"\n', "no filter 'day'"),
        ('        OwnerId: "{id:user/sr_id}"\n', '        OwnerId: "{id:user}"\n', "say by which column"),
        ("    for_each: [sdr_id, sr_id]\n", "    for_each: [sdr_id, sr]\n", "no column 'sr'"),
        (
            "    required: [mql_id, first_contact_date]\n",
            "    require: [mql_id]\n",
            "no key 'require'. Did you mean required?",
        ),
        ("    Lead_Type__c: Lead type\n", "    Lead_Type: Lead type\n", "a custom field's name ends in __c"),
        ("  - step: lead\n", "  - step: user\n", "there is a step user already"),
        ("  - step: lead\n", "  - step: [lead\n", "expected"),
    ],
)
def test_a_mistake_in_a_mapping_is_told_with_its_line(tmp_path: Path, line: str, broken: str, words: str) -> None:
    shipped = (Path(__file__).parents[2] / "worker/practice/mappings/olist.yaml").read_text()
    assert line in shipped
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(shipped.replace(line, broken, 1))
    number = shipped[: shipped.index(line)].count("\n") + 1
    with pytest.raises(Fatal) as raised:
        read_mapping(mapping)
    told = raised.value.message
    assert words in told
    at = int(told.removeprefix(f"{mapping}:").split(":")[0])
    assert abs(at - number) <= 1, told


def test_a_file_without_a_mapped_column_is_refused_before_anything_is_made(folder: Path, org: PracticeOrg) -> None:
    (folder / "closed_deals.csv").write_text("mql_id,seller_id\nlead-paid,seller-1\n")
    with pytest.raises(Fatal, match=r"closed_deals\.csv:1: no column sdr_id, sr_id, won_date"):
        load(folder, org.url)
    assert org.control("GET", "marketo/counts")["people"] == 0


def test_a_folder_that_no_mapping_fits_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="HW-172") as raised:
        find_mapping(tmp_path)
    assert "mapping.yaml" in raised.value.actions[0]


def test_a_server_that_is_not_there_says_how_to_start_one(folder: Path) -> None:
    with pytest.raises(Fatal, match="HW-570") as raised:
        load(folder, "http://127.0.0.1:9")
    assert raised.value.actions == ("headwater practice serve",)


@pytest.mark.parametrize(
    ("text", "column", "value"),
    [
        ("42", Column("number"), 42),
        ("12.50", Column("number"), 12.5),
        ("Yes", Column("boolean"), True),
        ("f", Column("boolean"), False),
        ("01-02-2018", Column("day", ("%d-%m-%Y",)), datetime(2018, 2, 1, tzinfo=UTC)),
        ("2018-02-01 10:00 +0300", Column("instant", ("%Y-%m-%d %H:%M %z",)), datetime(2018, 2, 1, 7, tzinfo=UTC)),
    ],
)
def test_a_cell_becomes_its_columns_type(text: str, column: Column, value: object) -> None:
    assert parse_cell(text, column) == value


@pytest.mark.parametrize(("text", "kind"), [("NaN", "number"), ("1,5", "number"), ("maybe", "boolean"), ("x", "day")])
def test_a_cell_of_the_wrong_type_is_no_value(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_cell(text, Column(kind, ("%Y",)))


# The real company, where its folder is given


def test_of_the_real_company_every_row_is_found_again(olist_folder: Path, org: PracticeOrg) -> None:
    folder = olist_folder
    with (folder / "marketing_qualified_leads.csv").open(newline="") as opened:
        leads = list(csv.DictReader(opened))
    with (folder / "closed_deals.csv").open(newline="") as opened:
        deals = list(csv.DictReader(opened))
    report: LoadReport = load(folder, org.url)
    assert report.rejected == []
    counts = org.control("GET", "marketo/counts")
    assert counts["people"] == counts["activities"]["2"] == len(leads)
    assert len(report.notices) == 1
    found = {
        lead["LastName"]: lead for lead in query(org, "SELECT LastName, LeadSource, CreatedDate, IsConverted FROM Lead")
    }
    for lead in leads:
        day = datetime.strptime(lead["first_contact_date"], "%d-%m-%Y").date().isoformat()  # noqa: DTZ007 - a day only
        there = found[lead["mql_id"]]
        assert there["CreatedDate"] == f"{day}T00:00:00.000+0000"
        assert (there["LeadSource"] or "") == lead["origin"]
    assert sum(lead["IsConverted"] for lead in found.values()) == len(deals)
    won = query(org, "SELECT Account.Name, CloseDate, Amount FROM Opportunity WHERE StageName = 'Closed Won'")
    assert {row["Account"]["Name"]: row["CloseDate"] for row in won} == {
        d["seller_id"]: d["won_date"][:10] for d in deals
    }
