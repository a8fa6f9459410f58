"""Writes the price file in its one form, with the SHA-256 of what it says, after it was edited.

`python -m tools.price_file` does it for the release that is being made; `--next` begins the release after it.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

import usageledger.pricing
from usageledger.pricing.price_checks import check
from usageledger.pricing.price_file import PriceFile, digest, read, written

PATH = Path(usageledger.pricing.__file__).parent / "data" / "prices.json"


def main(arguments: Sequence[str]) -> int:
    """Rewrites the file; the exit code."""
    if arguments not in ([], ["--next"]):
        print("usage: python -m tools.price_file [--next]", file=sys.stderr)
        return 2
    file = read(PATH.read_bytes())
    file = finished(following(file, datetime.now(UTC).strftime("%Y-%m-%d")) if arguments else file)
    PATH.write_bytes(written(file))
    print(f"wrote {PATH.name}: serial {file.serial}, {len(file.rows):,} rows")
    return 0


def following(file: PriceFile, made: str) -> PriceFile:
    """The release after `file`, before anything else is changed in it."""
    earlier = {"previous_sha256": file.rows_sha256, "earlier_sha256": file.made_from}
    return structs.replace(file, serial=file.serial + 1, made=made, **earlier)


def finished(file: PriceFile) -> PriceFile:
    """The file with the SHA-256 of what it says, after it passed the checks."""
    file = structs.replace(file, rows_sha256=digest(file))
    check(file)
    return file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
