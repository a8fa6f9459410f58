"""Limits of spend and alerts on it, by either client, against a server that answers as it is told and a real one."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.faulty_server import KEY, Faulty, answer
from tests.support.server_process import RunningServer, running

from usageledger import AsyncUsageAPI, UsageAPI
from usageledger.client import APIResponseValidationError, NotFoundError, NotificationChannel

PROJECT = "a/b 100% ..ü"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("spend")) as server:
        events = [
            {"kind": "images", "id": project, "timestamp": 1_760_000_000, "images": 1, "project_id": project}
            for project in (PROJECT, "..")
        ]
        answered = httpx.post(f"{server.url}/v1/events", json=events, headers=server.headers)
        assert answered.json()["accepted"] == 2
        yield server


@pytest.mark.parametrize("project", [None, PROJECT, ".."])
def test_limits_and_alerts_of_a_real_server(real: RunningServer, project: str | None) -> None:
    with UsageAPI(real.key, f"{real.url}/v1") as api:
        with pytest.raises(NotFoundError, match="spend limit is configured"):
            api.get_spend_limit(project)
        limit = api.set_spend_limit(500, project_id=project)
        assert (limit.threshold_amount, limit.currency, limit.interval) == (500, "USD", "month")
        assert limit.enforcement.status == "inactive"
        assert api.get_spend_limit(project) == limit
        api.delete_spend_limit(project)
        made = [
            api.create_spend_alert(number, ["a@b"], subject_prefix="[x]", project_id=project) for number in range(101)
        ]
        assert api.list_spend_alerts(project) == tuple(made)  # on two pages
        assert made[0].notification_channel == NotificationChannel(
            type="email", recipients=("a@b",), subject_prefix="[x]"
        )
        changed = api.replace_spend_alert(made[0].id, 7, ("c@d", "e@f"), project_id=project)
        assert (changed.id, changed.threshold_amount) == (made[0].id, 7)
        assert changed.notification_channel.subject_prefix is None
        for alert in made:
            api.delete_spend_alert(alert.id, project_id=project)
        with pytest.raises(NotFoundError):
            api.delete_spend_alert(made[0].id, project_id=project)
        with pytest.raises(NotFoundError, match="No such project"):
            api.list_spend_alerts("none")


def test_the_asynchronous_client_does_the_same(real: RunningServer) -> None:
    async def work() -> list[Any]:
        async with AsyncUsageAPI(real.key, f"{real.url}/v1") as api:
            limit = await api.set_spend_limit(500)
            assert await api.get_spend_limit() == limit
            await api.delete_spend_limit()
            alert = await api.create_spend_alert(5, ["a@b"])
            changed = await api.replace_spend_alert(alert.id, 6, ["a@b"])
            listed = await api.list_spend_alerts()
            await api.delete_spend_alert(alert.id)
            return [listed == (changed,), await api.list_spend_alerts()]

    assert asyncio.run(work()) == [True, ()]


@pytest.mark.parametrize("body", [{}, {"threshold_amount": "5", "currency": "USD", "interval": "month"}])
def test_what_is_no_limit(server: Faulty, body: dict[str, Any]) -> None:
    server.steps = [answer(200, body)]
    with UsageAPI(KEY, server.url) as api, pytest.raises(APIResponseValidationError, match="no SpendLimit"):
        api.get_spend_limit()
