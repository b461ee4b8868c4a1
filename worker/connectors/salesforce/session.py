"""
Keeps one session of one organisation: takes the one that another process opened, opens one where there is none, and
stops asking before an account is locked.

It decides when a login is made, never how (``login``). The client asks it for a session before each call and tells it
how the call went. Safe to use from any thread.
"""

import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from worker.connectors.http import HttpSession
from worker.connectors.salesforce.classify import SessionBarred, SessionRefused
from worker.connectors.salesforce.hosts import checked_address
from worker.connectors.salesforce.login import Credentials, Login, Vault, instance_of, log_in
from worker.core.errors import Fatal, HeadwaterError, Retriable

log = structlog.get_logger()

LOGINS_PER_HOUR: Final = 60
HOUR: Final = 3600.0
# New sessions refused in a row before we stop asking: accounts get locked by storms of logins.
REFUSALS_IN_A_ROW: Final = 3
REST: Final = timedelta(minutes=15)
# Longer than any session lives by Salesforce's settings (24 hours): what is refused earlier is replaced then.
_KEPT_SECONDS: Final = 86_400.0


class Shelf(Protocol):
    """
    What the processes of one installation share. Nothing on it is needed: one that has lost everything, or does not
    answer, is an empty one, and then each process logs in for itself.
    """

    def read(self, name: str) -> str | None:
        """
        The text kept under a name.
        """

    def keep(self, name: str, text: str, seconds: float) -> None:
        """
        Keep a secret text under a name for so long.
        """

    def drop(self, name: str) -> None:
        """
        Forget what is kept under a name.
        """

    def turn(self, name: str) -> AbstractContextManager[None]:
        """
        Go one after another for the length of a ``with``; nobody waits for ever.
        """

    def admit(self, name: str, at: float, limit: int) -> bool:
        """
        Count one more use at ``at`` (seconds since 1970) and say whether that makes at most ``limit`` within the hour;
        one that is not admitted does not count.
        """


class OwnShelf:
    """
    A shelf of this process alone.
    """

    def read(self, name: str) -> str | None:  # noqa: ARG002 - the session itself is kept by its keeper
        """
        None.
        """
        return None

    def keep(self, name: str, text: str, seconds: float) -> None:
        """
        Nothing.
        """

    def drop(self, name: str) -> None:
        """
        Nothing.
        """

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:  # noqa: ARG002 - the keeper's own lock is enough
        """
        At once.
        """
        yield

    def admit(self, name: str, at: float, limit: int) -> bool:  # noqa: ARG002 - the keeper counts its own
        """
        True.
        """
        return True


