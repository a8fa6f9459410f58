"""The handlers of costs: what usage cost, and what of it has no price."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger.ledger.protocol import Unpriced
from usageledger.meters import COSTS, DAY_SECONDS
from usageledger.pricing import Subject
from usageledger.pricing.cards import PARTS
from usageledger.questions.pages import cost_results_json, quantity_number, render
from usageledger.questions.query import Query, page_token, parse
from usageledger.rating.price_tables import PriceTables
from usageledger.server.api.usage import paged
from usageledger.server.http.compressed_pages import Body, joined
from usageledger.server.http.compression import chosen
from usageledger.server.http.requests import check_parameters, json_response, parameters
from usageledger.server.services import Handler, Services, in_slot

UNPRICED_HEADER = "x-usageledger-unpriced"
MOST_UNPRICED = 10_000  # cards and parts in a list
MOST_COUNTS = 1_000  # pages whose counts are remembered


def cost_routes(services: Services, prices: PriceTables) -> list[Route]:
    """Costs, and what is unpriced."""
    return [
        Route(f"/v1{COSTS.path}", costs(services, prices), methods=["GET"]),
        Route("/v1/unpriced", unpriced(services, prices), methods=["GET"]),
    ]


def costs(services: Services, prices: PriceTables) -> Handler:
    """`GET /v1/organization/costs`: as usage, with the header `x-usageledger-unpriced` where any of it has no price."""
    unpriced = UnpricedCounts(services, prices)

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.read")
        now = int(services.clock())
        query = parse(COSTS, parameters(request), now=now, secret=services.page_secret)
        token = page_token(query, now=now, secret=services.page_secret)
        encoding = chosen(request.headers.get("accept-encoding", ""))

        def work() -> tuple[Body, int]:
            # Settled once, so that all of a page is of one price list, whatever is repriced meanwhile.
            revision = prices.revision(query.as_of)
            results = services.cache.results(query, partial(_ask, services, prices, revision), encoding, revision)
            return joined(render(query, results, token), encoding), unpriced.count(query, revision)

        body, cards = await in_slot(services, work)
        return paged(body, {UNPRICED_HEADER: str(cards)} if cards else {})

    return handle


class UnpricedCounts:
    """How many rate cards of a page lack a price that they need; remembered while nothing changes."""

    def __init__(self, services: Services, prices: PriceTables) -> None:
        self._services = services
        self._prices = prices
        self._kept: dict[Any, tuple[int | None, int]] = {}

    def count(self, query: Query, revision: int) -> int:
        """Raises as `Ledger.unpriced` does."""
        key = (query.page_start, query.page_end, query.filters_digest, revision)
        version = self._services.ledger.version(query.page_start, query.page_end)
        kept = self._kept.get(key)
        if kept is not None and version is not None and kept[0] == version:
            return kept[1]
        found = self._services.ledger.unpriced_cards(
            query,
            partial(self._prices.window, query.page_start, query.page_end, revision),
            max_seconds=self._services.settings.max_query_seconds,
        )
        if len(self._kept) >= MOST_COUNTS:
            self._kept.clear()
        self._kept[key] = version, found
        return found


def _ask(services: Services, prices: PriceTables, revision: int, query: Query) -> Iterator[tuple[int, bytes]]:
    limits = services.settings
    table = partial(prices.window, query.page_start, query.page_end, revision)
    aggregate = services.ledger.costs(
        query, table, max_seconds=limits.max_query_seconds, max_results=limits.max_results
    )
    return (cost_results_json(query, aggregate, bucket) for bucket in query.buckets)


def unpriced(services: Services, prices: PriceTables) -> Handler:
    """`GET /v1/unpriced`: usage with no known price, by kind, model and tier; of all time, or of a window."""

    async def handle(request: Request) -> Response:
        await services.authenticator.require(request, "api.usage.read")
        query = _window(parameters(request), int(services.clock()))
        return json_response(
            {"object": "list", "data": await in_slot(services, lambda: _list(services, prices, query))}
        )

    return handle


def _window(given: list[tuple[str, str]], now: int) -> Query:
    """A query for costs in one page, from the parameters `start_time` and `end_time` alone."""
    check_parameters(given, ("start_time", "end_time"))
    if "start_time" not in dict(given):
        given = [("start_time", "0"), *given]
    query = parse(COSTS, given, now=now + 1, secret=b"")
    return replace(query, limit=query.end_time - query.start_time)


def _list(services: Services, prices: PriceTables, query: Query) -> list[dict[str, Any]]:
    table = partial(prices.window, query.page_start, query.page_end, prices.revision())
    seconds = services.settings.max_query_seconds
    found = services.ledger.unpriced(query, table, max_seconds=seconds, max_results=MOST_UNPRICED)
    cards = prices.rate_cards.at({each.rate_id for each in found})
    # Of events that were dropped the day is known, from their cards.
    days = {rate_id: card.subject.day for rate_id, card in cards.items()}
    times = {rate_id: (day, day + DAY_SECONDS - 1) for rate_id, day in days.items()}
    times |= services.ledger.times_of_cards(sorted(times), query.start_time, query.end_time)
    groups: dict[Subject, list[Unpriced]] = {}
    for each in found:
        # The same but for the time and the band, which its price depends on as well.
        subject = replace(cards[each.rate_id].subject, day=0, band=0, second=0)
        groups.setdefault(subject, []).append(each)
    return [_entry(subject, members, times) for subject, members in groups.items()]


def _entry(subject: Subject, members: list[Unpriced], times: dict[int, tuple[int, int]]) -> dict[str, Any]:
    quantities: dict[str, int] = {}
    for each in members:
        quantities[each.part] = quantities.get(each.part, 0) + each.quantity
    fields = ("kind", "provider", "model", "service_tier", "batch", "size", "quality", "context_level")
    return {
        "object": "unpriced",
        **{field: getattr(subject, field) for field in fields},
        "quantities": [
            {
                "part": part,
                "line_item": subject.line_item(part),
                "quantity": quantity_number(quantity, PARTS[part].unit),
                "quantity_unit": PARTS[part].unit,
            }
            for part, quantity in quantities.items()
        ],
        "first_time": min(times[each.rate_id][0] for each in members),
        "last_time": max(times[each.rate_id][1] for each in members),
    }
