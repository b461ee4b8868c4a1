"""
The environment: what is forgiven and said, what is refused by name, and that no value ever shows.
"""

import base64
import os
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from config.errors import ConfigError
from config.rulefiles import SHIPPED_RULES
from config.settings import Settings, load_settings

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TOKEN_KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    prefixes = ("SALESFORCE_", "MARKETO_", "HEADWATER_", "DATABASE_URL", "REDIS_URL", "PORT")
    for name in list(os.environ):
        if name.startswith(prefixes):
            monkeypatch.delenv(name)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> "type[_Environment]":
    _Environment.patch = monkeypatch
    return _Environment


class _Environment:
    """
    Sets variables and reads them as settings, or as what is wrong with them.
    """

    patch: pytest.MonkeyPatch

    @classmethod
    def read(cls, **variables: str) -> Settings:
        for name, value in variables.items():
            cls.patch.setenv(name, value)
        return load_settings()

    @classmethod
    def refused(cls, **variables: str) -> str:
        with pytest.raises(ConfigError) as caught:
            cls.read(**variables)
        assert caught.value.code == "HW-101"
        return caught.value.message


def test_nothing_set_is_a_working_start() -> None:
    settings = load_settings()
    assert settings.database_url is None
    assert settings.redis_url is None
    assert settings.salesforce_login_url == "https://login.salesforce.com"
    assert (settings.bind, settings.port, settings.log, settings.rules) == ("127.0.0.1", 8080, "console", SHIPPED_RULES)
    assert settings.home.name == ".headwater"
    assert settings.notes == ()
    assert settings.salesforce_login is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_database_address_becomes_psycopgs(environment: type[_Environment], scheme: str) -> None:
    settings = environment.read(DATABASE_URL=f"{scheme}://ann:p%40ss@db.acme.com:5432/head?sslmode=require")
    assert settings.database_url is not None
    assert (
        settings.database_url.get_secret_value()
        == "postgresql+psycopg://ann:p%40ss@db.acme.com:5432/head?sslmode=require"
    )


def test_quotes_and_line_breaks_are_dropped_and_said(environment: type[_Environment]) -> None:
    settings = environment.read(DATABASE_URL='"postgres://db/head"\n', MARKETO_CLIENT_ID="abc \n", PORT=" 8081")
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql+psycopg://db/head"
    assert (settings.marketo_client_id, settings.port) == ("abc", 8081)
    assert settings.notes == (
        "DATABASE_URL had quotes around it; dropped",
        "MARKETO_CLIENT_ID had a line break around it; dropped",
        "PORT had spaces around it; dropped",
    )


def test_a_variable_set_to_nothing_is_not_set(environment: type[_Environment]) -> None:
    settings = environment.read(DATABASE_URL="", REDIS_URL=" ", PORT="", MARKETO_CLIENT_SECRET='""')
    assert (settings.database_url, settings.redis_url, settings.marketo_client_secret) == (None, None, None)
    assert settings.port == 8080


def test_variables_of_other_programs_are_not_taken_for_ours(environment: type[_Environment]) -> None:
    settings = environment.read(HOME="/nowhere", RULES="/nowhere", LOG="xml", BIND="x", NOTES="x", port="1")
    assert (settings.home.name, settings.port, settings.bind) == (".headwater", 8080, "127.0.0.1")


def test_a_misspelt_variable_is_noticed(environment: type[_Environment]) -> None:
    notes = environment.read(SALESFORCE_CLIENTID="x", HEADWATER_RULE="x", MARKETO_SOMETHING_ELSE="x").notes
    assert notes == (
        "HEADWATER_RULE is no variable of Headwater's. Did you mean HEADWATER_RULES?",
        "SALESFORCE_CLIENTID is no variable of Headwater's. Did you mean SALESFORCE_CLIENT_ID?",
    )


def test_every_wrong_variable_is_named_at_once_and_no_value_shows(environment: type[_Environment]) -> None:
    canary = "c4n4ry-s3cret"
    message = environment.refused(
        DATABASE_URL=f"mysql://ann:{canary}@db/head",
        REDIS_URL=f"amqp://{canary}@host",
        PORT=canary,
        HEADWATER_LOG=canary,
        HEADWATER_BIND=canary,
        HEADWATER_RULES=f"/nowhere/{canary}",
        SALESFORCE_LOGIN_URL=f"https://{canary}.example",
        SALESFORCE_PRIVATE_KEY=f"-----BEGIN PRIVATE KEY-----\n{canary}\n{canary}\n-----END PRIVATE KEY-----",
        MARKETO_URL=f"ftp://{canary}.mktorest.com",
    )
    assert [line.split()[0] for line in message.splitlines()[1:]] == [
        "DATABASE_URL",
        "HEADWATER_BIND",
        "HEADWATER_LOG",
        "HEADWATER_RULES",
        "MARKETO_URL",
        "PORT",
        "REDIS_URL",
        "SALESFORCE_LOGIN_URL",
        "SALESFORCE_PRIVATE_KEY",
    ]
    assert canary not in message


