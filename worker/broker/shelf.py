"""
What the processes of one installation share through the broker: a session, sealed; turns; and how often something was
done within the hour.

Nothing on it is needed. A broker that is away, slow or empty costs a process a login of its own and nothing more: every
trouble is noted once and answered as an empty shelf would. Wiring hands it to connectors.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import redis
import structlog
from cryptography.fernet import InvalidToken, MultiFernet

log = structlog.get_logger()

T = TypeVar("T")

PREFIX: Final = "headwater:shelf:"
_HOUR: Final = 3600
# A login takes a second or two; its holder may die with the turn, and then the others wait so long and no longer.
TURN_SECONDS: Final = 15
PATIENCE_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
# A broker that was away is not asked again for so long: a login must not wait for time-outs.
_REST_SECONDS: Final = 15.0

# Give the turn back only if it is still one's own.
_GIVE_BACK: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class RedisShelf:
    """
    A shelf in Redis or Valkey. ``seal`` closes what is kept there; without one nothing secret ever goes there, and
    every process has a session of its own.
    """

    def __init__(self, redis_url: str, seal: MultiFernet | None) -> None:
        self._client = redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        self._seal = seal
        self._away_until = 0.0

    def read(self, name: str) -> str | None:
        """
        The text kept under a name; None where there is none, or it was sealed with keys that are gone.
        """
        seal = self._seal
        if seal is None:
            return None
        sealed = self._asked(lambda: self._client.get(PREFIX + name), None)
        if not isinstance(sealed, bytes):
            return None
        try:
            return seal.decrypt(sealed).decode()
        except InvalidToken:
            return None

    def keep(self, name: str, text: str, seconds: float) -> None:
        """
        Seal a text and keep it so long.
        """
        if self._seal is not None:
            sealed = self._seal.encrypt(text.encode())
            self._asked(lambda: self._client.set(PREFIX + name, sealed, ex=int(seconds)), None)

    def drop(self, name: str) -> None:
        """
        Forget what is kept under a name.
        """
        self._asked(lambda: self._client.delete(PREFIX + name), None)

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """
        Go one after another, as far as the broker is there to say so. A turn lasts 15 s at most, a wait for it 20.
        """
        key, mine = f"{PREFIX}turn:{name}", uuid.uuid4().hex
        has_turn = self._seal is not None and self._take_turn(key, mine)
        try:
            yield
        finally:
            if has_turn:
                self._asked(lambda: self._client.eval(_GIVE_BACK, 1, key, mine), None)

    def admit(self, name: str, at: float, limit: int) -> bool:
        """
        Count one more use at ``at`` and say whether it is within the limit of the hour before it.
        """
        key, member = PREFIX + name, uuid.uuid4().hex

        def count() -> bool:
            with self._client.pipeline() as pipe:
                pipe.zadd(key, {member: at})
                pipe.zremrangebyscore(key, "-inf", at - 24 * _HOUR)
                # Uses that lie ahead were counted by another clock, a practice org's for one.
                pipe.zcount(key, f"({at - _HOUR}", at + _HOUR)
                pipe.expire(key, 2 * _HOUR)
                is_admitted = int(pipe.execute()[2]) <= limit
            if not is_admitted:
                self._client.zrem(key, member)
            return is_admitted

        return self._asked(count, True)

    def _take_turn(self, key: str, mine: str) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self._is_away:
            if self._asked(lambda: self._client.set(key, mine, nx=True, ex=TURN_SECONDS), None):
                return True
            time.sleep(_POLL_SECONDS)
        return False

    @property
    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until

    def _asked(self, ask: Callable[[], T], otherwise: T) -> T:
        if self._is_away:
            return otherwise
        try:
            return ask()
        except (redis.RedisError, OSError) as error:
            self._away_until = time.monotonic() + _REST_SECONDS
            log.warning("shelf not reached", reason=type(error).__name__)
            return otherwise
