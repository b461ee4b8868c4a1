"""
``headwater migrate``: brings the database to the shape this version expects. The release process runs it.
"""

import click

from config.settings import load_settings
from worker.cli.ground import ground
from worker.cli.output import Speech, common
from worker.store.migrate import newest, upgrade


@click.command("migrate")
@common
def command(speech: Speech) -> None:
    """
    Bring the database up to date; nothing happens where it is.
    """
    settings = load_settings()
    if settings.database_url is not None:
        upgrade(settings.database_url.get_secret_value())
    else:
        with ground():
            pass
    speech.answer({"revision": newest()}, lambda: [f"The database is at {newest()}."])