def test_secrets_never_show(environment: type[_Environment]) -> None:
    settings = environment.read(
        DATABASE_URL="postgres://ann:hunter2@db/head",
        REDIS_URL="rediss://:hunter2@host",
        SALESFORCE_PRIVATE_KEY=PEM,
        SALESFORCE_CLIENT_SECRET="hunter2",
        MARKETO_CLIENT_SECRET="hunter2",
    )
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert "hunter2" not in shown
    assert PEM.splitlines()[1] not in shown


@pytest.mark.parametrize(
    "address",
    [
        "https://login.salesforce.com",
        "https://test.salesforce.com/",
        "https://Acme--uat.sandbox.my.salesforce.com",
        "https://acme.my.salesforce.mil",
        "http://127.0.0.1:8443",
        "https://localhost:8443",
        "https://demo.my.salesforce.test",
    ],
)
def test_salesforces_own_hosts_and_this_machine_are_taken(environment: type[_Environment], address: str) -> None:
    assert environment.read(SALESFORCE_LOGIN_URL=address).salesforce_login_url == address.rstrip("/").lower()


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "https://evil.example/#.salesforce.com",
        "https://evil.example/?x=.my.salesforce.com",
        "https://login.salesforce.com.evil.example",
        "https://evilsalesforce.com",
        "https://login.salesforce.com@evil.example",
        "https://evil.example\\@login.salesforce.com",
        "https://login.salesforce.com/services/oauth2/token",
        "http://login.salesforce.com",
        "http://169.254.169.254",
        "https://10.0.0.1",
        "https://[::1",
        "https://login.salesforce.com:port",
        "https://login.salesforce.com\n.evil.example",
        "login.salesforce.com",
        "file:///etc/passwd",
    ],
)
def test_no_other_host_gets_the_login(environment: type[_Environment], address: str) -> None:
    assert "SALESFORCE_LOGIN_URL" in environment.refused(SALESFORCE_LOGIN_URL=address)


@pytest.mark.parametrize("tail", ["", "/", "/rest", "/rest/", "/identity"])
def test_marketos_address_is_taken_as_marketo_shows_it(environment: type[_Environment], tail: str) -> None:
    assert environment.read(MARKETO_URL=f"https://123-ABC-456.mktorest.com{tail}").marketo_url == (
        "https://123-abc-456.mktorest.com"
    )


@pytest.mark.parametrize(
    "address", ["https://evil.example/rest", "https://mktorest.com.evil.example", "https://mktorest"]
)
def test_no_other_host_gets_marketos_secret(environment: type[_Environment], address: str) -> None:
    assert "MARKETO_URL" in environment.refused(MARKETO_URL=address)


def test_a_private_key_may_come_on_one_line(environment: type[_Environment]) -> None:
    settings = environment.read(SALESFORCE_PRIVATE_KEY=PEM.replace("\n", "\\n"))
    assert settings.salesforce_private_key is not None
    assert settings.salesforce_private_key.get_secret_value() == PEM
    assert settings.salesforce_login == "jwt"
    assert settings.notes == ()


