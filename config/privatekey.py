"""
Puts a private key from the environment right and says what is wrong with it, without ever showing it.
"""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

LEAST_BITS: Final = 2048  # Salesforce signs in with RS256, and refuses shorter keys


def checked_private_key(secret: SecretStr) -> SecretStr:
    """
    The key as PEM with real line breaks; ``\\n`` written out is taken for one.

    Raises ValueError with the end of a sentence that begins with the variable's name.
    """
    text = secret.get_secret_value().replace("\\n", "\n").replace("\r\n", "\n").strip() + "\n"
    if "-----BEGIN" not in text or "PRIVATE KEY-----" not in text:
        raise ValueError("is no private key; it must begin with -----BEGIN PRIVATE KEY-----")
    if text.count("\n") < 3:
        raise ValueError("has lost its line breaks; write each of them as \\n, or use SALESFORCE_PRIVATE_KEY_FILE")
    try:
        key = load_pem_private_key(text.encode("ascii"), password=None)
    except TypeError as error:
        raise ValueError("is protected by a passphrase; store it without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("cannot be read as a private key; a part of it is missing or changed") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is no RSA key; Salesforce takes no other")  # noqa: TRY004 - pydantic reports only ValueError
    if key.key_size < LEAST_BITS:
        raise ValueError(f"has {key.key_size} bits; {LEAST_BITS} are the least")
    return SecretStr(text)
