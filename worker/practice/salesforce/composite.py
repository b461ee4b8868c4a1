"""
Several requests in one: ``composite`` with references between them, and ``composite/batch``.

Both count as one API call. Their parts go through ``rest.answer`` as requests of their own, which the caller passes in.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.exchange import Answer, Call
from worker.practice.salesforce.org import Org

PART_LIMIT = 25
_HEAVY = re.compile(r"/(query|queryall|composite/sobjects)(/|\?|$)", re.IGNORECASE)
_REFERENCE = re.compile(r"@\{(\w+)((?:\.\w+|\[\d+\])*)\}")

Dispatch = Callable[[Org, Call], Answer]
Target = Callable[[str], tuple[str, tuple[str, ...], dict[str, str]] | None]


class _HaltError(Exception):
    """
    A part of an all-or-none composite failed: take everything back.
    """


def batch(org: Org, call: Call, dispatch: Dispatch, parse_target: Target) -> Answer:
    """
    POST ``composite/batch``: independent requests, each answered with its own status.
    """
    body = call.json_object()
    parts = _parts(body.get("batchRequests"))
    results: list[dict[str, Any]] = []
    answers: list[Answer] = []
    failed = False
    for part in parts:
        if failed and body.get("haltOnError"):
            words = "Batch processing halted per request"
            results.append({"statusCode": 412, "result": [{"errorCode": "BATCH_PROCESSING_HALTED", "message": words}]})
            continue
        url = str(part.get("url", ""))
        given = _dispatch(org, call, part, _absolute(url), part.get("richInput"), dispatch, parse_target)
        answers.append(given)
        failed = failed or given.status >= 400
        results.append({"statusCode": given.status, "result": given.body})
    return _whole({"hasErrors": failed, "results": results}, parts, answers)


def composite(org: Org, call: Call, dispatch: Dispatch, parse_target: Target) -> Answer:
    """
    POST ``composite``: requests in order, later ones using what earlier ones answered.
    """
    body = call.json_object()
    parts = _parts(body.get("compositeRequest"))
    references = [str(part.get("referenceId", "")) for part in parts]
    if not all(references) or len(set(references)) != len(references):
        raise ApiError(400, "INVALID_INPUT", "every part needs a referenceId of its own")
    most = org.settings.composite_queries
    if sum(1 for part in parts if _HEAVY.search(str(part.get("url", "")))) > most:
        words = f"The number of query, queryMore and sObject Collections subrequests must not exceed {most}"
        raise ApiError(400, "LIMIT_EXCEEDED", words)
    every = bool(body.get("allOrNone", False))
    answers: list[Answer] = []
    try:
        if every:
            with org.database.write():
                _in_order(org, call, parts, answers, dispatch, parse_target, stop=True)
        else:
            _in_order(org, call, parts, answers, dispatch, parse_target, stop=False)
    except _HaltError:
        culprit = len(answers) - 1
        words = "The transaction was rolled back since another operation in the same transaction failed."
        halted = [{"errorCode": "PROCESSING_HALTED", "message": words}]
        answers = [answers[place] if place == culprit else Answer(400, halted) for place in range(len(parts))]
    shown = [
        {
            "body": each.body,
            "httpHeaders": {key: value for key, value in each.headers.items() if key == "Location"},
            "httpStatusCode": each.status,
            "referenceId": reference,
        }
        for each, reference in zip(answers, references, strict=True)
    ]
    return _whole({"compositeResponse": shown}, parts, answers)


def _in_order(
    org: Org,
    call: Call,
    parts: list[dict[str, Any]],
    answers: list[Answer],
    dispatch: Dispatch,
    parse_target: Target,
    *,
    stop: bool,
) -> None:
    known: dict[str, Answer] = {}
    for part in parts:
        try:
            url = str(_fill(str(part.get("url", "")), known))
            content = _fill(part.get("body"), known)
        except ApiError as error:
            given = Answer(error.status, error.as_json())
        else:
            given = _dispatch(org, call, part, url, content, dispatch, parse_target)
        answers.append(given)
        known[str(part["referenceId"])] = given
        if stop and given.status >= 400:
            raise _HaltError


def _parts(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given or not all(isinstance(part, dict) for part in given):
        raise ApiError(400, "JSON_PARSER_ERROR", "a list of requests is needed")
    if len(given) > PART_LIMIT:
        raise ApiError(400, "LIMIT_EXCEEDED", f"The maximum number of subrequests is {PART_LIMIT}, was {len(given)}")
    return given


def _absolute(url: str) -> str:
    """
    Batch parts may leave out ``/services/data/``: ``v60.0/query?q=...``.
    """
    return url if url.startswith("/") else f"/services/data/{url}"


def _dispatch(
    org: Org, call: Call, part: Mapping[str, Any], url: str, content: Any, dispatch: Dispatch, parse_target: Target
) -> Answer:
    target = parse_target(url)
    if target is None:
        return Answer(404, [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}])
    version, segments, parameters = target
    extra = {str(name).lower(): str(value) for name, value in dict(part.get("httpHeaders") or {}).items()}
    kept = {name: value for name, value in call.headers.items() if name != "content-encoding"}
    inner = Call(
        method=str(part.get("method", "GET")).upper(),
        version=version,
        segments=segments,
        query=parameters,
        headers={**kept, **extra},
        body=json.dumps(content).encode() if content is not None else b"",
        user_id=call.user_id,
        base_url=call.base_url,
    )
    if segments and segments[0].lower() in {"composite", "jobs"} and segments[:2] != ("composite", "sobjects"):
        return Answer(400, [{"errorCode": "INVALID_INPUT", "message": f"{url} cannot be part of a composite request"}])
    return dispatch(org, inner)


def _fill(given: Any, known: Mapping[str, Answer]) -> Any:
    """
    ``given`` with every ``@{reference.path}`` replaced. Raises ``ApiError`` for a reference to nothing.
    """
    if isinstance(given, dict):
        return {key: _fill(value, known) for key, value in given.items()}
    if isinstance(given, list):
        return [_fill(value, known) for value in given]
    if not isinstance(given, str):
        return given
    whole = _REFERENCE.fullmatch(given)
    if whole is not None:
        return _look_up(whole, known)
    return _REFERENCE.sub(lambda match: str(_look_up(match, known)), given)


def _look_up(match: "re.Match[str]", known: Mapping[str, Answer]) -> Any:
    found: Any = known[match[1]].body if match[1] in known else None
    for step in re.findall(r"\.(\w+)|\[(\d+)\]", match[2]):
        try:
            found = found[step[0]] if step[0] else found[int(step[1])]
        except (KeyError, IndexError, TypeError):
            found = None
            break
    if found is None:
        words = f"Invalid reference specified. No value for {match[0][2:-1]} found"
        raise ApiError(400, "PROCESSING_HALTED", words)
    return found


def _whole(body: dict[str, Any], parts: list[dict[str, Any]], answers: list[Answer]) -> Answer:
    reads = all(str(part.get("method", "GET")).upper() == "GET" for part in parts)
    return Answer(body=body, rows=sum(each.rows or 0 for each in answers), kind="read" if reads else "write")
