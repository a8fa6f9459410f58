"""The command line `usageledger`: one command per file.

What is imported here is loaded for `--help` and for every press of the tab key, so commands import what they work
with (engines, servers, tables) only when they run.
"""

import os
import re
import sys
from collections.abc import Sequence
from copy import copy as copy_object
from typing import TYPE_CHECKING, Annotated

import typer
from typer.completion import get_completion_script, install  # type: ignore[attr-defined]  # as its own options do
from typer.exceptions import TyperException
from typer.main import get_command_name

from usageledger import __version__
from usageledger.cli.commands import (
    audit,
    backup,
    copy,
    costs,
    demo,
    explain,
    import_files,
    ingest,
    keys,
    login,
    logout,
    migrate,
    price_check,
    price_show,
    price_update,
    prices,
    profiles,
    rebuild,
    relay,
    reprice,
    restore,
    serve,
    source_rules,
    sources,
    spend,
    spend_alerts,
    spend_limits,
    unpriced,
    usage,
    verify,
)
from usageledger.cli.terminal.output import CommandError, listed, note, print_error
from usageledger.errors import SettingsError, UsageLedgerError

if TYPE_CHECKING:
    from typer.models import CommandInfo

FAILED = 1  # refused data, failed checks, a server that cannot be reached
MISUSED = 2  # an option or a setting that cannot be used
WORDS = {"Input should be": "expected", "greater than or equal to": "at least", "less than or equal to": "at most"}
COMPLETION_OPTIONS = ("--install-completion", "--show-completion")
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
RUN, USE, LOG_IN = "Run a server", "Use a server", "Log in to a server"

app = typer.Typer(
    name="usageledger",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command(epilog=serve.EPILOG, rich_help_panel=RUN)(serve.serve)
app.command(epilog=demo.EPILOG, rich_help_panel=RUN)(demo.demo)
app.command(epilog=relay.EPILOG, rich_help_panel=RUN)(relay.relay)
app.command(epilog=verify.EPILOG, rich_help_panel=RUN)(verify.verify)
app.command(epilog=migrate.EPILOG, rich_help_panel=RUN)(migrate.migrate)
app.command(epilog=copy.EPILOG, rich_help_panel=RUN)(copy.copy)
app.command(epilog=rebuild.EPILOG, rich_help_panel=RUN)(rebuild.rebuild_rollups)
app.add_typer(keys.app, name="keys", rich_help_panel=RUN)
app.add_typer(spend_limits.app, name="limits", rich_help_panel=RUN)
app.add_typer(spend_alerts.app, name="alerts", rich_help_panel=RUN)
app.command(epilog=audit.EPILOG, rich_help_panel=RUN)(audit.audit)
app.command(epilog=backup.EPILOG, rich_help_panel=RUN)(backup.backup)
app.command(epilog=restore.EPILOG, rich_help_panel=RUN)(restore.restore)
prices.app.command(epilog=price_show.EPILOG)(price_show.show)
prices.app.command(epilog=price_update.UPDATE_EPILOG)(price_update.update)
prices.app.command(epilog=price_update.STATUS_EPILOG)(price_update.status)
prices.app.command(epilog=price_check.EPILOG)(price_check.check)
prices.app.command(epilog=unpriced.EPILOG, rich_help_panel=USE)(unpriced.unpriced)
prices.app.command(epilog=reprice.DIFF_EPILOG, rich_help_panel=USE)(reprice.diff)
prices.app.command(epilog=reprice.REPRICE_EPILOG, rich_help_panel=USE)(reprice.reprice)
app.add_typer(prices.app, name="prices", rich_help_panel=RUN)
app.command(epilog=ingest.EPILOG, rich_help_panel=USE)(ingest.ingest)
app.command("import", epilog=import_files.EPILOG, rich_help_panel=USE)(import_files.import_files)
app.command("costs", epilog=costs.EPILOG, rich_help_panel=USE)(costs.costs)
app.add_typer(usage.app, name="usage", rich_help_panel=USE)
app.command(epilog=spend.EPILOG, rich_help_panel=USE)(spend.spend)
app.command(epilog=explain.EPILOG, rich_help_panel=USE)(explain.explain)
sources.app.command("map", epilog=source_rules.MAP_EPILOG)(source_rules.map_sources)
sources.app.command(epilog=source_rules.RULES_EPILOG)(source_rules.rules)
sources.app.command(epilog=source_rules.UNMAP_EPILOG)(source_rules.unmap)
app.add_typer(sources.app, name="sources", rich_help_panel=USE)
app.command(epilog=login.EPILOG, rich_help_panel=LOG_IN)(login.login)
app.command(epilog=logout.EPILOG, rich_help_panel=LOG_IN)(logout.logout)
app.add_typer(profiles.app, name="profiles", rich_help_panel=LOG_IN)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"usageledger {__version__}")
        raise typer.Exit