class SessionKeeper:
    """
    The session of one organisation. Logins are at most ``logins_per_hour``, by the organisation's clock.
    """

    def __init__(
        self,
        session: HttpSession,
        credentials: Credentials,
        suffixes: Sequence[str] = (),
        *,
        shelf: Shelf | None = None,
        vault: Vault | None = None,
        logins_per_hour: int = LOGINS_PER_HOUR,
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._suffixes = tuple(suffixes)
        self._shelf = shelf or OwnShelf()
        self._vault = vault
        self._limit = logins_per_hour
        self._name = credentials.name
        self._lock = threading.Lock()
        self._login: Login | None = None
        self._was_accepted = False
        self._refusals = 0
        self._rests_until: datetime | None = None
        self._why: HeadwaterError | None = None
        self._logins: deque[float] = deque()

    def current(self) -> Login:
        """
        The session to call with. Raises Fatal HW-204 and HW-205, Retriable HW-231 when too many were opened already.
        """
        with self._lock:
            return self._login or self._open(None)

    def renewed(self, refused: Login, error: SessionRefused) -> Login:
        """
        Another session than the one that Salesforce has just refused: another thread's, another process's, or a new
        one. Raises as ``current`` does.
        """
        with self._lock:
            if self._login is not None and self._login.token != refused.token:
                return self._login
            self._note_refusal(refused, error)
            self._login = None
            return self._open(refused.token)

    def accepted(self, login: Login) -> None:
        """
        A call with this session was answered: it is a good one.
        """
        if not self._was_accepted:
            with self._lock:
                if self._login is not None and self._login.token == login.token:
                    self._was_accepted = True
                    self._refusals = 0
                    self._rests_until = None

    def refused_again(self, refused: Login, error: SessionRefused) -> None:
        """
        The session that ``renewed`` gave was refused too.
        """
        with self._lock:
            self._note_refusal(refused, error)
            self._login = None

    def barred(self, error: SessionBarred) -> None:
        """
        The session is refused for what it is: nothing is asked with it for a while, nor with another.
        """
        with self._lock:
            self._rest(error)

    def _note_refusal(self, refused: Login, error: SessionRefused) -> None:
        # The end of a session that worked, or of one that another process left behind, is what sessions come to. One of
        # our own that was refused at its first use is no expiry.
        if self._was_accepted or refused.is_shared:
            return
        self._refusals += 1
        if self._refusals >= REFUSALS_IN_A_ROW:
            self._rest(error)

    def _rest(self, why: HeadwaterError) -> None:
        self._why = why
        self._rests_until = self._session.platform_now() + REST
        self._login = None
        self._shelf.drop(self._name)

    def _expect_no_rest(self) -> None:
        until = self._rests_until
        if until is None or self._why is None:
            return
        if self._session.platform_now() >= until:
            # One more try; if that is refused, the rest begins again.
            self._rests_until, self._refusals = None, REFUSALS_IN_A_ROW - 1
            return
        raise Fatal(
            self._why.code,
            f"{self._why.message}; Salesforce is asked again at {until:%H:%M} UTC, so that no account is locked",
            vendor=self._why.vendor,
            actions=[*self._why.actions, "headwater doctor"],
        )

    def _open(self, refused: str | None) -> Login:
        self._expect_no_rest()
        with self._shelf.turn(self._name):
            login = self._from_shelf(refused)
            if login is None:
                login = self._log_in()
                self._shelf.keep(self._name, _text_of(login), _KEPT_SECONDS)
        self._was_accepted = False
        self._login = login
        return login

    def _log_in(self) -> Login:
        self._expect_room()
        try:
            return log_in(self._session, self._credentials, self._suffixes, self._vault)
        except Fatal as error:
            self._refusals += 1
            if self._refusals >= REFUSALS_IN_A_ROW:
                self._rest(error)
            raise
        finally:
            # The first answer tells the organisation's clock: it is the one that counts our logins.
            self._logins.append(self._session.platform_now().timestamp())

    def _expect_room(self) -> None:
        now = self._session.platform_now().timestamp()
        while self._logins and self._logins[0] <= now - HOUR:
            self._logins.popleft()
        if len(self._logins) >= self._limit or not self._shelf.admit(f"logins:{self._name}", now, self._limit):
            free_at = datetime.fromtimestamp((self._logins[0] if self._logins else now) + HOUR, UTC)
            raise Retriable(
                "HW-231",
                f"{self._limit} logins to Salesforce within an hour; the next one waits until {free_at:%H:%M} UTC "
                "at the latest",
                after=timedelta(minutes=5),
                actions=[
                    "Look at the integration user's login history in Setup: something ends its sessions.",
                    "Set HEADWATER_TOKEN_KEY, so that all processes share one session.",
                ],
            )

    def _from_shelf(self, refused: str | None) -> Login | None:
        text = self._shelf.read(self._name)
        if text is None:
            return None
        try:
            kept: dict[str, Any] = json.loads(text)
            asked = checked_address(self._credentials.login_url, self._suffixes)
            instance = instance_of(str(kept["instance"]), asked, self._suffixes)
            login = Login(str(kept["token"]), instance, kept["org"], kept["user"], is_shared=True)
        except (ValueError, KeyError, TypeError, AttributeError, HeadwaterError):
            return None  # written by another version of ours, or by nobody
        return None if login.token == refused else login


def _text_of(login: Login) -> str:
    return json.dumps(
        {"token": login.token, "instance": login.instance.url, "org": login.org_id, "user": login.user_id}
    )
