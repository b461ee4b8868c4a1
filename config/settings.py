"""
The environment as one frozen ``Settings``, checked at start.

Every wrong variable is named at once and no value is ever shown. What people get wrong harmlessly (a trailing newline,
quotes kept from a shell file, ``postgres://``) is put right and said in ``notes``. Only wiring, tasks and cli read it.
"""

import difflib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.addresses import checked_database_url, checked_marketo_url, checked_redis_url, checked_salesforce_url
from config.errors import ConfigError
from config.privatekey import checked_private_key
from config.rulefiles import SHIPPED_RULES
from config.tokenkey import MAKE_ONE, checked_token_keys

SALESFORCE_LOGIN_URL: Final = "https://login.salesforce.com"

_LINE_BREAK: Final = "a line break around it"
_KEY_FILE_BYTES: Final = 65_536  # a key of 16,384 bits takes 13,000; more is another file

_CHECKOUT: Final = Path(__file__).resolve().parent.parent


def _readable_file(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError("names a file that is not there or cannot be read")
    return path


def _folder(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_dir():
        raise ValueError("names a folder that is not there")
    return path


def _bind(text: str) -> str:
    if text != "localhost":
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise ValueError("must be an IP address of this machine, 127.0.0.1 or 0.0.0.0") from error
    return text


def _home() -> Path:
    """
    Beside the checkout where there is one, else beside whatever folder the command runs in.
    """
    return (_CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()) / ".headwater"


class Settings(BaseSettings):
    """
    Everything that comes from the environment. Secrets never show in ``repr``.

    ``salesforce_private_key`` is a PEM with real line breaks whichever way it came. ``notes`` are sentences about what
    was put right, for whoever starts the program to print.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=True, hide_input_in_errors=True)

    database_url: Annotated[SecretStr, AfterValidator(checked_database_url)] | None = Field(
        None, validation_alias="DATABASE_URL"
    )
    redis_url: Annotated[SecretStr, AfterValidator(checked_redis_url)] | None = Field(
        None, validation_alias="REDIS_URL"
    )
    salesforce_login_url: Annotated[str, AfterValidator(checked_salesforce_url)] = Field(
        SALESFORCE_LOGIN_URL, validation_alias="SALESFORCE_LOGIN_URL"
    )
    salesforce_client_id: str | None = Field(None, validation_alias="SALESFORCE_CLIENT_ID")
    salesforce_username: str | None = Field(None, validation_alias="SALESFORCE_USERNAME")
    salesforce_private_key: Annotated[SecretStr, AfterValidator(checked_private_key)] | None = Field(
        None, validation_alias="SALESFORCE_PRIVATE_KEY"
    )
    salesforce_private_key_file: Annotated[Path, AfterValidator(_readable_file)] | None = Field(
        None, validation_alias="SALESFORCE_PRIVATE_KEY_FILE"
    )
    salesforce_client_secret: SecretStr | None = Field(None, validation_alias="SALESFORCE_CLIENT_SECRET")
    salesforce_refresh_token: SecretStr | None = Field(None, validation_alias="SALESFORCE_REFRESH_TOKEN")
    salesforce_certificate_file: Annotated[Path, AfterValidator(_readable_file)] | None = Field(
        None, validation_alias="SALESFORCE_CERTIFICATE_FILE"
    )
    salesforce_ca_file: Annotated[Path, AfterValidator(_readable_file)] | None = Field(
        None, validation_alias="SALESFORCE_CA_FILE"
    )
    marketo_url: Annotated[str, AfterValidator(checked_marketo_url)] | None = Field(
        None, validation_alias="MARKETO_URL"
    )
    marketo_client_id: str | None = Field(None, validation_alias="MARKETO_CLIENT_ID")
    marketo_client_secret: SecretStr | None = Field(None, validation_alias="MARKETO_CLIENT_SECRET")
    token_key: Annotated[SecretStr, AfterValidator(checked_token_keys)] | None = Field(
        None, validation_alias="HEADWATER_TOKEN_KEY"
    )
    rules: Annotated[Path, AfterValidator(_folder)] = Field(SHIPPED_RULES, validation_alias="HEADWATER_RULES")
    home: Path = Field(default_factory=_home, validation_alias="HEADWATER_HOME")
    log: Literal["console", "json"] = Field("console", validation_alias="HEADWATER_LOG")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(8080, validation_alias="PORT")
    bind: Annotated[str, AfterValidator(_bind)] = Field("127.0.0.1", validation_alias="HEADWATER_BIND")
    notes: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="HEADWATER_NOTES")

    @model_validator(mode="before")
    @classmethod
    def _put_right(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kept, notes = {}, []
        for name, value in given.items():
            if not isinstance(value, str):
                kept[name] = value
                continue
            plain, note = _tidy(value)
            if note and not (name == "SALESFORCE_PRIVATE_KEY" and note == _LINE_BREAK):  # a PEM ends in one
                notes.append(f"{name} had {note}; dropped")
            if plain:  # a variable that is set to nothing is not set
                kept[name] = plain
        return kept | {"HEADWATER_NOTES": tuple(notes)}

    @model_validator(mode="before")
    @classmethod
    def _read_key_file(cls, given: Any) -> Any:
        """
        Runs before the tidying above is checked, and so leaves it to say what is wrong with the file's name.
        """
        if not isinstance(given, dict) or not given.get("SALESFORCE_PRIVATE_KEY_FILE"):
            return given
        if given.get("SALESFORCE_PRIVATE_KEY"):
            raise ValueError("SALESFORCE_PRIVATE_KEY and SALESFORCE_PRIVATE_KEY_FILE are both set; keep one")
        path = Path(_tidy(str(given["SALESFORCE_PRIVATE_KEY_FILE"]))[0]).expanduser()
        try:
            with path.open("rb") as opened:
                raw = opened.read(_KEY_FILE_BYTES)
        except OSError:
            return given
        return given | {"SALESFORCE_PRIVATE_KEY": raw.decode("ascii", errors="replace")}

    @property
    def salesforce_login(self) -> Literal["jwt", "client_credentials", "refresh_token"] | None:
        """
        How to log in to Salesforce: with the key where there is one, with the refresh token where there is one, else
        with the secret, None without any of them.
        """
        if self.salesforce_private_key is not None:
            return "jwt"
        if self.salesforce_refresh_token is not None:
            return "refresh_token"
        return "client_credentials" if self.salesforce_client_secret is not None else None

    def need_salesforce(self) -> Self:
        """
        Itself, if it says enough to log in to Salesforce. Raises ``ConfigError`` naming every variable that is missing.
        """
        wanted: dict[str, object] = {"SALESFORCE_CLIENT_ID": self.salesforce_client_id}
        if self.salesforce_login in (None, "jwt"):
            wanted |= {
                "SALESFORCE_PRIVATE_KEY (or SALESFORCE_CLIENT_SECRET)": self.salesforce_private_key,
                "SALESFORCE_USERNAME": self.salesforce_username,
            }
        _need("Salesforce", wanted)
        if self.salesforce_login == "refresh_token" and self.token_key is None:
            raise ConfigError(
                "HW-101",
                "SALESFORCE_REFRESH_TOKEN needs HEADWATER_TOKEN_KEY: Salesforce may replace the token at any login, "
                "and the next one is only kept sealed",
                (f"export HEADWATER_TOKEN_KEY=$({MAKE_ONE})   # and keep it",),
            )
        shared_hosts = (SALESFORCE_LOGIN_URL, "https://test.salesforce.com")
        if self.salesforce_login == "client_credentials" and self.salesforce_login_url in shared_hosts:
            raise ConfigError(
                "HW-101",
                "SALESFORCE_LOGIN_URL must be your own domain: Salesforce takes a client secret nowhere else",
                ("export SALESFORCE_LOGIN_URL=https://YOUR-DOMAIN.my.salesforce.com",),
            )
        return self

    def need_marketo(self) -> Self:
        """
        Itself, if it says enough to log in to Marketo. Raises ``ConfigError`` naming every variable that is missing.
        """
        wanted: dict[str, object] = {
            "MARKETO_URL": self.marketo_url,
            "MARKETO_CLIENT_ID": self.marketo_client_id,
            "MARKETO_CLIENT_SECRET": self.marketo_client_secret,
        }
        _need("Marketo", wanted)
        return self


def load_settings(**given: Any) -> Settings:
    """
    The settings of this process. ``given`` wins over the environment, by field name (``database_url=...``).

    Raises ``ConfigError`` HW-101 with every variable that is wrong.
    """
    by_variable = {_variable(name): value for name, value in given.items()}
    try:
        settings = Settings(**by_variable)
    except ValidationError as error:
        wrong = [_sentence(found["loc"], found["type"], str(found["msg"])) for found in error.errors()]
        lines = "\n".join(f"  {sentence}" for sentence in sorted(set(wrong)))
        raise ConfigError(
            "HW-101", f"the environment cannot be used\n{lines}", ("Correct the variables named",)
        ) from None
    strangers = tuple(_strangers(os.environ))
    return settings.model_copy(update={"notes": settings.notes + strangers}) if strangers else settings


def _variable(name: str) -> str:
    return str(Settings.model_fields[name].validation_alias)


def _tidy(value: str) -> tuple[str, str]:
    """
    The value without what a shell, a file or a web form left around it, and what that was.
    """
    plain = value.strip()
    if len(plain) >= 2 and plain[0] == plain[-1] and plain[0] in "\"'":
        return plain[1:-1].strip(), "quotes around it"
    if plain == value:
        return plain, ""
    around = value[: len(value) - len(value.lstrip())] + value[len(value.rstrip()) :]
    return plain, _LINE_BREAK if "\n" in around else "spaces around it"


def _need(system: str, wanted: Mapping[str, object]) -> None:
    missing = [name for name, value in wanted.items() if value is None]
    if missing:
        names = ", ".join(missing)
        exports = " ".join(f"{name.partition(' ')[0]}=..." for name in missing)
        raise ConfigError(
            "HW-101",
            f"{system} cannot be reached: {names} not set",
            (
                f"export {exports}   # what each is: README, section Install it for real",
                "eval $(headwater practice env)   # practice orgs: README, section Try it on a company of your own",
            ),
        )


def _sentence(location: tuple[int | str, ...], kind: str, message: str) -> str:
    """
    What is wrong with one variable, without its value.
    """
    if not location:
        return message.removeprefix("Value error, ")
    name = str(location[0])
    if kind == "value_error":
        return f"{name} {message.removeprefix('Value error, ')}"
    plain = {
        "literal_error": "must be console or json",
        "int_parsing": "must be a whole number",
        "greater_than_equal": "must be from 0 to 65535",
        "less_than_equal": "must be from 0 to 65535",
    }
    return f"{name} {plain.get(kind, 'cannot be read')}"


def _strangers(environ: Mapping[str, str]) -> list[str]:
    known = [str(field.validation_alias) for field in Settings.model_fields.values()]
    notes = []
    for name in sorted(environ):
        if name.startswith(("SALESFORCE_", "MARKETO_", "HEADWATER_")) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            if close:
                notes.append(f"{name} is no variable of Headwater's. Did you mean {close[0]}?")
    return notes