@app.callback(
    epilog="[bold]Start here[/]\n\n"
    "  usageledger demo                   look around with made-up data\n"
    "  usageledger serve                  a ledger of your own, and its first key\n"
    "  usageledger ingest events.ndjson   send it events\n"
    "  usageledger costs --start 30d      what they cost, as a table\n\n"
    "Each command has its own --help, with examples."
)
def _usageledger(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A self-hosted usage and cost ledger for LLM traffic.

    It keeps usage events exactly once and answers OpenAI's Organization Usage
    & Costs API: clients and dashboards of that API work by changing their base
    URL.

    Data goes to stdout, messages to stderr, and every command has --json.
    Exit codes: 0 done, 1 refused or failed, 2 wrong options or settings.
    """


def main() -> None:
    """The entry point: runs the command of `sys.argv` and exits with its code."""
    # httpx has a command line of its own, which loads as much as all the rest; it does without where there is none.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # how Python marks a module that is not there
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code, which after Ctrl-C is 130.

    Every failure that a user can mend is one line on stderr, never a traceback.
    """
    if sys.stdout is None:  # it was closed before the start
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    try:
        code = (
            _set_up_completion(*arguments[:2])
            if arguments[1:] and arguments[0] in COMPLETION_OPTIONS
            else _narrowed(arguments)(arguments, prog_name="usageledger", standalone_mode=False)
        )
        sys.stdout.flush()
    except TyperException as error:
        return _misused(error)
    except CommandError as error:
        print_error(str(error))
        return error.exit_code
    except UsageLedgerError as error:
        print_error(str(error))
        return MISUSED if isinstance(error, SettingsError) else FAILED
    except BrokenPipeError:  # nobody reads stdout any more, as after | head; what is left of it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print_error(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        return FAILED
    return code if isinstance(code, int) else 0


def _set_up_completion(option: str, shell: str) -> int:
    """Does what the option does for the shell in use, for the one that is named."""
    if shell not in SHELLS:
        raise CommandError(f"{option}: expected {listed(SHELLS)}, got {shell!r}.", exit_code=MISUSED)
    if option == COMPLETION_OPTIONS[0]:
        _, file = install(shell, "usageledger")
        note(f"The tab key completes in {shell} once a new terminal is opened: {file} says how.")
    else:
        typer.echo(get_completion_script(prog_name="usageledger", complete_var="_USAGELEDGER_COMPLETE", shell=shell))
    return 0


def _narrowed(arguments: Sequence[str]) -> typer.Typer:
    """The application with nothing but the command that is named: to make all of them takes longer than most run."""
    name = arguments[0] if arguments else ""
    narrow = copy_object(app)
    narrow.registered_commands = [each for each in app.registered_commands if _name_of(each) == name]
    narrow.registered_groups = [each for each in app.registered_groups if each.name == name]
    return narrow if narrow.registered_commands or narrow.registered_groups else app


def _name_of(command: "CommandInfo") -> str:
    return command.name or get_command_name(command.callback.__name__ if command.callback else "")


def _misused(error: TyperException) -> int:
    """A usage error in one line, with where to read more; a command that was given nothing shows its help instead."""
    message = error.format_message()
    if not message:
        return MISUSED
    message = re.sub(r"^Invalid value for '(--[a-z-]+)'", r"\1", message)
    for theirs, ours in WORDS.items():
        message = message.replace(theirs, ours)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "usageledger"
    stop = "" if message.endswith((".", "?")) else "."
    print_error(f"{message}{stop} See '{path} --help'.")
    return error.exit_code
