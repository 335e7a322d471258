"""Valid names of branches, origins and projects, and attacks on them (A26, A27)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.names import (
    MAX_BRANCH,
    MAX_NAME,
    OriginKind,
    TakenNames,
    branch_problem,
    branches_collide,
    origin_kind,
    origin_problem,
    project_name_problem,
)


@pytest.mark.parametrize(
    "name",
    [
        "main",
        "afk/12",
        "run/run_c0123456789abcdefghijklmn",
        "feature/größe",
        "日本語",
        "a.b",
        "a-b_c+d=e,f%g",
        "$(x)",
        ";x",
        "x" * MAX_BRANCH,
        "heads/x",
        "HEADS",
        "a@b",
    ],
)
def test_what_git_allows_is_a_branch(name: str) -> None:
    assert branch_problem(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "\t", "a b", "a\tb", "a\nb", "a\0b", "a\x7fb", "a\x1bb", "\u3000", "a\u3000b"),
        *("-evil", "-", "--upload-pack=touch X", "$(touch X)/../x", "a..b", "..", "."),
        *("@{-1}", "a@{0}", "@", "HEAD", "a~1", "a^", "a:b", "a?", "a*", "[a", "a\\b"),
        *("refs/heads/x", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a/b.lock"),
        *("x" * (MAX_BRANCH + 1), "ä" * (MAX_BRANCH // 2 + 1)),
        *("a\u202eb", "a\u200bb", "a\u2028b", "a\xadb", "\ufeffa", "a\x85b", "a\xa0b"),
    ],
)
def test_a_hostile_or_broken_branch_name_is_refused(name: str) -> None:
    problem = branch_problem(name)
    assert problem is not None
    assert problem.endswith(".")


@pytest.mark.parametrize(
    ("origin", "kind"),
    [
        ("/srv/git/project", OriginKind.PATH),
        ("/srv/with space/p.git", OriginKind.PATH),
        ("/-odd", OriginKind.PATH),
        ("https://example.test/a/b.git", OriginKind.HTTPS),
        ("https://example.test:8443/a", OriginKind.HTTPS),
        ("ssh://git@example.test/a.git", OriginKind.SSH),
        ("ssh://git@example.test:2222/a.git", OriginKind.SSH),
        ("git@example.test:a/b.git", OriginKind.SSH),
        ("example.test:a", OriginKind.SSH),
    ],
)
def test_three_kinds_of_origin_are_allowed(origin: str, kind: OriginKind) -> None:
    assert origin_problem(origin) is None
    assert origin_kind(origin) is kind


@pytest.mark.parametrize(
    "origin",
    [
        *("", " ", "\n", "x" * 2001),
        *("ext::sh -c touch% X", "EXT::sh", "ext::", "fd::0", "a::b", "https::x"),
        *("file:///srv/x", "FILE:///srv/x", "git://h/x", "http://h/x", "ftp://h/x"),
        *("--upload-pack=touch X", "-u touch X", "-oProxyCommand=x:y", "-x"),
        *("ssh://-oProxyCommand=touch/x", "ssh://-oProxyCommand=touch${IFS}X/x", "ssh://-h/x"),
        *("ssh://-u@h/x", "-u@h:x", "host:-oProxyCommand=x", "h:-x", "ssh://h/-x", "ssh://h"),
        *("https://user:secret@h/x", "https://user@h/x", "ssh://u:p@h/x"),
        *("https://", "https:///x", "https://h", "https://h/", "https://h:port/x", "https://[/x"),
        *("$HOME/x", "~/x", "~u/x", "./x", "../x", "x", "a/b", "host:", "@h:x", "a@b@c:x"),
        *("https://h/x\n", " https://h/x", "https://h/\u202ex", "/srv/\0x", "/srv/a\nb"),
        *("https://h h/x", "https://h$IFS/x", "HTTPS://h/x", "sSh://h/x", "h`x`:y", "h$(x):y"),
    ],
)
def test_a_hostile_origin_is_refused(origin: str) -> None:
    problem = origin_problem(origin)
    assert problem is not None
    assert problem.endswith(".")
    assert "secret" not in problem
    assert origin_kind(origin) is None


@pytest.mark.parametrize("name", ["a", "My project", "größe", "x" * MAX_NAME, "a/b", "<b>"])
def test_a_plain_name_names_a_project(name: str) -> None:
    assert project_name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "x" * (MAX_NAME + 1), "a\nb", "a\0", "a\u202eb", "a\u200b", "a\u3000b"],
)
def test_an_empty_long_or_invisible_name_is_refused(name: str) -> None:
    assert project_name_problem(name)


def test_a_name_that_is_not_given_is_asked_for() -> None:
    assert project_name_problem(" ") == "Give the project a name."
    assert project_name_problem("a ") == "A project name must not begin or end with a space."


@given(st.sets(st.text("ab/", min_size=1, max_size=5)), st.text("ab/", min_size=1, max_size=5))
def test_the_names_that_stand_find_the_one_that_collides(names: set[str], name: str) -> None:
    found = TakenNames(names).in_the_way_of(name)
    if found is None:
        assert not any(branches_collide(one, name) for one in names)
    else:
        assert found in names
        assert branches_collide(found, name)
        assert name not in names or found == name


@given(st.text(max_size=300))
def test_every_text_gets_an_answer(text: str) -> None:
    for check in (branch_problem, origin_problem, project_name_problem):
        assert check(text) is None or check(text).endswith(".")  # type: ignore[union-attr]
