"""`usageledger restore`: a backup as a new data folder."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from usageledger.cli.backup_files import FILES, checked_note, new_folder
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder
from usageledger.cli.terminal.output import counted, note, print_json

EPILOG = """\
[bold]Examples[/]

  usageledger restore /backups/2026-11-25 --data /var/lib/usageledger
  usageledger restore copy --data trial && usageledger serve --data trial

The data folder must not be there, or be empty: move the one that is out of the
way, and nothing is lost if the backup is not the right one.
"""


def restore(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder that 'usageledger backup' made.")],
    data: DataFolder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Make a data folder of a backup, after a check that it is as it was made."""
    made = checked_note(source)
    with new_folder(data) as folder:
        for name in FILES:
            shutil.copyfile(source / name, folder / name)
            (folder / name).chmod(0o600)
    if as_json:
        print_json({"data": str(data.absolute()), **made})
    else:
        note(f"{data} holds {counted(made['events'], 'event')} again. Start the server on it.")
