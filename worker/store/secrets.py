"""
Remembers what must not be lost and must not be read: refresh tokens that replaced others. Sealed; the keys are not in
the database. Wiring hands it to connectors.
"""

from collections.abc import Callable
from typing import TypeVar

from cryptography.fernet import InvalidToken, MultiFernet
from sqlalchemy import Engine, text

from worker.core.errors import Fatal

T = TypeVar("T")


class SealedVault:
    """
    Secrets in the table ``secret``, each used by one process at a time.
    """

    def __init__(self, engine: Engine, seal: MultiFernet) -> None:
        self._engine = engine
        self._seal = seal

    def exchange(self, name: str, given: str, use: Callable[[str], tuple[T, str | None]]) -> T:
        """
        Call ``use`` with the secret kept under ``name``, or ``given`` where none is, while nobody else does; the new
        secret that ``use`` returns beside its result, if any, is committed before this returns.

        Raises what ``use`` raises, Fatal HW-233 where what is kept was sealed with keys that are not there any more.
        """
        with self._engine.begin() as connection:
            connection.execute(text("INSERT INTO secret (name) VALUES (:name) ON CONFLICT DO NOTHING"), {"name": name})
            sealed = connection.execute(
                text("SELECT sealed FROM secret WHERE name = :name FOR UPDATE"), {"name": name}
            ).scalar_one()
            result, replaced = use(given if sealed is None else self._opened(sealed))
            if replaced is not None:
                connection.execute(
                    text("UPDATE secret SET sealed = :sealed, kept_at = now() WHERE name = :name"),
                    {"name": name, "sealed": self._seal.encrypt(replaced.encode()).decode()},
                )
        return result

    def _opened(self, sealed: str) -> str:
        try:
            return self._seal.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Fatal(
                "HW-233",
                "the refresh token kept in the database was sealed with a key that HEADWATER_TOKEN_KEY does not list",
                actions=[
                    "List the old key behind the new one: HEADWATER_TOKEN_KEY=NEW,OLD",
                    "Where the old key is lost: authorize the app again and set SALESFORCE_REFRESH_TOKEN to the new token.",
                ],
            ) from None