def test_a_private_key_may_come_from_a_file(environment: type[_Environment], tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(PEM.replace("\n", "\r\n"))
    settings = environment.read(SALESFORCE_PRIVATE_KEY_FILE=f"{file}\n")
    assert settings.salesforce_private_key is not None
    assert settings.salesforce_private_key.get_secret_value() == PEM


def test_a_key_and_a_key_file_together_are_refused(environment: type[_Environment], tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    message = environment.refused(SALESFORCE_PRIVATE_KEY=PEM, SALESFORCE_PRIVATE_KEY_FILE=str(tmp_path / "key.pem"))
    assert "both set" in message


def unfit_keys() -> dict[str, tuple[str, str]]:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - the point is that it is refused
    curve = ec.generate_private_key(ec.SECP256R1())
    plain = (Encoding.PEM, PrivateFormat.PKCS8)
    return {
        "short": (short.private_bytes(*plain, NoEncryption()).decode(), "has 1024 bits"),
        "curve": (curve.private_bytes(*plain, NoEncryption()).decode(), "is no RSA key"),
        "locked": (KEY.private_bytes(*plain, BestAvailableEncryption(b"x")).decode(), "passphrase"),
        "one line": (PEM.replace("\n", " "), "lost its line breaks"),
        "cut": ("\n".join(PEM.splitlines()[:5] + PEM.splitlines()[-1:]), "missing or changed"),
        "another thing": ("hello", "is no private key"),
    }


@pytest.mark.parametrize("case", ["short", "curve", "locked", "one line", "cut", "another thing"])
def test_a_key_that_cannot_sign_is_refused_with_the_reason(environment: type[_Environment], case: str) -> None:
    key, reason = unfit_keys()[case]
    message = environment.refused(SALESFORCE_PRIVATE_KEY=key)
    assert reason in message
    assert key.strip().splitlines()[-2:][0] not in message or case == "another thing"


def test_what_is_not_a_text_file_is_no_key(environment: type[_Environment], tmp_path: Path) -> None:
    (tmp_path / "key.der").write_bytes(bytes(range(256)))
    message = environment.refused(SALESFORCE_PRIVATE_KEY_FILE=str(tmp_path / "key.der"))
    assert "is no private key" in message
    assert "cannot be read" in environment.refused(SALESFORCE_PRIVATE_KEY_FILE=str(tmp_path / "none.pem"))


def test_what_is_missing_for_salesforce_is_named(environment: type[_Environment]) -> None:
    with pytest.raises(
        ConfigError, match=r"SALESFORCE_CLIENT_ID, SALESFORCE_PRIVATE_KEY .* SALESFORCE_USERNAME not set"
    ):
        environment.read().need_salesforce()
    with pytest.raises(ConfigError, match=r"SALESFORCE_USERNAME not set"):
        environment.read(SALESFORCE_CLIENT_ID="id", SALESFORCE_PRIVATE_KEY=PEM).need_salesforce()
    assert environment.read(SALESFORCE_USERNAME="headwater@acme.com").need_salesforce().salesforce_login == "jwt"


def test_a_client_secret_needs_ones_own_domain(environment: type[_Environment]) -> None:
    with pytest.raises(ConfigError, match="your own domain"):
        environment.read(SALESFORCE_CLIENT_ID="id", SALESFORCE_CLIENT_SECRET="s").need_salesforce()
    settings = environment.read(SALESFORCE_LOGIN_URL="https://acme.my.salesforce.com").need_salesforce()
    assert settings.salesforce_login == "client_credentials"


def test_a_refresh_token_comes_third_and_needs_a_key_to_keep_the_next_one(environment: type[_Environment]) -> None:
    with pytest.raises(ConfigError, match="HEADWATER_TOKEN_KEY") as caught:
        environment.read(SALESFORCE_CLIENT_ID="id", SALESFORCE_REFRESH_TOKEN="5Aep861").need_salesforce()
    assert "openssl rand" in caught.value.actions[0]
    settings = environment.read(HEADWATER_TOKEN_KEY=TOKEN_KEY).need_salesforce()
    assert settings.salesforce_login == "refresh_token"
    # The app's secret may go with it; a private key is what is used where there is one.
    assert environment.read(SALESFORCE_CLIENT_SECRET="s").salesforce_login == "refresh_token"
    assert environment.read(SALESFORCE_PRIVATE_KEY=PEM).salesforce_login == "jwt"
    assert "5Aep861" not in repr(settings) + settings.model_dump_json()


def test_token_keys_are_listed_newest_first(environment: type[_Environment]) -> None:
    settings = environment.read(HEADWATER_TOKEN_KEY=f" {TOKEN_KEY} , {TOKEN_KEY}\n")
    assert settings.token_key is not None
    assert settings.token_key.get_secret_value() == f"{TOKEN_KEY},{TOKEN_KEY}"
    assert TOKEN_KEY not in repr(settings)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("hunter2", "number 1"),
        (TOKEN_KEY + ",", "number 2"),
        (TOKEN_KEY + ",c2hvcnQ=", "number 2.* of 5 bytes"),
    ],
)
def test_a_token_key_that_is_none_is_refused_by_its_number_and_not_shown(
    environment: type[_Environment], keys: str, words: str
) -> None:
    message = environment.refused(HEADWATER_TOKEN_KEY=keys)
    assert re.search(words, message)
    assert "openssl rand" in message
    assert keys.partition(",")[0] not in message


def test_what_is_missing_for_marketo_is_named(environment: type[_Environment]) -> None:
    with pytest.raises(ConfigError, match="MARKETO_CLIENT_ID, MARKETO_CLIENT_SECRET not set"):
        environment.read(MARKETO_URL="https://1.mktorest.com").need_marketo()


def test_what_the_program_gives_wins_over_the_environment(environment: type[_Environment], tmp_path: Path) -> None:
    environment.read(DATABASE_URL="postgres://one/head", HEADWATER_HOME="/one")
    settings = load_settings(database_url="postgres://two/head", home=tmp_path)
    assert settings.database_url is not None
    assert "two" in settings.database_url.get_secret_value()
    assert settings.home == tmp_path


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]
