"""Asks by the client that openapi-generator makes for Python: questions on stdin, answers on stdout."""

import json
import os
import sys

import openapi_client as made

asked = json.load(sys.stdin)
client = made.ApiClient(
    made.Configuration(host=os.environ["USAGELEDGER_URL"], access_token=os.environ["USAGELEDGER_KEY"])
)
usage = made.UsageApi(client)


def ask(kind, question):
    """Gives the buckets of all pages."""
    buckets, page = [], None
    while True:
        answer = getattr(usage, f"usage_{kind}")(**question, page=page)
        buckets += json.loads(answer.to_json())["data"]
        if not (page := answer.next_page):
            return buckets


def all_projects(projects):
    """Lists the ids of projects, two at a time."""
    ids, after = [], None
    while True:
        page = projects.list_projects(limit=2, after=after)
        ids += [project.id for project in page.data]
        if not page.has_more:
            return ids
        after = page.last_id


def write():
    """Sends events, asks for one of them, lists projects, makes one and renames it."""
    projects = made.ProjectsApi(client)
    listed = all_projects(projects)
    at = made.EventTimestamp(asked["at"])
    event = made.CompletionsEvent(
        kind="completions",
        id="sent",
        timestamp=at,
        project_id=asked["project"],
        input_tokens=asked["tokens"],
        output_tokens=1,
    )
    other = made.ImagesEvent(kind="images", id="image", timestamp=at, images=2)
    batch = made.EventsApi(client).ingest_events([made.Event(event), made.Event(other)])
    (bucket,) = usage.usage_completions(asked["at"], limit=1, project_ids=[asked["project"]]).data
    created = projects.create_project(made.ProjectCreate(name="made"))
    return {
        "projects": listed,
        "accepted": batch.accepted + batch.duplicates,
        "tokens": bucket.results[0].input_tokens,
        "renamed": projects.modify_project(created.id, made.ProjectUpdate(name="renamed")).name,
    }


answers = [ask(kind, question) for kind, question in asked["questions"]]
# OpenAI's description, of which clients are made as well, has no events.
json.dump({"answers": answers} | (write() if "at" in asked else {}), sys.stdout)
