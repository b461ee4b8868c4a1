"""
``headwater check``: reads the rule files and says everything that is wrong with them, with file and line; with
``--impact``, what they would change.
"""

from pathlib import Path

import click

from config.rulefiles import load_rules
from config.settings import load_settings
from worker.cli.output import Speech, common


@click.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.option("--impact", "with_impact", is_flag=True, help="Show what they would change of what is decided.")
@click.option("--csv", "with_csv", is_flag=True, help="The impact as CSV.")
@common
def command(folder: Path | None, *, with_impact: bool, with_csv: bool, speech: Speech) -> None:
    """
    Check the rule files in FOLDER (by default those the environment names). No network, no database.

    With --impact: decide everything by them in memory, and show which accounts would be gained and lost, and how much
    money would move between channels. Reads the database, writes nothing, and may run beside the service.
    """
    from worker.wiring import rules_of

    if with_csv and not with_impact:
        raise click.UsageError("--csv goes with --impact")
    if with_impact:
        from worker.cli import impact

        found = impact.look(folder, speech)
        if with_csv:
            click.echo(impact.as_csv(found), nl=False)
        else:
            speech.answer(impact.data(found), lambda: impact.told(found))
        return
    files = load_rules(folder or load_settings().rules)
    rules = rules_of(files, 0)
    models = [model.name for model in rules.attribution.models]
    speech.answer(
        {
            "folder": str(files.folder),
            "digest": files.digest,
            "models": models,
            "touch_rules": len(rules.touchpoints.touches),
        },
        lambda: [
            f"The rules in {files.folder} are sound (digest {files.digest[:12]}):",
            f"  {len(rules.touchpoints.types)} kinds of touch, {len(rules.touchpoints.touches)} rules",
            f"  models {', '.join(models)}; {rules.write_model} is written back",
            f"  engaged from {rules.engagement.enter_points} points and {rules.engagement.enter_people} people",
        ],
    )
