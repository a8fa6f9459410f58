"""`usageledger usage KIND`: the usage of a kind, a command for each row of METERS."""

import typer

from usageledger.cli.question_command import question_command
from usageledger.cli.terminal.output import listed
from usageledger.meter import Meter
from usageledger.meters import METERS

app = typer.Typer(
    help="Ask what was used, by time or by group.\n\n"
    "Each kind of usage has its own filters and groupings, in its --help. The\n"
    "server is a UsageLedger, or OpenAI's with --profile or OPENAI_ADMIN_KEY.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="[bold]Examples[/]\n\n"
    "  usageledger usage completions\n"
    "  usageledger usage completions --start 30d --group-by model\n"
    "  usageledger usage images --start 2026-11 --group-by project_id,size --csv\n\n"
    "All options of a kind: usageledger usage completions --help.",
)


def _summary(meter: Meter) -> str:
    main = [measure for measure in meter.measures if measure.required]
    if len(main) == 1:
        return main[0].doc
    return listed([measure.name.replace("_", " ") for measure in main], "and").capitalize() + "."


def _epilog(meter: Meter) -> str:
    command = f"usageledger usage {meter.kind}"
    return (
        "[bold]Examples[/]\n\n"
        f"  {command}\n"
        f"  {command} --group-by project_id\n"
        f"  {command} --start 24h --bucket 1h\n"
        f"  {command} --start 2026-11 --csv\n\n"
        "Without --group-by there is a line for each bucket, with it one for each\n"
        "group over the whole window. --json, --csv and --parquet give both at once."
    )


for _meter in METERS:
    app.command(_meter.kind, epilog=_epilog(_meter))(question_command(_meter, _summary(_meter)))
