"""Every command with arguments that make it print names, and names that steer a terminal."""

import time
from pathlib import Path
from typing import Any

from usageledger.cli.terminal.output import visible
from usageledger.meters import METERS

STEERING = "\x1b]0;mine\x07\x9b2J\x7f\u202e\u2066\u200b\u2028\x85\r\n"
FORGED = "FORGED"
HOSTILE = f"=a{STEERING}{FORGED} [/red][bold]x :smile:"
NAME = visible(HOSTILE)
TIME = int(time.time()) // 86_400 * 86_400 - 3600
DAY = time.strftime("%Y-%m-%d", time.gmtime(TIME))
GROUPS = {(), ("alerts",), ("keys",), ("limits",), ("prices",), ("profiles",), ("usage",)}
# They print addresses, folders and counts of their user's own, and are looked at below with paths that are hostile.
WITHOUT_NAMES = {
    *("backup", "copy", "demo", "login", "logout", "migrate", "profiles use", "rebuild-rollups", "restore"),
    *("relay", "serve", "verify", "prices status", "prices update"),
}


def commands(data: Path, event: Path, models: Path) -> dict[str, list[Any]]:
    """Each command that prints names → the arguments that make it print them."""
    registry: list[Any] = ["--data", data]
    kinds = {meter.kind: meter for meter in METERS}
    names = {
        kind: ",".join(d.name for d in meter.groupings if not d.flag and not d.values) for kind, meter in kinds.items()
    }
    asked: dict[str, list[Any]] = {
        "keys create": ["--name", HOSTILE, *registry],
        "keys list": registry,
        "keys revoke": [HOSTILE, "--yes", *registry],
        "prices set": [
            "input=1",
            "--kind",
            "embeddings",
            "--model",
            HOSTILE,
            "--new-model",
            "--note",
            HOSTILE,
            "--from",
            DAY,
            *registry,
        ],
        "prices list": registry,
        "prices check": [models, *registry],
        "prices show": [HOSTILE, *registry],
        "prices import": [event, *registry],
        "prices unpriced": [],
        "prices diff": [],
        "prices reprice": ["--apply", "--reason", HOSTILE],
        "prices revisions": registry,
        "limits set": ["5", "--project", HOSTILE, *registry],
        "limits show": registry,
        "spend": [],
        "limits remove": ["--project", HOSTILE, *registry],
        "alerts create": ["5", "--project", HOSTILE, "--to", "a@b", *registry],
        "alerts list": registry,
        "alerts suggest": ["--limit", "5", "--project", HOSTILE, "--to", "a@b", *registry],
        "alerts firings": registry,
        "alerts test": [HOSTILE, *registry],
        "alerts delete": [HOSTILE, *registry],
        "audit": registry,
        "ingest": [event],
        "import": ["gemini-cli", models.with_name("chat.jsonl"), "--user", HOSTILE, "--project", HOSTILE],
        "costs": ["--group-by", "line_item,project_id,model"],
        "explain": [HOSTILE, "--at", TIME],
        "sources": [],
        "sources map": ["--emitter", HOSTILE, f"project_id=value:{HOSTILE}", *registry],
        "sources rules": registry,
        "sources unmap": [1, *registry],
        "profiles list": [],
        **{f"usage {kind}": ["--group-by", grouped] for kind, grouped in names.items()},
    }
    return asked
