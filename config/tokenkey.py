"""
Checks the keys that seal tokens at rest, without ever showing them.
"""

import base64
import binascii
from typing import Final

from pydantic import SecretStr

_KEY_BYTES: Final = 32
MAKE_ONE: Final = "openssl rand -base64 32 | tr '+/' '-_'"


def checked_token_keys(secret: SecretStr) -> SecretStr:
    """
    One key or several, separated by commas and nothing else: the first seals, all of them open. To rotate, put a new
    one in front, and leave the old one out a day later.

    Raises ValueError with the end of a sentence that begins with the variable's name.
    """
    keys = [key.strip() for key in secret.get_secret_value().split(",")]
    for number, key in enumerate(keys, start=1):
        try:
            raw = base64.b64decode(key, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"holds a key (number {number}) that is none; make one with  {MAKE_ONE}") from error
        if len(raw) != _KEY_BYTES:
            raise ValueError(f"holds a key (number {number}) of {len(raw)} bytes, not 32; make one with  {MAKE_ONE}")
    return SecretStr(",".join(keys))
