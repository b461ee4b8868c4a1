"""
``headwater check``: reads the rule files and says everything that is wrong with them, with file and line.
"""

from pathlib import Path

import click

from config.rulefiles import load_rules
from config.settings import load_settings
from worker.cli.output import Speech, common


@click.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@common
def command(folder: Path | None, speech: Speech) -> None:
    """
    Check the rule files in FOLDER (by default those in force). No network, no database.
    """
    from worker.wiring import rules_of

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
