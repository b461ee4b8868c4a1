"""
Running a client's program: its time limited, its process group ended with it, its words kept for the report.
"""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAM_SECONDS = 300
WORDS = 250  # characters of standard error kept, its last
# What points a client at somewhere else than the stage must not come in from outside.
STRANGE = ("proxy", "requests_ca_bundle", "curl_ca_bundle", "ssl_cert", "node_extra_ca_certs", "dlt_", "sources__")


class ProgramError(Exception):
    """
    A client's program ended badly or not in time. Its last words are the message.
    """


def run_program(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], task: str = "") -> str:
    """
    Standard output of ``command``, given ``task`` on standard input. Raises ``ProgramError``.
    """
    kept = {name: value for name, value in os.environ.items() if not any(each in name.lower() for each in STRANGE)}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**kept, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, words = process.communicate(task, timeout=PROGRAM_SECONDS)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"not done within {PROGRAM_SECONDS} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode != 0:
        raise ProgramError(f"exit code {process.returncode}: {words[-WORDS:].strip()}")
    return output


def run_driver(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], task: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """
    What a driver printed, by capability. A driver that ends badly has the capability ``driver`` with an error.
    """
    try:
        output = run_program(command, cwd=cwd, env=env, task=json.dumps(task))
    except ProgramError as error:
        return {"driver": {"error": str(error)}}
    answers = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {answer["capability"]: answer for answer in answers}
