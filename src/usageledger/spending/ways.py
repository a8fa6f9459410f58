"""The ways to tell of a firing, chosen by the kind of its target."""

import secrets
from collections.abc import Callable, Iterator

from usageledger.pricing.money import UNITS_PER_CENT
from usageledger.registry import DeliveryKind, DeliveryState, Firing, Registry, SpendAlert, WebhookEndpoint
from usageledger.registry.paging import Page
from usageledger.spending.channels import Attempt, Mail, Smtp
from usageledger.spending.messages import Facts, sentences, subject
from usageledger.spending.months import month_of
from usageledger.spending.webhooks import event, post, signed, slack_event

ENDPOINTS_MAX = 1_000


def name_of(registry: Registry, project_id: str | None) -> str | None:
    """Gives the name of a project, or its id where it has none; None for the organization. Raises RegistryError."""
    project = None if project_id is None else registry.get_project(project_id)
    return project.name if project else project_id


class Ways:
    """Makes attempts; for many threads.

    Args:
        registry: with the endpoints.
        smtp: takes mails; None where none is set.
        clock: Unix seconds.
    """

    def __init__(self, registry: Registry, smtp: Smtp | None, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._smtp = smtp
        self._clock = clock

    @property
    def has_mail(self) -> bool:
        """True if mails can be sent."""
        return self._smtp is not None

    def send(
        self, kind: DeliveryKind, target: str, message_id: str, firing: Firing, facts: Facts
    ) -> tuple[DeliveryState, Attempt]:
        """Tells a target; the state is `pending` where another attempt may fare better. Raises RegistryError."""
        if kind == "webhook":
            endpoint = self._registry.webhook_endpoints.get(target)
            if endpoint is None or endpoint.disabled_at is not None:
                return "dropped", Attempt(False, "The endpoint takes no more.")
            attempt = self._post(endpoint, message_id, firing, facts)
        elif self._smtp is None:
            return "no_channel", Attempt(False, "There is no smtp_url.")
        else:
            mail = Mail(message_id, target, subject(firing, facts), sentences(firing, facts))
            attempt = self._smtp.send(mail)
        return "delivered" if attempt.delivered else "pending", attempt

    def test(self, alert: SpendAlert) -> Iterator[tuple[str, Attempt]]:
        """Tells all that an alert tells, as a test, and writes nothing down; yields each target and what came of it."""
        now, terms, project = int(self._clock()), alert.terms, alert.project_id
        firing = Firing(
            number=0,
            id="firing_test",
            alert_id=alert.id,
            project_id=project,
            period_start=month_of(now).start,
            threshold_cents=terms.threshold_cents,
            fired_at=now,
            spend=terms.threshold_cents * UNITS_PER_CENT,
            cause="crossed",
            subject_prefix=terms.subject_prefix,
            facts=None,
        )
        facts = Facts(name_of(self._registry, project), None, 0)
        targets: list[tuple[DeliveryKind, str]] = [("email", each) for each in terms.recipients]
        endpoints = self._registry.webhook_endpoints.list(Page(limit=ENDPOINTS_MAX)).data
        targets.extend(("webhook", each.id) for each in endpoints if each.disabled_at is None)
        for kind, target in targets:
            yield target, self.send(kind, target, f"msg_{secrets.token_urlsafe(18)}", firing, facts)[1]

    def _post(self, endpoint: WebhookEndpoint, message_id: str, firing: Firing, facts: Facts) -> Attempt:
        now = int(self._clock())
        if endpoint.format == "slack":
            return post(endpoint.url, {}, slack_event(sentences(firing, facts)))
        body = event(firing, facts)
        attempt = post(endpoint.url, signed(endpoint.secrets_at(now), message_id, body, now), body)
        if attempt.gone:
            self._registry.webhook_endpoints.disable(endpoint.id, now=now)
        return attempt
