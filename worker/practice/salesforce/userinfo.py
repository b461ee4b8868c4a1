"""
What an org tells about the user behind a token, at ``/services/oauth2/userinfo`` (OpenID's words) and ``/id/ORG/USER``,
and about itself, at ``/connect/organization``.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from worker.practice.salesforce.errors import not_found
from worker.practice.salesforce.ids import to18
from worker.practice.salesforce.org import Org
from worker.practice.salesforce.rows import Values, fetch
from worker.practice.salesforce.values import show_datetime

_SOAP = {"enterprise": "c", "metadata": "m", "partner": "u"}
_REST = {
    "rest": "", "sobjects": "sobjects/", "search": "search/", "query": "query/", "recent": "recent/",
    "tooling_rest": "tooling/", "feeds": "chatter/feeds", "groups": "chatter/groups", "users": "chatter/users",
    "feed_items": "chatter/feed-items", "feed_elements": "chatter/feed-elements",
}  # fmt: skip


def userinfo(org: Org, user_id: str, base_url: str) -> dict[str, Any]:
    """
    The body of ``/services/oauth2/userinfo``.
    """
    user = _user(org, user_id)
    photos = _photos(base_url)
    return {
        "sub": f"{base_url}/id/{org.organization_id}/{user_id}",
        "user_id": user_id,
        "organization_id": org.organization_id,
        "preferred_username": user["Username"],
        "nickname": user["CommunityNickname"] or user["Alias"],
        "name": user["Name"],
        "email": user["Email"],
        "email_verified": True,
        "given_name": user["FirstName"],
        "family_name": user["LastName"],
        "zoneinfo": user["TimeZoneSidKey"],
        "photos": photos,
        "profile": f"{base_url}/{user_id}",
        "picture": photos["picture"],
        "address": {},
        "is_salesforce_integration_user": False,
        "urls": _urls(org, user_id, base_url),
        "active": bool(user["IsActive"]),
        "user_type": _user_type(user),
        "language": user["LanguageLocaleKey"],
        "locale": user["LocaleSidKey"],
        "utcOffset": _utc_offset(user),
        "updated_at": _iso(user["LastModifiedDate"]),
    }


def identity(org: Org, organization_id: str, user_id: str, base_url: str) -> dict[str, Any]:
    """
    The body of ``/id/ORG/USER``. Raises the 404 for an org or a user that is not this one's.
    """
    if organization_id[:15] != org.organization_id[:15]:
        raise not_found()
    user = _user(org, user_id)
    return {
        "id": f"{base_url}/id/{org.organization_id}/{user['Id']}",
        "asserted_user": True,
        "user_id": user["Id"],
        "organization_id": org.organization_id,
        "username": user["Username"],
        "nick_name": user["CommunityNickname"] or user["Alias"],
        "display_name": user["Name"],
        "email": user["Email"],
        "email_verified": True,
        "first_name": user["FirstName"],
        "last_name": user["LastName"],
        "timezone": user["TimeZoneSidKey"],
        "photos": _photos(base_url),
        "addr_street": None,
        "addr_city": None,
        "addr_state": None,
        "addr_country": None,
        "addr_zip": None,
        "mobile_phone": user["MobilePhone"],
        "mobile_phone_verified": False,
        "is_lightning_login_user": False,
        "status": {"created_date": None, "body": None},
        "urls": _urls(org, user["Id"], base_url),
        "active": bool(user["IsActive"]),
        "user_type": _user_type(user),
        "language": user["LanguageLocaleKey"],
        "locale": user["LocaleSidKey"],
        "utcOffset": _utc_offset(user),
        "last_modified_date": show_datetime(user["LastModifiedDate"]),
    }


def organization(org: Org, user_id: str) -> dict[str, Any]:
    """
    The body of ``connect/organization``, as far as it is served: the features a client asks for, and none of Chatter's.
    """
    row = org.database.reader.execute('SELECT Name, TimeZoneSidKey FROM "Organization"').fetchone()
    currency = org.definitions.features.currency
    zone = _user(org, user_id)["TimeZoneSidKey"] or row[1]
    return {
        "accessTimeout": org.settings.session_seconds // 60,
        "features": {
            "chatter": False,
            "defaultCurrencyIsoCode": "USD" if currency is None else None,
            "multiCurrency": currency is not None,
        },
        "maintenanceInfo": [],
        "name": row[0],
        "orgId": org.organization_id,
        "userSettings": {"currencySymbol": "$", "timeZone": {"name": zone}, "userId": user_id},
    }


def _user(org: Org, user_id: str) -> Values:
    found = fetch(org.database.reader, org.schema["User"], to18(user_id) or user_id)
    if found is None:
        raise not_found()
    return found


def _photos(base_url: str) -> dict[str, str]:
    return {"picture": f"{base_url}/profilephoto/005/F", "thumbnail": f"{base_url}/profilephoto/005/T"}


def _urls(org: Org, user_id: str, base_url: str) -> dict[str, str]:
    organization = org.organization_id[:15]
    soap = {name: f"{base_url}/services/Soap/{api}/{{version}}/{organization}" for name, api in _SOAP.items()}
    plain = {name: f"{base_url}/services/data/v{{version}}/{path}" for name, path in _REST.items()}
    tooling = {"tooling_soap": f"{base_url}/services/Soap/T/{{version}}/{organization}"}
    return {**soap, **plain, **tooling, "profile": f"{base_url}/{user_id}", "custom_domain": base_url}


def _user_type(user: Values) -> str:
    return str(user["UserType"] or "Standard").upper()


def _utc_offset(user: Values) -> int:
    """
    Milliseconds the user's zone is ahead of UTC in winter, as an org tells it.
    """
    offset = datetime(2026, 1, 1, tzinfo=ZoneInfo(user["TimeZoneSidKey"] or "UTC")).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0


def _iso(stored: str | None) -> str | None:
    return None if stored is None else f"{stored}Z"
