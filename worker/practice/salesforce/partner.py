"""
SOAP, as far as logging in by it needs: ``login``, ``logout``, ``getUserInfo`` and ``getServerTimestamp`` of the Partner
(``/services/Soap/u``) and Enterprise (``/services/Soap/c``) APIs.

Salesforce retires ``login`` in Summer '27: it is gone from version 65 on, and ``Settings.soap_login`` switches it off.
Other calls of these APIs are refused by name. Faults answer HTTP 500, as an org's do, and carry the prefix ``sf`` that
clients look for. The envelope's reading and writing are for other SOAP APIs of the org too.
"""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.org import Org

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
NAMESPACES = {"u": "urn:partner.soap.sforce.com", "c": "urn:enterprise.soap.sforce.com"}
FAULTS = {"u": "urn:fault.partner.soap.sforce.com", "c": "urn:fault.enterprise.soap.sforce.com"}
OLDEST, LOGIN_ENDS = 31, 65
XML_TYPE = "text/xml; charset=utf-8"
INVALID_LOGIN = "Invalid username, password, security token; or user locked out."
LOGIN_OFF = (
    "SOAP API login() is disabled by default in this org. Contact the org administrator to enable SOAP API login()."
)


def answer(org: Org, api: str, version: str, content: bytes, base_url: str) -> tuple[int, str]:
    """
    Status and envelope for one request to ``/services/Soap/{api}/{version}``; ``api`` is ``u`` or ``c``.
    """
    try:
        return 200, write_envelope(_answer(org, api, _version(version), content, base_url), NAMESPACES[api])
    except ApiError as error:
        return 500, fault(error.code, error.message, FAULTS[api])


def _answer(org: Org, api: str, number: int, content: bytes, base_url: str) -> str:
    """
    What stands in the body of the answer.
    """
    headers, operation, arguments = read_envelope(content)
    if operation == "login":
        return _login(org, api, number, arguments, base_url)
    user_id = org.sessions.find({"authorization": f"Bearer {headers.get('sessionId', '')}"}).user_id
    match operation:
        case "logout":
            org.sessions.revoke(headers["sessionId"])
            return "<logoutResponse/>"
        case "getUserInfo":
            return f"<getUserInfoResponse><result>{_user_info(org, user_id)}</result></getUserInfoResponse>"
        case "getServerTimestamp":
            now = f"<timestamp>{org.clock.now():%Y-%m-%dT%H:%M:%S.000Z}</timestamp>"
            return f"<getServerTimestampResponse><result>{now}</result></getServerTimestampResponse>"
        case _:
            raise ApiError(500, "UNKNOWN_EXCEPTION", f"No operation available for request {operation}")


def read_envelope(content: bytes) -> tuple[dict[str, str], str, dict[str, str]]:
    """
    The header's values, the operation's name and its plain arguments, all without namespaces. Raises the fault of an
    envelope that is none.
    """
    root = parse_envelope(content)
    operation = root.find(f"{{{ENVELOPE}}}Body/*")
    if operation is None:
        raise ApiError(500, "UNKNOWN_EXCEPTION", "the SOAP body is empty")
    header = root.find(f"{{{ENVELOPE}}}Header")
    headers = {_local(each): each.text or "" for each in header.iter()} if header is not None else {}
    return headers, _local(operation), {_local(each): each.text or "" for each in operation}


def parse_envelope(content: bytes) -> ET.Element:
    """
    The envelope element. Raises the fault for what is not XML, is no envelope, or declares entities.
    """
    try:
        root = None if b"<!DOCTYPE" in content else ET.fromstring(content)  # noqa: S314 - a client on loopback
    except ET.ParseError as error:
        raise ApiError(500, "UNKNOWN_EXCEPTION", f"the request is no XML: {error}") from error
    if root is None or root.tag != f"{{{ENVELOPE}}}Envelope":
        raise ApiError(500, "UNKNOWN_EXCEPTION", "the request is no SOAP envelope")
    return root


def write_envelope(body: str, namespace: str) -> str:
    """
    An envelope around ``body``, whose unprefixed elements are of ``namespace``.
    """
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns="{namespace}"'
        f' xmlns:xsi="{INSTANCE}"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>'
    )


