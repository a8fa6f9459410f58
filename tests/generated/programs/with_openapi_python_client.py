"""Asks by the client that openapi-python-client makes: questions on stdin, answers on stdout."""

import json
import os
import sys
from importlib import import_module

asked = json.load(sys.stdin)
made = import_module(asked["package"])
models, UNSET = import_module(f"{made.__name__}.models"), import_module(f"{made.__name__}.types").UNSET
client = made.AuthenticatedClient(base_url=os.environ["USAGELEDGER_URL"], token=os.environ["USAGELEDGER_KEY"])


def typed(kind, question):
    """Gives the values of enumerations the types that the client has for them."""
    given = {}
    for name, value in question.items():
        made = f"usage_{kind}_{name}".title().replace("_", "")
        one, item = getattr(models, made, None), getattr(models, f"{made}Item", None)
        given[name] = [item(each) for each in value] if item else one(value) if one else value
    return given


def method(name):
    """Gives the module of an operation, such as `usage.usage_costs`."""
    return import_module(f"{made.__name__}.api.{name}")


def ask(kind, question):
    """Gives the buckets of all pages."""
    buckets, page = [], UNSET
    while True:
        answer = method(f"usage.usage_{kind}").sync(client=client, **typed(kind, question), page=page)
        buckets += answer.to_dict()["data"]
        if not (page := answer.next_page):
            return buckets


def all_projects():
    """Lists the ids of projects, two at a time."""
    ids, after = [], UNSET
    while True:
        page = method("projects.list_projects").sync(client=client, limit=2, after=after)
        ids += [project.id for project in page.data]
        if not page.has_more:
            return ids
        after = page.last_id


def write():
    """Sends events, asks for one of them, lists projects, makes one and renames it."""
    listed = all_projects()
    event = models.CompletionsEvent(
        kind="completions",
        id="sent",
        timestamp=asked["at"],
        project_id=asked["project"],
        input_tokens=asked["tokens"],
        output_tokens=1,
    )
    other = models.ImagesEvent(kind="images", id="image", timestamp=asked["at"], images=2)
    batch = method("events.ingest_events").sync(client=client, body=[event, other])
    sent = {"start_time": asked["at"], "limit": 1, "project_ids": [asked["project"]]}
    (bucket,) = method("usage.usage_completions").sync(client=client, **sent).data
    create, modify = method("projects.create_project"), method("projects.modify_project")
    created = create.sync(client=client, body=models.ProjectCreate(name="made"))
    return {
        "projects": listed,
        "accepted": batch.accepted + batch.duplicates,
        "tokens": bucket.results[0].input_tokens,
        "renamed": modify.sync(created.id, client=client, body=models.ProjectUpdate(name="renamed")).name,
    }


answers = [ask(kind, question) for kind, question in asked["questions"]]
# OpenAI's description, of which clients are made as well, has no events.
json.dump({"answers": answers} | (write() if "at" in asked else {}), sys.stdout)
