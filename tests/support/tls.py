"""A certificate of localhost, its key, and a key that is locked."""

from pathlib import Path

FOLDER = Path(__file__).parent / "certificates"
CERT, KEY, LOCKED = (FOLDER / f"{name}.pem" for name in ("localhost-cert", "localhost-key", "locked-key"))
