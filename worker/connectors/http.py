"""
The one way out: a requests session that is bounded in time, size and address, and that knows the other side's clock.

It decides nothing about a platform. Connectors build their clients on it; they say which hosts may be called and under
which codes trouble is reported. A call is repeated only where its caller says that repeating does no harm.
"""

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import requests
from requests.adapters import HTTPAdapter
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_any,
    wait_exponential_jitter,
)
from urllib3 import exceptions as low
from urllib3.util import parse_url

from worker.core.errors import Fatal, Retriable

T = TypeVar("T")

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})
CHUNK_BYTES: Final = 128 * 1024
# A platform that asks for a longer pause than an hour is asked again after an hour.
LONGEST_PAUSE: Final = timedelta(hours=1)
SLOW_ANSWER_SECONDS: Final = 5.0
AGENT: Final = "headwater"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class HttpOptions:
    """
    The bounds of every call.

    ``read_seconds`` is the longest silence, ``total_seconds`` the longest a body may take, ``max_body_bytes`` the
    largest decoded body that is held in memory (a streamed body has its own, ``max_stream_bytes``). ``attempts`` and
    ``pause_seconds`` rule the repetition of calls that may be repeated; none is begun after ``repeat_seconds``, so that
    a silent platform costs a worker minutes and not its time limit. ``ca_file`` names a CA to trust instead of
    the usual ones; ``trust_env`` lets proxies and CAs of the environment in.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 120.0
    total_seconds: float = 600.0
    pool: int = 8
    trust_env: bool = False
    ca_file: str | None = None
    max_body_bytes: int = 64 * 2**20
    max_stream_bytes: int = 8 * 2**30
    attempts: int = 4
    pause_seconds: float = 0.5
    repeat_seconds: float = 150.0


@dataclass(frozen=True)
class Door:
    """
    How trouble with one platform is named: its name in sentences, and the codes for four kinds of transport trouble.
    """

    system: str
    address: str
    unreachable: str
    garbled: str
    certificate: str


class Passing(Retriable):
    """
    A fault of the moment: a call that does no harm twice may be repeated at once.
    """


class Ambiguous(Retriable):
    """
    The call was sent and its answer never came: it may or may not have happened.
    """


class HttpSession(requests.Session):
    """
    A session that calls only allowed hosts, follows no redirect, and takes no body without end.

    ``is_allowed`` is asked for each request's host and port ("acme.my.salesforce.com", None). Plain http goes to
    loopback only. ``on_answer`` is told each answer's headers. Raises Fatal for an address that may not be called, and
    requests' own exceptions for the rest: ``translated`` turns those into ours.
    """

    def __init__(
        self,
        door: Door,
        options: HttpOptions,
        is_allowed: Callable[[str, int | None], bool],
        on_answer: Callable[[requests.Response], None] | None = None,
    ) -> None:
        super().__init__()
        self.door = door
        self.bounds = options
        self.trust_env = options.trust_env
        self.verify = options.ca_file or True
        self.headers["User-Agent"] = AGENT
        self._is_allowed = is_allowed
        self._on_answer = on_answer
        self._clock_offset: float | None = None
        self._has_answered = False
        adapter = HTTPAdapter(pool_connections=options.pool, pool_maxsize=options.pool)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    @property
    def clock_offset(self) -> float | None:
        """
        Seconds to add to our clock so that the platform's is never behind the truth; None before the first answer.
        """
        return self._clock_offset

    @property
    def has_answered(self) -> bool:
        """
        Whether any answer has come, with or without a Date header.
        """
        return self._has_answered

    def platform_now(self) -> datetime:
        """
        The platform's present instant by the last answer's Date header, rounded up to the whole second, aware UTC.

        Rounded up so that a row stamped this very second lies before it.
        """
        seconds = math.floor(time.time() + (self._clock_offset or 0.0)) + 1
        return datetime.fromtimestamp(seconds, UTC)

    def speak_http_to(self, netloc: str) -> None:
        """
        Send what is addressed to ``https://netloc`` by plain http: for a practice org, on loopback only.

        A client library that knows https alone needs this.
        """
        host = parse_url(f"https://{netloc}").host
        if host not in LOOPBACK:
            raise Fatal(self.door.address, f"plain http is for this machine only, not for {host}")
        self.mount(f"https://{netloc}", _PlainAdapter(pool_maxsize=self.bounds.pool))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """
        As requests does, with our time limits and without redirects.
        """
        kwargs.setdefault("timeout", (self.bounds.connect_seconds, self.bounds.read_seconds))
        kwargs["allow_redirects"] = False
        return super().request(*args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """
        As requests does, after the address was checked; the body is read within its bounds unless it is streamed.
        """
        self._check(request.url or "")
        is_streamed = kwargs.pop("stream", False)
        sent_at = time.time()
        response = super().send(request, stream=True, **kwargs)
        self._has_answered = True
        self._read_clock(response, sent_at)
        if self._on_answer is not None:
            self._on_answer(response)
        if not is_streamed:
            body = b"".join(self.body(response, self.bounds.max_body_bytes))
            response._content = body  # noqa: SLF001 - requests offers no other way to give it a body read by ourselves
            response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001 - the same
        return response

    def body(self, response: requests.Response, max_bytes: int | None = None) -> Iterator[bytes]:
        """
        The decoded body in pieces as they come, cut off with an error past its size and its time.

        A server that sends a byte a second would otherwise hold a worker for hours: requests' own reading waits for
        whole pieces.
        """
        limit = max_bytes or self.bounds.max_stream_bytes
        deadline = time.monotonic() + self.bounds.total_seconds
        size = 0
        try:
            while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
                size += len(piece)
                if size > limit:
                    raise requests.exceptions.ContentDecodingError(f"the answer is larger than {limit} bytes")
                if time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout(f"the answer took over {self.bounds.total_seconds:g} s")
                yield piece
        except low.ReadTimeoutError as error:
            raise requests.exceptions.ReadTimeout(str(error)) from error
        except low.DecodeError as error:
            raise requests.exceptions.ContentDecodingError(str(error)) from error
        except low.HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(str(error)) from error
        finally:
            response.close()

    def _check(self, url: str) -> None:
        address = parse_url(url)
        host = (address.host or "").lower()
        is_secure = address.scheme == "https" or (address.scheme == "http" and host in LOOPBACK)
        if not is_secure or address.auth is not None or not self._is_allowed(host, address.port):
            where = f"{address.scheme}://{host}" + (f":{address.port}" if address.port else "")
            raise Fatal(
                self.door.address,
                f"{where} is not an address of {self.door.system} that may be called",
                actions=[f"Check the configured address of {self.door.system}."],
            )

    def _read_clock(self, response: requests.Response, sent_at: float) -> None:
        stated = response.headers.get("Date")
        if not stated:
            return
        try:
            written_at = parsedate_to_datetime(stated).timestamp()
        except (ValueError, OverflowError):
            return
        if self._clock_offset is not None and time.time() - sent_at > SLOW_ANSWER_SECONDS:
            return  # the header of a slow answer may be as old as the answer was long
        # The header is cut to the whole second, and was written after we sent: the truth lies below this bound.
        self._clock_offset = written_at + 1.0 - sent_at


class _PlainAdapter(HTTPAdapter):
    """
    Sends a request addressed by https as plain http.
    """

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = (request.url or "").replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


@contextmanager
def translated(door: Door, *, is_harmless: bool) -> Iterator[None]:
    """
    Turn requests' exceptions into ours.

    ``is_harmless`` says that the call may be made twice: its failures are Passing. Otherwise a failure after the call
    may have been sent is Ambiguous. A certificate that cannot be trusted is Fatal.
    """
    try:
        yield
    except requests.exceptions.JSONDecodeError as error:
        kind = Passing if is_harmless else Ambiguous
        raise kind(door.garbled, f"{door.system} answered with something that is not JSON") from error
    except requests.exceptions.SSLError as error:
        if "certificate" in str(error).lower():
            raise Fatal(
                door.certificate,
                f"the certificate of {door.system} cannot be trusted",
                vendor=_words(error),
                actions=["Set the CA file if a proxy of yours opens TLS; never switch the check off."],
            ) from error
        raise _unreachable(door, error, is_harmless=is_harmless) from error
    except requests.exceptions.RequestException as error:
        raise _unreachable(door, error, is_harmless=is_harmless) from error


def json_of(body: bytes, *, parse_float: Callable[[str], Any] | None = None) -> Any:
    """
    A body as JSON. What is not text becomes U+FFFD: bytes that are no UTF-8, halves of surrogate pairs.

    Raises requests' JSONDecodeError for everything else that cannot be read, also for what is nested too deep and for
    numbers too long: ``translated`` makes that the trouble of an answer that is none.
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text, parse_float=parse_float)
        return _with_whole_texts(value) if _ESCAPED_SURROGATE.search(text) else value
    except (ValueError, ArithmeticError, RecursionError):
        # Not chained: the cause holds the whole body.
        raise requests.exceptions.JSONDecodeError("this is not JSON that can be read", "", 0) from None


