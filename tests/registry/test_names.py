import re
from collections.abc import Callable

import pytest
from tests.registry.seen import seen_ids

from usageledger.errors import RegistryError
from usageledger.registry import Listing, Project, Registry, User
from usageledger.registry.schema import users

NOW = 1_750_000_000
ODD_IDS = ["a b/c?d#e", "proj'; DROP TABLE projects; --", "ü\N{SNOWMAN}\N{PILE OF POO}", "\ttab\nline", "%_", "x" * 256]


def walk(page_after: Callable[[str | None], Listing[Project]] | Callable[[str | None], Listing[User]]) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        page = page_after(after)
        ids.extend(entry.id for entry in page.data)
        if not page.has_more:
            return ids
        after = ids[-1]


def test_what_was_seen_is_there(registry: Registry) -> None:
    registry.note_seen(["proj_1"], ["user_1"], now=NOW)
    assert registry.get_project("proj_1") == Project(id="proj_1", name="proj_1", created_at=NOW, archived_at=None)
    assert registry.get_user("user_1") == User(id="user_1", name=None, email=None, role="reader", added_at=NOW)
    assert registry.get_project("user_1") is None
    assert registry.get_user("proj_1") is None


def test_seeing_again_changes_nothing(registry: Registry) -> None:
    registry.note_seen(["p", "q"], ["u"], now=NOW)
    registry.rename_project("p", "Search")
    registry.archive_project("q", now=NOW + 1)
    before = registry.list_projects(include_archived=True), registry.list_users()
    registry.note_seen(["p", "q", "p"], ["u", "u"], now=NOW + 99)
    assert (registry.list_projects(include_archived=True), registry.list_users()) == before
    registry.note_seen(["p", "r"], [], now=NOW + 100)
    added = registry.get_project("r")
    assert added is not None
    assert added.created_at == NOW + 100


def test_ids_may_be_anything(registry: Registry) -> None:
    registry.note_seen(iter(ODD_IDS), (id_ for id_ in ODD_IDS), now=NOW)
    assert seen_ids(registry) == (set(ODD_IDS), set(ODD_IDS))
    for id_ in ODD_IDS:
        found = registry.get_project(id_)
        assert found is not None
        assert (found.id, found.name) == (id_, id_)
    assert sorted(walk(lambda after: registry.list_users(after=after, limit=1))) == sorted(ODD_IDS)


def test_names_of_what_has_one(registry: Registry) -> None:
    registry.note_seen(["p", "q", "r"], ["u"], now=NOW)
    registry.rename_project("p", "Search")
    registry.rename_project("q", "Old")
    registry.archive_project("q", now=NOW)
    key, _ = registry.create_key("Gateway", now=NOW)
    asked = ["p", "q", "r", "u", "else", key.id, *(f"more-{number}" for number in range(2_000))]
    assert registry.names.of("project_id", asked) == {"p": "Search", "q": "Old"}
    assert registry.names.of("project_id", ["q"]) == {"q": "Old"}
    assert registry.names.of("user_id", asked) == registry.names.of("model", asked) == {}
    assert registry.names.of("api_key_id", asked) == {key.id: "Gateway"}


def test_ids_are_found_by_their_names(registry: Registry) -> None:
    registry.note_seen(["search-1", "p", "q", "r"], ["search"], now=NOW)
    for id_, name in {"p": "The SEARCH", "q": "Straße", "r": "100%"}.items():
        registry.rename_project(id_, name)
    key, _ = registry.create_key("Research", now=NOW)
    assert registry.names.containing("project_id", "sEArch") == ["p"], "what has its id for a name is found by its id"
    assert registry.names.containing("project_id", "STRASSE") == ["q"]
    assert registry.names.containing("project_id", "%") == ["r"]
    assert registry.names.containing("user_id", "search") == registry.names.containing("model", "search") == []
    assert registry.names.containing("api_key_id", "search") == [key.id]


@pytest.mark.parametrize("bad", ["", "x" * 257, "\ud800"])
def test_a_bad_id_adds_nothing(registry: Registry, bad: str) -> None:
    with pytest.raises(RegistryError, match="id of a user"):
        registry.note_seen(["p"], ["u", bad], now=NOW)
    with pytest.raises(RegistryError, match="id of a project"):
        registry.note_seen(["p", bad], ["u"], now=NOW)
    assert seen_ids(registry) == (set(), set())


def test_one_of_the_two_may_be_empty(registry: Registry) -> None:
    registry.note_seen([], [], now=NOW)
    assert seen_ids(registry) == (set(), set())
    registry.note_seen([], ["u"], now=NOW)
    registry.note_seen(["p"], [], now=NOW)
    assert seen_ids(registry) == ({"p"}, {"u"})


