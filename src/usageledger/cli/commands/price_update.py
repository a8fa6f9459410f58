"""`usageledger prices update` and `status`: the file of public prices that is in use."""

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.buckets import DAY_SECONDS
from usageledger.cli.local_registry import existing_settings, opened_registry, registry_if_there
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.signatures import ALLOWED_SIGNERS, signer
from usageledger.cli.terminal.output import CommandError, counted, iso_time, note, print_json, print_table
from usageledger.settings import Settings, load_settings

if TYPE_CHECKING:
    from usageledger.pricing.price_file import PriceFile
    from usageledger.registry import Registry

UPDATE_EPILOG = """\
[bold]Examples[/]

  usageledger prices update prices-2026-11-28.json --check
  usageledger prices update prices-2026-11-28.json \\
      --signature prices-2026-11-28.json.sig
  usageledger prices update prices-2026-11-28.json --sha256 4f0c…

A signature is verified by ssh-keygen, against the file allowed_signers in the
data folder. Servers take new prices up within a minute.
"""
STATUS_EPILOG = """\
[bold]Examples[/]

  usageledger prices status
  usageledger prices status --json | jq .age_days

The newer one is in use, of the file that was taken and the shipped one.
"""


def update(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of public prices.")],
    check: Annotated[bool, typer.Option("--check", help="Check it, and set nothing.")] = False,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="<hex>", help="What its SHA-256 is, from a source that you trust.")
    ] = None,
    signature: Annotated[
        Path | None, typer.Option("--signature", metavar="<file>", help="Its detached signature.")
    ] = None,
    rebase: Annotated[
        bool, typer.Option("--rebase", help="Take one that does not follow on the prices in use.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take one that changes many prices at once.")] = False,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take newer public prices, for events to come.

    The file is signed, or its SHA-256 given. It follows on the prices in use,
    directly or after others, and says the same of days past but for corrections
    with a reason. Rate cards that were given stay as they are.
    """
    from usageledger.pricing import price_checks, price_file
    from usageledger.rating.current_book import newest_prices

    text, settings = file.read_bytes(), existing_settings(data, registry_url)
    digest = hashlib.sha256(text).hexdigest()
    signed_by = _verified(text, digest, sha256, signature, settings, check=check)
    read = price_file.read(text)
    price_checks.check(read)
    with opened_registry(settings) as registry:
        before = newest_prices(registry.price_files)
        price_checks.check_after(read, before, rebase=rebase, yes=yes)
        if not check:
            registry.price_files.take(read, text, now=int(time.time()))
    added, gone = (len(set(one.rows) - set(other.rows)) for one, other in ((read, before), (before, read)))
    if as_json:
        about = {"sha256": digest, "signed_by": signed_by, "rows_added": added, "rows_gone": gone, "set": not check}
        print_json(_header(read) | about)
        return
    note(f"Prices {read.serial} of {read.made}, SHA-256 {digest}{f', signed by {signed_by}' if signed_by else ''}.")
    note(f"{counted(added, 'row')} new against prices {before.serial}, and {gone:,} of theirs gone.")
    note("Nothing was set: this was a check." if check else "Set. Servers take them up within a minute.")


def _verified(  # noqa: PLR0913 - all of it is about one file
    text: bytes, digest: str, sha256: str | None, signature: Path | None, settings: Settings, *, check: bool
) -> str | None:
    """Verifies where the file is from, and names who signed it; None where a SHA-256 says it, or it is a check."""
    if sha256 is None and signature is None and not check:
        raise CommandError("Anybody could have written this file: give --signature or --sha256.", exit_code=2)
    if sha256 is not None and sha256.strip().lower() != digest:
        raise CommandError(f"The file's SHA-256 is {digest}, not {sha256}. Nothing was set.")
    return None if signature is None else signer(text, signature, settings.data / ALLOWED_SIGNERS)


def status(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """Show which public prices are in use, and how old they are."""
    from usageledger.cli.terminal.text_table import plain_table

    with registry_if_there(load_settings({"data": data, "registry": registry_url})) as registry:
        about = _status(registry)
    if as_json:
        print_json(about)
        return
    table = plain_table("Prices", "")
    rows, listed = about["rows"], about["genai_prices"]
    table.add_row("Serial", f"{about['serial']}")
    table.add_row("Made", f"{about['made']}, {counted(about['age_days'], 'day')} ago")
    table.add_row("Confirmed through", about["confirmed_through"])
    table.add_row("From", about["from"])
    table.add_row("SHA-256", about["sha256"])
    for layer, number in rows.items():
        table.add_row(f"Rows, {layer}", f"{number:,}")
    used = (
        f"used from {listed['published']} on"
        if listed["published"]
        else "not used: its day of publication is not known"
    )
    table.add_row("genai-prices", f"{listed['version']}, {used}")
    print_table(lambda _: table)


def _status(registry: "Registry | None") -> dict[str, Any]:
    from collections import Counter

    from usageledger import __version__
    from usageledger.pricing.genai_list import package_version, published
    from usageledger.pricing.listed_prices import seconds_of
    from usageledger.pricing.price_file import shipped, shipped_text
    from usageledger.rating.current_book import newest_prices

    file = newest_prices(registry.price_files) if registry else shipped()
    stored = registry.price_files.newest() if registry and file is not shipped() else None
    layers = Counter(row.origin for row in file.rows)
    age = (int(time.time()) - seconds_of(file.made)) // DAY_SECONDS
    taken = f"taken {iso_time(stored.set_at)} by {stored.actor}" if stored else f"shipped with {__version__}"
    return {
        **_header(file),
        "age_days": age,
        "sha256": stored.sha256 if stored else hashlib.sha256(shipped_text()).hexdigest(),
        "from": taken,
        "rows": {
            "operator": len(registry.rate_cards.own_prices()) if registry else 0,
            "curated": layers["curated"],
            "observed": layers["observed"],
        },
        "aliases": len(file.aliases),
        "factors": len(file.factors),
        "genai_prices": {"version": package_version(), "published": published(file)},
    }


def _header(file: "PriceFile") -> dict[str, Any]:
    return {"serial": file.serial, "made": file.made, "confirmed_through": file.confirmed_through}