def whole_text(text: str) -> str:
    """
    The text with U+FFFD for each half of a surrogate pair, which no database takes.
    """
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _with_whole_texts(value: Any) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, list):
        return [_with_whole_texts(each) for each in value]
    if isinstance(value, dict):
        return {whole_text(name): _with_whole_texts(each) for name, each in value.items()}
    return value


def _unreachable(door: Door, error: requests.exceptions.RequestException, *, is_harmless: bool) -> Retriable:
    kind = Passing if is_harmless or was_never_sent(error) else Ambiguous
    return kind(door.unreachable, f"{door.system} did not answer", vendor=_words(error))


def was_never_sent(error: requests.exceptions.RequestException) -> bool:
    """
    Whether the call certainly did not reach the other side: no connection came about.
    """
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, low.MaxRetryError) else cause
    return isinstance(reason, low.NewConnectionError | low.ConnectTimeoutError | low.NameResolutionError)


def repeated(call: Callable[[], T], options: HttpOptions) -> T:
    """
    Make the call, and again while its failure is Passing, at most ``options.attempts`` times with growing pauses, and
    not after ``options.repeat_seconds``.
    """
    retrying = Retrying(
        stop=stop_any(stop_after_attempt(options.attempts), stop_after_delay(options.repeat_seconds)),
        wait=wait_exponential_jitter(multiplier=options.pause_seconds, max=8.0, jitter=options.pause_seconds),
        retry=retry_if_exception_type(Passing),
        reraise=True,
    )
    return retrying(call)


def asked_pause(headers: Any) -> timedelta | None:
    """
    The pause that a Retry-After header asks for, in sane bounds; None where there is none or it is not a number.
    """
    stated = str(headers.get("Retry-After", "")).strip()
    if not stated.isascii() or not stated.isdigit():
        return None
    return min(timedelta(seconds=int(stated[:9])), LONGEST_PAUSE)


def _words(error: Exception) -> str:
    # The exception's own text holds whole addresses with their queries; its kind says enough.
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None) or cause
    return type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__