def test_a_made_project_has_the_documented_shape(registry: Registry) -> None:
    made = registry.create_project("Search", now=NOW)
    assert re.fullmatch(r"proj_[A-Za-z0-9_-]{24}", made.id)
    assert made == Project(id=made.id, name="Search", created_at=NOW, archived_at=None)
    assert registry.get_project(made.id) == made
    assert registry.create_project("Search", now=NOW).id != made.id
    assert made.id in seen_ids(registry)[0]


def test_a_project_is_renamed(registry: Registry) -> None:
    made = registry.create_project("Search", now=NOW)
    other = registry.create_project("Other", now=NOW)
    renamed = registry.rename_project(made.id, "Find")
    assert renamed == Project(id=made.id, name="Find", created_at=NOW, archived_at=None)
    assert registry.get_project(made.id) == renamed
    assert registry.get_project(other.id) == other
    assert registry.rename_project("proj_unknown", "Find") is None


def test_a_project_name_has_1_to_256_characters(registry: Registry) -> None:
    made = registry.create_project("n" * 256, now=NOW)
    assert registry.rename_project(made.id, "m") is not None
    for bad in ("", "n" * 257):
        with pytest.raises(RegistryError, match=f"1 to 256 characters long, not {len(bad)}"):
            registry.create_project(bad, now=NOW)
        with pytest.raises(RegistryError, match=f"1 to 256 characters long, not {len(bad)}"):
            registry.rename_project(made.id, bad)
    assert [project.name for project in registry.list_projects().data] == ["m"]


def test_an_archived_project_is_listed_on_demand(registry: Registry) -> None:
    first, second, third = (registry.create_project(str(n), now=NOW + n) for n in range(3))
    archived = registry.archive_project(second.id, now=NOW + 10)
    assert archived == Project(id=second.id, name="1", created_at=NOW + 1, archived_at=NOW + 10)
    assert (first.status, archived.status) == ("active", "archived")
    assert registry.list_projects().data == (first, third)
    assert registry.list_projects(include_archived=True).data == (first, archived, third)
    assert registry.list_projects(after=second.id).data == (third,)
    assert registry.get_project(second.id) == archived
    assert registry.archive_project(second.id, now=NOW + 20) == archived
    assert registry.archive_project("proj_unknown", now=NOW) is None


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
def test_paging_walks_everything_once(registry: Registry, limit: int) -> None:
    for second in (2, 0, 1):
        registry.note_seen([f"p{second}{n}" for n in range(4)], [f"u{second}{n}" for n in range(4)], now=NOW + second)
    for n in range(2):
        registry.archive_project(f"p1{n}", now=NOW)
    everything = [f"{second}{n}" for second in range(3) for n in range(4)]
    assert walk(lambda after: registry.list_users(after=after, limit=limit)) == [f"u{id_}" for id_ in everything]
    assert walk(lambda after: registry.list_projects(after=after, limit=limit, include_archived=True)) == [
        f"p{id_}" for id_ in everything
    ]
    assert walk(lambda after: registry.list_projects(after=after, limit=limit)) == [
        f"p{id_}" for id_ in everything if id_ not in ("10", "11")
    ]


def test_an_unknown_after_is_refused(registry: Registry) -> None:
    registry.note_seen(["p"], ["u"], now=NOW)
    with pytest.raises(RegistryError, match=r"after .*'u'"):
        registry.list_projects(after="u")
    with pytest.raises(RegistryError, match=r"after .*'p'"):
        registry.list_users(after="p")


def test_users_are_selected_by_email(registry: Registry) -> None:
    with registry._database.write() as connection:
        for n in range(5):
            row = {"id": f"u{n}", "name": f"N{n}", "email": f"u{n}@example.com", "role": "reader", "added_at": NOW - n}
            connection.execute(users.insert(), row)
    registry.note_seen([], ["nobody"], now=NOW)
    asked = ["u1@example.com", "u3@example.com", "else@example.com"]
    assert registry.list_users(emails=asked).data == (
        User(id="u3", name="N3", email="u3@example.com", role="reader", added_at=NOW - 3),
        User(id="u1", name="N1", email="u1@example.com", role="reader", added_at=NOW - 1),
    )
    first = registry.list_users(emails=asked, limit=1)
    assert ([user.id for user in first.data], first.has_more) == (["u3"], True)
    assert [user.id for user in registry.list_users(emails=asked, limit=1, after="u3").data] == ["u1"]
    assert len(registry.list_users(emails=[]).data) == 6


def test_a_secret_is_made_once(registry: Registry) -> None:
    first = registry.secret("page-token")
    assert isinstance(first, bytes)
    assert len(first) == 32
    assert registry.secret("page-token") == first
    assert registry.secret("other") != first
    for bad in ("", "x" * 257):
        with pytest.raises(RegistryError, match="name of a secret"):
            registry.secret(bad)
