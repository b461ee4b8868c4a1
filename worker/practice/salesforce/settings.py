"""
The switches of a practice org: what real orgs differ in, and what is assumed of them and may be wrong.

The control API sets them; everything in the org reads them from ``Org.settings``.
"""

from dataclasses import dataclass


@dataclass
class Settings:
    """
    Switches of the org, set by the control API. Each stands for something real orgs differ in or that is assumed.

    ``session_seconds`` is how long a token lives by the practice clock; ``bulk_seconds`` how long a Bulk job takes at
    least; ``bulk_page_rows`` how many rows a results page has when the client names no number, ``bulk_page_most`` how
    many whatever it names; ``cursors`` how many open query cursors a user has before the oldest is dropped;
    ``hold_bulk_jobs`` leaves new jobs in UploadComplete; ``small_pages`` gives every other page a third of the size
    asked for, as orgs do with wide rows; ``soap_login`` lets clients log in by SOAP, which new orgs have switched off,
    and ``password_login`` by username and password; ``rotate_refresh_tokens`` gives a new refresh token with every use
    and ends the old one; ``share_sessions`` gives parallel logins of one user the same token, which a logout of one
    ends for all; ``rest_sessions`` off refuses every session for REST, with the 401 no new login cures;
    ``read_lag_seconds`` is how long after its commit a write shows up in queries; ``read_only`` refuses every write, as
    an org does in the maintenance it stays readable in; ``storage_full`` takes no new record and says that no data
    storage is left; ``bulk_queue_seconds`` is how long a Bulk query waits in
    UploadComplete, by the practice clock; ``bulk_upload_bytes`` is the most one upload of rows may hold;
    ``composite_queries`` is how many parts of a composite request may be queries or collections; ``all_rows``
    understands ALL ROWS in a REST query, which real orgs are said to refuse; ``cursor_snapshots`` has a cursor keep the
    values its query found, not only which records; ``query_cost_limit`` ends a query whose rows times fields are more
    (0: never) with QUERY_TIMEOUT; ``concurrent_requests`` is how many requests may run at once for longer than
    ``long_request_seconds``; ``app_requests`` has Sforce-Limit-Info tell the connected app's own usage of so many (0:
    not); ``bin_days`` is how long the bin keeps a deleted record (0: until it is emptied); ``bulk1_session_status`` is
    the status of Bulk 1.0's answer to a session that has ended; ``bulk1_result_charset`` makes Bulk 1.0 name UTF-8 in
    the type of a query's CSV, which the Singer tap decodes by (what a write's results say, and Bulk 2.0's, is recorded:
    no charset).
    """

    session_seconds: int = 7200
    soap_login: bool = True
    password_login: bool = True
    rotate_refresh_tokens: bool = False
    share_sessions: bool = False
    rest_sessions: bool = True
    bulk_seconds: float = 0.2
    bulk_page_rows: int = 100_000
    bulk_page_most: int = 1_000_000_000
    hold_bulk_jobs: bool = False
    cursors: int = 10
    cursor_seconds: int = 2 * 86_400
    audit_fields_settable: bool = True
    edit_converted_leads: bool = False
    small_pages: bool = False
    all_rows: bool = False
    cursor_snapshots: bool = False
    query_cost_limit: int = 0
    concurrent_requests: int = 25
    long_request_seconds: float = 20.0
    app_requests: int = 0
    bin_days: float = 15
    read_lag_seconds: float = 0
    read_only: bool = False
    storage_full: bool = False
    bulk_queue_seconds: float = 0
    bulk_upload_bytes: int = 150_000_000
    composite_queries: int = 5
    bulk1_session_status: int = 400
    bulk1_result_charset: bool = True
