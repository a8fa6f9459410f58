"""The organization of the demo, and the number of its events by kind, project and hour."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from usageledger.cli.demo.catalog import PEOPLE, PROJECTS, SHARES_OF_KINDS, Rhythm

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

TABLE_EVENTS = 20_000
HOUR = 3600
GROWTH = 0.4  # by how much more is used at the end of the window than at its start
GIGABYTE = 10**9
STORES = "vector_stores"  # whose events are reports of a size
ALPHABET = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))

# How busy each hour of the day is (UTC), and what is left of that at the weekend.
HOURS: dict[Rhythm, tuple[tuple[float, ...], float]] = {
    "office": ((2, 1, 1, 1, 2, 5, 18, 45, 78, 94, 100, 92, 74, 88, 98, 95, 84, 62, 40, 26, 17, 11, 7, 4), 0.12),
    "day": ((22, 16, 13, 12, 14, 20, 32, 48, 62, 72, 78, 82, 84, 82, 80, 82, 88, 95, 100, 98, 88, 70, 50, 34), 0.62),
    "always": (
        (90, 88, 86, 86, 88, 90, 94, 97, 99, 100, 100, 99, 98, 99, 100, 99, 98, 97, 96, 95, 94, 93, 92, 91),
        0.9,
    ),
    "night": ((90, 100, 98, 85, 60, 30, 10, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6, 10, 20, 40, 65), 0.55),
}


@dataclass(frozen=True, slots=True)
class Organization:
    """The users, keys, projects and vector stores of the demo.

    Attributes:
        projects, users: (id, name) of each.
        keys: the ids of all API keys; each belongs to one user and one project.
        key_users: for each key, the place of its user in `users`.
        project_keys: for each project, the places of its keys in `keys`, and how often each is used.
        stores: the ids of all vector stores.
        project_stores: for each project, the places of its vector stores in `stores`.
    """

    projects: tuple[tuple[str, str], ...]
    users: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]
    key_users: Ints
    project_keys: tuple[tuple[Ints, Floats], ...]
    stores: tuple[str, ...]
    project_stores: tuple[Ints, ...]


def make_organization(seed: int) -> Organization:
    """The organization that `demo_tables` of the same seed is about."""
    rng = np.random.default_rng([seed, 0])
    users = tuple((f"user-{_letters(rng, 24)}", name) for name in PEOPLE)
    busy = zipf(len(users), 1.0)
    keys: list[str] = []
    key_users: list[int] = []
    project_keys: list[tuple[Ints, Floats]] = []
    project_stores: list[Ints] = []
    stores: list[str] = []
    for project in PROJECTS:
        count = int(rng.integers(4, 8 + int(project.weight // 3)))
        project_keys.append((np.arange(len(keys), len(keys) + count), zipf(count, 1.1)))
        keys += [f"key_{_letters(rng, 16)}" for _ in range(count)]
        key_users += rng.choice(len(users), count, replace=False, p=busy).tolist()
        project_stores.append(np.arange(len(stores), len(stores) + project.stores))
        stores += [f"vs_{_letters(rng, 24)}" for _ in range(project.stores)]
    return Organization(
        projects=tuple((f"proj_{_letters(rng, 24)}", project.name) for project in PROJECTS),
        users=users,
        keys=tuple(keys),
        key_users=np.array(key_users),
        project_keys=tuple(project_keys),
        stores=tuple(stores),
        project_stores=tuple(project_stores),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The number of events by kind, project and hour.

    Attributes:
        starts: the first second of each hour.
        counts: kind → one row for each project, one column for each hour.
        snapshots: the time and the vector store of each report of a size.
        sizes: for each vector store, its bytes at the start and at the end.
    """

    organization: Organization
    starts: Ints
    counts: dict[str, Ints]
    snapshots: tuple[Ints, Ints]
    sizes: tuple[Floats, Floats]

    @property
    def per_hour(self) -> Ints:
        """Events in each hour, the reports of sizes left out."""
        total: Ints = sum(self.counts.values(), np.zeros((1, len(self.starts)), np.int64)).sum(axis=0)
        return total


def make_plan(days: int, events: int, seed: int, now: int) -> Plan:
    """The plan of `demo_tables`; see there."""
    rng = np.random.default_rng([seed, 1])
    starts = now - days * 86400 + HOUR * np.arange(days * 24)
    quotas = _quotas(events)
    busy = _rhythms(starts) * rng.lognormal(0.0, 0.1, len(starts)) * np.linspace(1.0, 1.0 + GROWTH, len(starts))
    counts: dict[str, Ints] = {}
    for kind, quota in quotas.items():
        if kind == STORES:
            continue
        shares = np.array(_weights(kind))[:, None] * busy
        counts[kind] = rng.multinomial(quota, (shares / shares.sum()).ravel()).reshape(shares.shape)
    organization = make_organization(seed)
    base = rng.lognormal(np.log(6 * GIGABYTE), 0.8, len(organization.stores))
    grown = base * (1.0 + rng.uniform(0.05, 0.6, len(organization.stores)))
    snapshots = _snapshots(quotas[STORES], len(organization.stores), int(starts[0]), now)
    return Plan(organization, starts, counts, snapshots, (base, grown))


def _weights(kind: str) -> list[float]:
    """Return how much each project uses a kind; all do where nothing is said of it."""
    if kind == "completions":
        return [project.weight for project in PROJECTS]
    others = 0.0 if any(kind in project.kinds for project in PROJECTS) else 1.0
    return [project.kinds.get(kind, others) * project.weight**0.5 for project in PROJECTS]


def _quotas(events: int) -> dict[str, int]:
    """Events of each kind: its share, at least one, and the rest are completions."""
    quotas = {kind: max(1, int(events * share)) for kind, share in SHARES_OF_KINDS.items()}
    quotas["completions"] += events - sum(quotas.values())
    if quotas["completions"] < 1:
        raise ValueError(f"events: expected at least {len(quotas)}, got {events}")
    return quotas


def _rhythms(starts: Ints) -> Floats:
    """A row for each project: how busy it is in each hour, 1 in the mean."""
    hour, day = starts % 86400 // HOUR, starts // 86400
    weekend = (day + 3) % 7 >= 5  # noqa: PLR2004 - 1970 began on a Thursday; 5 and 6 are Saturday and Sunday
    rows = []
    for project in PROJECTS:
        curve, left = HOURS[project.rhythm]
        row = np.array(curve, np.float64)[hour] * np.where(weekend, left, 1.0)
        rows.append(row / row.mean())
    return np.stack(rows)


def _snapshots(quota: int, stores: int, first: int, now: int) -> tuple[Ints, Ints]:
    """Every store reports its size in turn, at even intervals, the last time just before `now`."""
    turn = np.arange(quota)
    times = -(-quota // stores)
    moments = first + ((turn // stores + 1) * (now - first)) // times - stores + turn % stores
    return moments.astype(np.int64), turn % stores


def spans(per_hour: Ints) -> Iterator[tuple[int, int]]:
    """Spans of whole hours (end exclusive), each of about `TABLE_EVENTS` events."""
    edges = np.cumsum(per_hour) // TABLE_EVENTS
    cuts = [0, *(np.nonzero(np.diff(edges))[0] + 1).tolist(), len(per_hour)]
    return pairwise(cuts)


def zipf(count: int, skew: float) -> Floats:
    """Shares of `count`, each smaller than the one before; their sum is 1."""
    weights = 1.0 / np.arange(1, count + 1) ** skew
    return np.asarray(weights / weights.sum())


def _letters(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(ALPHABET, length))
