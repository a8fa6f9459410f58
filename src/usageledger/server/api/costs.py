"""The endpoints of costs: what usage cost, and what of it has no price."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from msgspec import structs
from starlette.responses import Response

from usageledger.ledger.protocol import Unpriced
from usageledger.meters import COSTS, DAY_SECONDS
from usageledger.pricing import Subject
from usageledger.pricing.cards import PARTS
from usageledger.questions.pages import cost_results_json, quantity_number, render
from usageledger.questions.query import Query, page_token, parse
from usageledger.rating.price_tables import PriceTables
from usageledger.registry import READ
from usageledger.server.api.shared_parameters import window_parameters
from usageledger.server.api.usage import page_endpoint, paged
from usageledger.server.endpoint import Answer, Call, Endpoint
from usageledger.server.http.compressed_pages import Body, joined
from usageledger.server.http.compression import chosen
from usageledger.server.http.requests import json_response, parameters
from usageledger.server.json_schema import ref
from usageledger.server.services import Services, in_slot

UNPRICED_HEADER = "x-usageledger-unpriced"
MOST_UNPRICED = 10_000  # cards and parts in a list


async def costs(call: Call) -> Response:
    """Answers as usage does, with the header `x-usageledger-unpriced` where any of it has no price."""
    services, prices = call.services, call.services.price_tables
    now = int(services.clock())
    query = parse(COSTS, parameters(call.request), now=now, secret=services.page_secret)
    token = page_token(query, now=now, secret=services.page_secret)
    encoding = chosen(call.request.headers.get("accept-encoding", ""))

    def work() -> tuple[Body, int]:
        # Settled once, so that all of a page is of one price list, whatever is repriced meanwhile.
        revision = prices.revision(query.as_of)
        results = services.cache.results(query, partial(_results, services, prices, revision), encoding, revision)
        return joined(render(query, results, token), encoding), services.unpriced_counts.count(query, revision)

    body, cards = await in_slot(services, work)
    return paged(body, {UNPRICED_HEADER: str(cards)} if cards else {})


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
    data = await in_slot(services, lambda: _list(services, services.price_tables, query))
    return json_response({"object": "list", "data": data})


def _window(given: list[tuple[str, str]], now: int) -> Query:
    """A query for costs in one page, from the parameters `start_time` and `end_time` alone."""
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
        subject = structs.replace(cards[each.rate_id].subject, day=0, band=0, second=0)
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


ENDPOINTS = (
    page_endpoint(COSTS, costs, (UNPRICED_HEADER,)),
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
