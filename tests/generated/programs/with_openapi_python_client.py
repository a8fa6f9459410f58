"""Asks by the client that openapi-python-client makes: questions on stdin, answers on stdout."""

import json
import os
import sys
from importlib import import_module

from usage_ledger_client import AuthenticatedClient, models
from usage_ledger_client.api.events import ingest_events
from usage_ledger_client.api.projects import create_project, list_projects, modify_project
from usage_ledger_client.api.usage import usage_completions
from usage_ledger_client.types import UNSET

asked = json.load(sys.stdin)
client = AuthenticatedClient(base_url=os.environ["USAGELEDGER_URL"], token=os.environ["USAGELEDGER_KEY"])


def typed(kind, question):
    """Gives the values of enumerations the types that the client has for them."""
    given = {}
    for name, value in question.items():
        made = f"usage_{kind}_{name}".title().replace("_", "")
        one, item = getattr(models, made, None), getattr(models, f"{made}Item", None)
        given[name] = [item(each) for each in value] if item else one(value) if one else value
    return given


def ask(kind, question):
    """Gives the buckets of all pages."""
    method, buckets, page = import_module(f"usage_ledger_client.api.usage.usage_{kind}"), [], UNSET
    while True:
        answer = method.sync(client=client, **typed(kind, question), page=page)
        buckets += answer.to_dict()["data"]
        if not (page := answer.next_page):
            return buckets


def all_projects():
    """Lists the ids of projects, two at a time."""
    ids, after = [], UNSET
    while True:
        page = list_projects.sync(client=client, limit=2, after=after)
        ids += [project.id for project in page.data]
        if not page.has_more:
            return ids
        after = page.last_id


event = models.CompletionsEvent(
    kind="completions",
    id="sent",
    timestamp=asked["at"],
    project_id=asked["project"],
    input_tokens=asked["tokens"],
    output_tokens=1,
)
other = models.ImagesEvent(kind="images", id="image", timestamp=asked["at"], images=2)
answers = {"answers": [ask(kind, question) for kind, question in asked["questions"]], "projects": all_projects()}
batch = ingest_events.sync(client=client, body=[event, other])
(bucket,) = usage_completions.sync(client=client, start_time=asked["at"], limit=1, project_ids=[asked["project"]]).data
created = create_project.sync(client=client, body=models.ProjectCreate(name="made"))
renamed = modify_project.sync(created.id, client=client, body=models.ProjectUpdate(name="renamed"))
json.dump(
    answers
    | {
        "accepted": batch.accepted + batch.duplicates,
        "tokens": bucket.results[0].input_tokens,
        "renamed": renamed.name,
    },
    sys.stdout,
)
