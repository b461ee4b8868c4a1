"""
The ``headwater`` command: its groups, and how every error of theirs reaches a person. Commands live in files beside
this.
"""

import importlib
import json
import sys
import traceback
from typing import Any, Final

import click

# Command -> (module, what it is for). Modules are imported when their command runs, so that --help answers at once.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("worker.cli.demo", "Everything on a made-up company; no account needed."),
    "up": ("worker.cli.up", "Run the service on this machine: web, worker and beat."),
    "sync": ("worker.cli.sync", "Run one whole cycle now: read, reconcile, decide, and write what is approved."),
    "resync": ("worker.cli.resync", "Read a record, an account, an object or everything again."),
    "sweep": ("worker.cli.sweep", "Hold every record's id and stamp against Salesforce, and read again what differs."),
    "plan": ("worker.cli.plan", "Show what would be written to Salesforce, and what it costs."),
    "apply": ("worker.cli.apply", "Approve what was planned, and write it."),
    "status": ("worker.cli.status", "How everything stands: lag, calls, errors, what waits for you."),
    "why": ("worker.cli.why", "Why a person, an account or a deal says what it says."),
    "report": ("worker.cli.report", "Numbers with what is behind them."),
    "credit": ("worker.cli.credit", "Credit one deal described in a file. No network, no database."),
    "learn": ("worker.cli.learn", "Learn what channels weigh from a table of paths. No network, no database."),
    "backtest": ("worker.cli.backtest", "Whether the flag was worth anything, by what came of it."),
    "source-team": ("worker.cli.source_team", "Set a deal's sourcing team by hand, with a reason."),
    "periods": ("worker.cli.periods", "Lock fiscal periods, so that no credit moves inside them."),
    "check": ("worker.cli.check", "Check the rule files, and show what they would change before they do."),
    "doctor": ("worker.cli.doctor", "Check everything the service stands on, each with its cure."),
    "migrate": ("worker.cli.migrate", "Bring the database up to date."),
    "practice": ("worker.cli.practice", "A practice Salesforce org and Marketo on this machine."),
}


class Commands(click.Group):
    """
    Finds commands by name without importing the others.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """
        In the order in which one needs them.
        """
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """
        The command, imported now.
        """
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        The list in --help, without importing any.
        """
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """
        An unknown command is answered with the one that was meant.
        """
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            meant = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f'no command "{args[0]}".' + (f' Did you mean "{meant[0]}"?' if meant else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headwater", prog_name="headwater")
def headwater() -> None:
    """
    Keeps Salesforce and the marketing platform in agreement, decides which accounts are engaged and which marketing
    earned each deal, and writes both back to Salesforce with the reason.

    Every command takes --json, --quiet and --debug. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 68
    partly done, 69 still running when the wait ran out, 130 interrupted.
    """


def main() -> None:
    """
    The entry point: runs the command and ends with its exit code.
    """
    from config.errors import ConfigError
    from worker.cli.output import FAILED, INTERRUPTED, USAGE, error_data, error_lines
    from worker.core.errors import Fatal, HeadwaterError

    debug, as_json = "--debug" in sys.argv, "--json" in sys.argv
    try:
        code: Any = headwater(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except Exception as error:  # noqa: BLE001 - the last door: whatever it is, a person reads one form
        known = (
            error
            if isinstance(error, HeadwaterError | ConfigError)
            else Fatal(
                "HW-901", f"a bug of ours: {type(error).__name__}: {error}", actions=["run it again with --debug"]
            )
        )
        if debug:
            traceback.print_exc()
        if as_json:
            click.echo(json.dumps(error_data(known)))
        for line in error_lines(known):
            click.echo(line, err=True)
        sys.exit(USAGE if isinstance(known, ConfigError) else FAILED)
    sys.exit(code if isinstance(code, int) else 0)
