"""`usageledger verify`: whether a ledger keeps its promises."""

from contextlib import closing
from itertools import chain

import typer

from usageledger.buckets import LATEST_TIME
from usageledger.cli.local_registry import is_there
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, LedgerUrl, RegistryUrl
from usageledger.cli.terminal.output import CommandError, counted, note, print_data, print_json
from usageledger.settings import Settings, load_settings, without_password

EPILOG = """\
[bold]Examples[/]

  usageledger verify
  usageledger verify --data /var/lib/usageledger --json

Stop the server first: the ledger belongs to one process at a time. Exit code 1
where a promise is broken.
"""


def verify(
    data: DataFolder = DEFAULT_FOLDER,
    ledger_url: LedgerUrl = None,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check that a ledger's numbers add up.

    Reads every event: no identity is stored twice, no response counts twice in
    48 hours, every value is one that an event may have, all sums agree, and costs are quantity times rate, digit by
    digit.
    """
    from usageledger.ledger import open_ledger
    from usageledger.ledger.lookups import count
    from usageledger.ledger.proof.cost_proof import verify_costs
    from usageledger.ledger.proof.usage_proof import verify as findings_of
    from usageledger.rating.price_tables import PriceTables
    from usageledger.registry import open_registry

    settings = load_settings({"data": data, "ledger": ledger_url, "registry": registry_url})
    if not is_there(settings.ledger_url):
        raise CommandError(f"There is no ledger in {settings.data.absolute()}: check --data.", exit_code=2)
    with (
        closing(open_ledger(settings.ledger_url, memory_bytes=settings.memory_bytes)) as ledger,
        open_registry(_existing(settings)) as registry,
    ):
        with ledger.snapshot() as snapshot:
            events = count(snapshot)
        if not as_json:
            place = without_password(settings.ledger) if settings.ledger else settings.data.absolute()
            note(f"{counted(events, 'event')} in {place}" if events else "The ledger is empty.")
        findings = []
        subjects = {card.card_id: card.subject for card in registry.rate_cards.between(0, LATEST_TIME)}
        prices = PriceTables(registry.rate_cards)
        costs = verify_costs(ledger, prices.window(0, LATEST_TIME, prices.revision()), subjects)
        for finding in chain(findings_of(ledger), costs):
            findings.append({"name": finding.name, "ok": finding.ok, "detail": finding.detail})
            if not as_json:
                print_data(f"{'ok    ' if finding.ok else 'FAILED'}  {finding.name}: {finding.detail}")
    ok = all(finding["ok"] for finding in findings)
    if as_json:
        print_json({"ok": ok, "events": events, "findings": findings})
    if not ok:
        raise typer.Exit(1)


def _existing(settings: Settings) -> str:
    """Returns the registry's address, if the registry exists: an empty new one would lack every rate card."""
    if not is_there(settings.registry_url):
        raise CommandError(
            f"There is no registry in {settings.data.absolute()}: its files belong together.", exit_code=2
        )
    return settings.registry_url
