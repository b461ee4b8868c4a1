"""
The keys of the practice server: a certificate authority of its own, a server certificate, and the RSA pair of the
JWT login.

Made once in the data folder and found again there. Certificates run by the machine's clock, not the practice clock,
because TLS libraries check them against the machine's.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = (
    "localhost",
    "login.salesforce.com",
    "test.salesforce.com",
    "*.my.salesforce.com",
    "*.sandbox.my.salesforce.com",
    "*.mktorest.com",
)
VALID = timedelta(days=365)


@dataclass(frozen=True)
class KeyFiles:
    """
    PEM files: the authority a client trusts, the server's chain and key, and the pair that signs and checks JWTs.
    """

    ca: Path
    server_chain: Path
    server_key: Path
    jwt_private: Path
    jwt_public: Path


def ensure_keys(folder: Path) -> KeyFiles:
    """
    The key files in ``folder``, made where they are missing. The folder must exist.
    """
    files = KeyFiles(
        ca=folder / "ca.pem",
        server_chain=folder / "server.pem",
        server_key=folder / "server.key",
        jwt_private=folder / "integration.key",
        jwt_public=folder / "integration.pub",
    )
    if not (files.ca.exists() and files.server_chain.exists() and files.server_key.exists()):
        _make_certificates(files)
    if not (files.jwt_private.exists() and files.jwt_public.exists()):
        _make_jwt_pair(files)
    return files


def _make_certificates(files: KeyFiles) -> None:
    start = datetime.now(UTC) - timedelta(days=1)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Headwater practice authority")])
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .add_extension(_ca_usage(), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_pem = ca.public_bytes(serialization.Encoding.PEM)
    files.ca.write_bytes(ca_pem)
    files.server_chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + ca_pem)
    _write_private(files.server_key, key)


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_jwt_pair(files: KeyFiles) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_private(files.jwt_private, key)
    files.jwt_public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
