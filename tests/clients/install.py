"""
Where the clients live: a private virtual environment or npm folder each, under ``.headwater/clients``.

A client's folder is named after the hash of its lock file, so a new pin makes a new folder and an old one is removed.
What cannot be had on this machine (no network, no node) raises ``Unavailable`` with a plain line. A download that is
not what its lock says raises ``TamperedError``: that is never skipped. ``lock`` makes the lock files again.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = Path(__file__).resolve().parent / "parts"
HOME = ROOT / ".headwater" / "clients"
READY = ".ready"
INSTALL_SECONDS = 900
NEEDED_NODE = 18  # jsforce 3.10.15 says so; newer ones want 22
TAMPERED = ("DO NOT MATCH THE HASHES", "EINTEGRITY")
UV_OPTIONS = (
    "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
    "--no-header", "-q",
)  # fmt: skip


class Unavailable(Exception):
    """
    A client that cannot be installed here, and why.
    """


class TamperedError(Exception):
    """
    A client's download has another hash than its lock file.
    """


def python_client(name: str, *, build: bool = False, loose: str | None = None) -> Path:
    """
    The ``bin`` folder of a virtual environment with what ``parts/NAME.txt`` locks.

    ``build`` first installs the tools that packages without a wheel are built with. ``loose`` names a second lock
    file whose packages are installed without what they ask for.
    """
    locks = [PARTS / f"{each}.txt" for each in ("build" if build else None, name, loose) if each]
    with _folder(name, locks) as (folder, fresh):
        if fresh:
            log = folder / "install.log"
            _run([sys.executable, "-m", "venv", str(folder)], log, "no virtual environment can be made")
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
            why = "its packages cannot be had: no package index is in reach, or it lacks them"
            for lock in locks:
                options = ["--no-build-isolation"] if build and lock.stem == name else []
                options += ["--no-deps"] if lock.stem == loose else []
                _run([*pip, "--require-hashes", *options, "-r", str(lock)], log, why)
            (folder / READY).touch()
        return folder / "bin"


def python_version(programs: Path, package: str) -> str:
    """
    The version of ``package`` beside the programs of ``python_client``.
    """
    found = next(iter((programs.parent / "lib").glob(f"python*/site-packages/{package}-*.dist-info")))
    return found.name.removeprefix(f"{package}-").removesuffix(".dist-info")


def node_client(name: str) -> Path:
    """
    A folder whose ``node_modules`` has what ``parts/NAME/package-lock.json`` locks. No package's scripts are run.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("there is no node with npm on this machine")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    if int(version.strip().lstrip("v").partition(".")[0]) < NEEDED_NODE:
        raise Unavailable(f"node is {version.strip()}; {NEEDED_NODE} or newer is needed")
    files = [PARTS / name / each for each in ("package.json", "package-lock.json")]
    with _folder(name, files) as (folder, fresh):
        if fresh:
            for file in files:
                shutil.copy(file, folder)
            why = "its packages cannot be had: no package index is in reach, or it lacks them"
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
            _run(command, folder / "install.log", why, cwd=folder)
            (folder / READY).touch()
        return folder


@contextmanager
def _folder(name: str, locks: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """
    A client's folder, held against another run, and whether it is still to be filled.
    """
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks) + sys.version.encode()).hexdigest()[:12]
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as seat:
        fcntl.flock(seat, fcntl.LOCK_EX)
        folder = HOME / f"{name}-{digest}"
        if not (folder / READY).exists():
            for old in HOME.glob(f"{name}-*"):
                if old.name.removeprefix(f"{name}-").isalnum():
                    shutil.rmtree(old)
            folder.mkdir()
        yield folder, not (folder / READY).exists()


def _run(command: Sequence[str], log: Path, why: str, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{why} within {INSTALL_SECONDS} s") from None
    with log.open("a") as file:
        file.write(done.stdout + done.stderr)
    if any(words in done.stdout + done.stderr for words in TAMPERED):
        raise TamperedError(f"a download is not what the lock file says; the installer's words are in {log}")
    if done.returncode != 0:
        raise Unavailable(f"{why} (the installer's words are in {log})")


def lock() -> None:
    """
    Make the lock files again from ``parts/*.in`` and ``parts/*/package.json``; needs uv and npm. No addresses in them.
    """
    for source in sorted(PARTS.glob("*.in")):
        command = ["uv", "pip", "compile", *UV_OPTIONS, source.name, "-o", f"{source.stem}.txt"]
        loose = ["--no-deps"] if source.stem.endswith("-source") else []
        subprocess.run([*command, *loose], cwd=PARTS, check=True, timeout=INSTALL_SECONDS)
    for package in sorted(PARTS.glob("*/package.json")):
        command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--omit-lockfile-registry-resolved"]
        subprocess.run([*command, "--no-audit", "--no-fund"], cwd=package.parent, check=True, timeout=INSTALL_SECONDS)
        file = package.parent / "package-lock.json"
        content = json.loads(file.read_text())
        for each in content["packages"].values():
            for key in ("resolved", "funding"):
                each.pop(key, None)
        file.write_text(json.dumps(content, indent=2) + os.linesep)
