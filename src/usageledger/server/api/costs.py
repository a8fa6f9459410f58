"""The endpoints of costs: what usage cost, and what of it has no price."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from starlette.responses import Response

from usageledger.ledger.price_table import CardCount
from usageledger.meters import COSTS, WHOLE
from usageledger.pricing import Reason
from usageledger.pricing.cards import CASES
from usageledger.pricing.own_prices import OwnPrices
from usageledger.questions.pages import cost_results_json, render
from usageledger.questions.query import Query, page_token, parse
from usageledger.rating.charges import Charge
from usageledger.rating.price_tables import PriceTables
from usageledger.rating.unpriced import UnpricedUsage, reasons, unpriced_usage
from usageledger.registry import READ
from usageledger.server.api.charges import unpriced_part
from usageledger.server.api.shared_parameters import window_parameters
from usageledger.server.api.usage import page_endpoint, paged
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.compressed_pages import Body, joined
from usageledger.server.http.compression import chosen
from usageledger.server.http.requests import json_response, parameters
from usageledger.server.json_schema import ref
from usageledger.server.services import Services, in_slot

UNPRICED_HEADER, PROVISIONAL_HEADER = "x-usageledger-unpriced", "x-usageledger-provisional"


async def costs(call: Call) -> Response:
    """Answers as usage does, with headers that count the rate cards without a price and with a provisional one."""
    services, prices = call.services, call.services.price_tables
    now = int(services.clock())
    query = parse(COSTS, parameters(call.request), now=now, secret=services.page_secret)
    token = page_token(query, now=now, secret=services.page_secret)
    encoding = chosen(call.request.headers.get("accept-encoding", ""))

    def work() -> tuple[Body, CardCount]:
        # Settled once, so that all of a page is of one price list, whatever is repriced meanwhile.
        revision = prices.revision(query.as_of)
        results = services.cache.results(query, partial(_results, services, prices, revision), encoding, revision)
        counted = services.card_counts.count(query, revision, services.price_book().confirmed_through)
        return joined(render(query, results, token), encoding), counted

    body, cards = await in_slot(services, work)
    counts = {UNPRICED_HEADER: cards.unpriced, PROVISIONAL_HEADER: cards.provisional}
    return paged(body, {name: str(count) for name, count in counts.items() if count})


def _results(services: Services, prices: PriceTables, revision: int, query: Query) -> Iterator[tuple[int, bytes]]:
    limits = services.settings
    table = partial(prices.window, query.page_start, query.page_end, revision)
    aggregate = services.ledger.costs(
        query, table, max_seconds=limits.max_query_seconds, max_results=limits.max_results
    )
    return (cost_results_json(query, aggregate, bucket) for bucket in query.buckets)


async def unpriced(call: Call) -> Response:
    """Lists usage with no known price, by kind, model and tier; of all time, or of a window."""
    services = call.services
    query = _window(parameters(call.request), int(services.clock()))
    seconds = services.settings.max_query_seconds

    def work() -> list[dict[str, Any]]:
        found = unpriced_usage(services.ledger, services.price_tables, query, max_seconds=seconds)
        own = OwnPrices(services.registry.rate_cards.overrides())
        return [_entry(usage, reasons(services.price_book(), own, usage.charges)) for usage in found]

    return json_response({"object": "list", "data": await in_slot(services, work)})


def _window(given: list[tuple[str, str]], now: int) -> Query:
    """A query for costs in one bucket, from the parameters `start_time` and `end_time` alone."""
    if "start_time" not in dict(given):
        given = [("start_time", "0"), *given]
    return parse(COSTS, [*given, ("bucket_width", WHOLE.name)], now=now + 1, secret=b"")


def _entry(usage: UnpricedUsage, parts: Sequence[tuple[Charge, Reason]]) -> dict[str, Any]:
    fields = ("kind", "provider", "model", "service_tier", "batch", *CASES)
    return {
        "object": "unpriced",
        **{field: getattr(usage.subject, field) for field in fields},
        "quantities": [unpriced_part(charge, reason) for charge, reason in parts],
        "first_time": usage.first_time,
        "last_time": usage.last_time,
    }


ENDPOINTS = (
    page_endpoint(COSTS, costs, (UNPRICED_HEADER, PROVISIONAL_HEADER)),
    Endpoint(
        "GET",
        "/v1/unpriced",
        unpriced,
        name="list-unpriced",
        tag="Prices",
        summary="List usage with no known price, by kind, model and tier.",
        scopes=(READ,),
        answer=Answer(ref("UnpricedList")),
        parameters=window_parameters(required=False),
    ),
)