def fault(code: str, message: str, namespace: str) -> str:
    """
    A fault's envelope. A refused login has the bare code and a detail of its own kind, as orgs send them.
    """
    kind = "LoginFault" if code == "INVALID_LOGIN" else "ApiFault"
    shown = code if code == "INVALID_LOGIN" else f"sf:{code}"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns:sf="{namespace}"'
        f' xmlns:xsi="{INSTANCE}"><soapenv:Body><soapenv:Fault><faultcode>{shown}</faultcode>'
        f'<faultstring>{escape(f"{code}: {message}")}</faultstring><detail><sf:{kind} xsi:type="sf:{kind}">'
        f"<sf:exceptionCode>{code}</sf:exceptionCode><sf:exceptionMessage>{escape(message)}</sf:exceptionMessage>"
        f"</sf:{kind}></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    )


def _version(version: str) -> int:
    match = re.fullmatch(r"(\d+)\.0", version)
    number = int(match[1]) if match else 0
    if number < OLDEST:
        raise ApiError(500, "UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL")
    return number


def _login(org: Org, api: str, number: int, arguments: Mapping[str, str], base_url: str) -> str:
    if number >= LOGIN_ENDS:
        words = f"The SOAP Login operation is not available in the API version specified ({number}.0)."
        raise ApiError(500, "INVALID_OPERATION", f"{words} Refer to the documentation for supported versions.")
    if not org.settings.soap_login:
        raise ApiError(500, "INVALID_OPERATION", LOGIN_OFF)
    opened = org.sessions.by_password(arguments.get("username", ""), arguments.get("password", ""), base_url)
    if opened is None:
        raise ApiError(500, "INVALID_LOGIN", INVALID_LOGIN)
    user_id = opened["id"].rpartition("/")[2]
    organization = org.organization_id[:15]
    base = f"{opened['instance_url']}/services/Soap"
    return (
        "<loginResponse><result>"
        f"<metadataServerUrl>{base}/m/{number}.0/{organization}</metadataServerUrl>"
        f"<passwordExpired>false</passwordExpired><sandbox>{_shown(_is_sandbox(org))}</sandbox>"
        f"<serverUrl>{base}/{api}/{number}.0/{organization}</serverUrl>"
        f"<sessionId>{opened['access_token']}</sessionId><userId>{user_id}</userId>"
        f"<userInfo>{_user_info(org, user_id)}</userInfo></result></loginResponse>"
    )


def _is_sandbox(org: Org) -> bool:
    row = org.database.reader.execute('SELECT IsSandbox FROM "Organization"').fetchone()
    return bool(row and row[0])


def _user_info(org: Org, user_id: str) -> str:
    """
    What an org tells about a user who logged in, in the order of its WSDL.
    """
    user = org.database.reader.execute(
        "SELECT Username, Name, Email, TimeZoneSidKey, LocaleSidKey, LanguageLocaleKey, ProfileId, UserRoleId, UserType"
        ' FROM "User" WHERE Id = ?',
        (user_id,),
    ).fetchone()
    username, name, email, zone, locale, language, profile, role, kind = user
    features = org.definitions.features
    company = org.database.reader.execute('SELECT Name FROM "Organization"').fetchone()[0]
    told = {
        "accessibilityMode": False,
        "currencySymbol": "$",
        "orgAttachmentFileSizeLimit": 26214400,
        "orgDefaultCurrencyIsoCode": features.currency or "USD",
        "orgDisallowHtmlAttachments": False,
        "orgHasPersonAccounts": features.person_accounts,
        "organizationId": org.organization_id,
        "organizationMultiCurrency": features.currency is not None,
        "organizationName": company,
        "profileId": profile,
        "roleId": role,
        "sessionSecondsValid": org.settings.session_seconds,
        "userDefaultCurrencyIsoCode": None,
        "userEmail": email,
        "userFullName": name,
        "userId": user_id,
        "userLanguage": language,
        "userLocale": locale,
        "userName": username,
        "userTimeZone": zone,
        "userType": kind,
        "userUiSkin": "Theme3",
    }
    return "".join(
        f"<{key}>{_shown(value)}</{key}>" if value is not None else f'<{key} xsi:nil="true"/>'
        for key, value in told.items()
    )


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else escape(str(value))


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
