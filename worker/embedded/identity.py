"""
Decides as whom PostgreSQL runs, which refuses to be root, and brings its programs where that user can reach them.

An ordinary user runs it as himself. Root, and a user that is a number without an account, runs it in a user namespace
where he looks like ``nobody`` (the files stay his); root, where namespaces are refused as they often are inside a
container, as ``nobody`` for real. Neither adds an account nor opens a folder. Called by ``postgres``.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.core.errors import Fatal
from worker.embedded.binaries import Postgres

NOBODY: Final = 65534
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


@dataclass(frozen=True)
class Identity:
    """
    How to run a program: what to put before it, and whom to become first (None: nobody else).
    """

    name: str
    prefix: tuple[str, ...] = ()
    become: int | None = None

    @property
    def owner(self) -> int:
        """
        Whom the data belongs to, seen from outside.
        """
        return os.geteuid() if self.become is None else self.become

    def place(self, folder: Path) -> str:
        """
        How the program names its data folder, which it is started in.

        Root may have closed its checkout to everybody else, so a program that is no longer root reaches the folder only
        as the one it stands in.
        """
        return str(folder) if self.name == "direct" else "/proc/self/cwd"

    def run(self, command: list[str], folder: Path, *, text: str = "") -> subprocess.CompletedProcess[str]:
        """
        Run a program to its end in a folder; ``OSError`` where this identity is refused.
        """
        return subprocess.run(  # noqa: S603  our own command line
            [*self.prefix, *command],
            cwd=folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=plain_environment(),
            user=self.become,
            group=self.become,
            extra_groups=None if self.become is None else [],
        )

    def start(
        self, command: list[str], folder: Path, log: Path, *, ends_with: signal.Signals
    ) -> subprocess.Popen[bytes]:
        """
        Start a server in a folder, its words going to ``log``. It gets ``ends_with`` when its keeper dies.
        """
        with log.open("ab") as words:
            return subprocess.Popen(  # noqa: S603  our own command line
                [*self.prefix, *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=plain_environment(),
                user=self.become,
                group=self.become,
                extra_groups=None if self.become is None else [],
                preexec_fn=die_with_parent(ends_with),  # noqa: PLW1509  the keeper has one thread
            )

    def can_run(self, program: Path, folder: Path) -> bool:
        """
        Whether this machine lets us run the program so, from a data folder that is then writable.
        """
        script = 'test -w . && exec "$0" --version'
        try:
            own(folder, self.owner)
            return self.run(["/bin/sh", "-c", script, str(program)], folder).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False


DIRECT: Final = Identity("direct")
NAMESPACE: Final = Identity(
    "namespace", prefix=("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
)
BECOME_NOBODY: Final = Identity("nobody", become=NOBODY)


def choose(postgres: Postgres, data: Path, outside: Callable[[Path], None]) -> tuple[Identity, Path]:
    """
    The identity, and the folder of the programs it can reach: the first that works for real. ``outside`` is told of a
    folder beyond the home before anything is put there. HW-542 where none works.
    """
    root = os.geteuid() == 0
    if not root and has_account(os.geteuid()):
        return DIRECT, postgres.bin
    for identity in (NAMESPACE, BECOME_NOBODY) if root else (NAMESPACE,):
        if identity.can_run(postgres.bin / "postgres", data):
            return identity, postgres.bin
    if not root:
        raise Fatal(
            "HW-542",
            f"PostgreSQL refuses to run as user number {os.geteuid()}, who has no account here",
            actions=[
                "run the same command as a user with an account",
                "or add a line for that number to /etc/passwd of the container",
                "or set DATABASE_URL and REDIS_URL to servers of your own",
            ],
        )
    for base in ("/var/tmp", "/tmp"):  # noqa: S108  folders of our own are made there
        if (copied := copy_programs(postgres, Path(base), outside)) is None:
            continue
        for identity in (NAMESPACE, BECOME_NOBODY):
            if identity.can_run(copied / "postgres", data):
                return identity, copied
    raise Fatal(
        "HW-542",
        "PostgreSQL refuses to run as root, and this machine lets root neither make a user namespace nor become nobody",
        actions=[
            "run the same command as an ordinary user",
            "or give the container the capabilities SETUID, SETGID and CHOWN, which are its default",
            "or set DATABASE_URL and REDIS_URL to servers of your own",
        ],
    )


def copy_programs(postgres: Postgres, base: Path, outside: Callable[[Path], None]) -> Path | None:
    """
    Copy the programs to a folder everybody may read, for an identity that cannot reach the virtual environment. The
    folder is a cache: it is removed when the servers stop. None where there is nothing to copy, or nowhere.
    """
    if not postgres.parts or not os.access(base, os.W_OK):
        return None
    cache = Path(tempfile.mkdtemp(prefix="headwater-", dir=base))
    outside(cache)
    tree, libraries = postgres.parts
    copy = cache / tree.parent.name / tree.name
    for part in ("bin/postgres", "bin/initdb", "lib/postgresql", "share"):
        target = copy / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (tree / part).is_dir():
            shutil.copytree(tree / part, target, ignore=shutil.ignore_patterns("pgxs"))
        else:
            shutil.copy2(tree / part, target)
    if libraries.exists():
        shutil.copytree(libraries, cache / libraries.name)
    for path in (cache, *cache.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return copy / "bin"


def own(folder: Path, owner: int) -> None:
    """
    As root, give a data folder and all in it to an owner, where another identity had it before.
    """
    if os.geteuid() != 0 or folder.stat().st_uid == owner:
        return
    for path in [*folder.rglob("*"), folder]:
        os.chown(path, owner, owner, follow_symlinks=False)


def has_account(number: int) -> bool:
    """
    Whether a user's number has a name on this machine; a container may be started with any number.
    """
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def plain_environment() -> dict[str, str]:
    """
    An environment without the caller's PG variables, secrets and languages.
    """
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """
    What a child does before it becomes a server: ask the kernel for a signal when its parent dies. Linux only.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(number))

    return ask
