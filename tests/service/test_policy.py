"""Who may do what, and where: one table of cases for each rule."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from roost.core.errors import BadValue, Denied, SessionNotFound
from roost.core.ids import SessionId, TurnId
from roost.core.messages import File, Message
from roost.core.principals import Principal
from roost.core.session import Head, Turn
from roost.service.accounts import OPERATOR
from roost.service.policy import Policy

ANYONE = Principal()
BOB = Principal("bob", kind="account", home="/nowhere")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A permitted root, with a folder and a link out of it."""
    made = tmp_path / "root"
    (made / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (made / "link").symlink_to(tmp_path / "outside")
    return made


def test_a_session_that_is_older_than_the_root_is_looked_at_again(root: Path) -> None:
    policy = Policy(root, root)
    policy.check(ANYONE, f"{root}/inside")
    with pytest.raises(BadValue, match="outside"):
        policy.check(ANYONE, f"{root}/link")


def test_files_that_a_model_is_shown_lie_inside_too(root: Path) -> None:
    policy = Policy(root, root)
    policy.files(ANYONE, [Message("user", parts=(File(path="inside/a.png"),))])
    with pytest.raises(BadValue, match="invalid file"):
        policy.files(ANYONE, [Message("user", parts=(File(path="link/secret.png"),))])


def test_without_a_root_any_file_will_do(root: Path) -> None:
    Policy(root).files(ANYONE, [Message("user", parts=(File(path=f"{root}/link/a.png"),))])


# -- who ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["ann", "", "BOB", "bo"])
def test_d11_an_account_sees_its_own_sessions_alone(tmp_path: Path, owner: str) -> None:
    policy, head = Policy(tmp_path), Head(SessionId("s"), owner=owner)
    with pytest.raises(SessionNotFound):
        policy.may(BOB, head)
    policy.may(OPERATOR, head)
    policy.may(ANYONE, head)
    policy.may(BOB, Head(SessionId("s"), owner="bob"))


def test_what_a_session_comes_from_says_whose_it_is(tmp_path: Path) -> None:
    policy, anns = Policy(tmp_path), Head(SessionId("s"), owner="ann")
    assert policy.owner(BOB) == "bob"
    assert policy.owner(OPERATOR) == policy.owner(ANYONE) == ""
    assert policy.owner(OPERATOR, anns) == "ann"


def test_what_concerns_all_is_not_for_accounts(tmp_path: Path) -> None:
    policy = Policy(tmp_path)
    policy.admin(OPERATOR)
    policy.admin(ANYONE)
    with pytest.raises(Denied, match="token"):
        policy.admin(BOB)


@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("account", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_d11_a_sandbox_is_a_must_where_anybody_wants_it(
    tmp_path: Path, server: bool, account: bool, asked: bool
) -> None:
    policy = Policy(tmp_path, force_sandbox=server)
    caller = Principal("bob", kind="account", home="/", must_sandbox=account)
    assert policy.must_sandbox(caller, asked=asked) is (server or account or asked)


# -- names --------------------------------------------------------------------------------------

STRANGE = [
    "",
    ".",
    "..",
    ".hidden",
    "-f",
    "a/b",
    "../../etc",
    "/etc/passwd",
    "a\0b",
    "a\n",
    "a b",
    "ä",
    "a%2Fb",
    "a\\b",
    "~",
]


@pytest.mark.parametrize("text", [*STRANGE, "a" * 129])
def test_d12_ids_are_looked_at_before_they_are_used(text: str) -> None:
    with pytest.raises(BadValue, match="id"):
        Policy.session_id(text)


@pytest.mark.parametrize("text", [*STRANGE, "a" * 65])
def test_d12_names_are_looked_at_before_they_are_used(text: str) -> None:
    with pytest.raises(BadValue, match="skill name"):
        Policy.name(text, "skill name")


@pytest.mark.parametrize("text", ["a", "0", "A.b_c-d", "a..b", "x" * 64])
def test_plain_names_are_fine(text: str) -> None:
    assert Policy.name(text) == Policy.session_id(text) == text
    assert Policy.session_id("y" * 128)


# -- where --------------------------------------------------------------------------------------


@pytest.fixture
def ann(tmp_path: Path) -> Principal:
    """An account whose home has a folder, links in and out of it, and a neighbour with a longer name."""
    home = tmp_path / "homes" / "ann"
    for folder in (home / "work", tmp_path / "homes" / "anna", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
    (home / "file.txt").write_text("mine")
    (home / "in").symlink_to(home / "work")
    (home / "out").symlink_to(tmp_path / "elsewhere")
    (home / "dangling").symlink_to(tmp_path / "elsewhere" / "not there")
    (home / "loop").symlink_to(home / "loop")
    return Principal("ann", kind="account", home=str(home))


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("", ""),
        (".", ""),
        ("work", "work"),
        ("work/../file.txt", "file.txt"),
        ("in/new/file", "work/new/file"),
        ("not/yet/there", "not/yet/there"),
        ("not/yet/../there", "not/there"),
        ("{home}", ""),
        ("{home}/work/", "work"),
        ("{home}/../ann/work", "work"),
        ("..almost", "..almost"),
    ],
)
def test_an_account_moves_freely_at_home(tmp_path: Path, ann: Principal, path: str, real: str) -> None:
    assert Policy(tmp_path).confine(ann, path.format(home=ann.home)) == os.path.normpath(f"{ann.home}/{real}")


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../anna",
        "/",
        "/etc/passwd",
        "{home}a",
        "{home}/..",
        "work/../..",
        "not there/../../other",
        "{home}/not there/../../anna",
        "out",
        "out/file",
        "out/not there/file",
        "dangling",
        "in/../../anna",
        "loop",
        "loop/x",
    ],
)
def test_d12_no_path_leads_out_of_a_home(tmp_path: Path, ann: Principal, path: str) -> None:
    path = path.format(home=ann.home)
    with pytest.raises(Denied) as denied:
        Policy(tmp_path).confine(ann, path)
    assert str(denied.value) == f"Path '{path}' is outside your home directory: {ann.home}"
    with pytest.raises(Denied):
        Policy(tmp_path).working_dir(ann, path)
    with pytest.raises(Denied):
        Policy(tmp_path).check(ann, f"{ann.home}/{path}" if not path.startswith("/") else path)
    with pytest.raises(Denied):
        Policy(tmp_path).files(ann, [Message("user", parts=(File(path=path),))])


def test_a_home_may_be_a_link(tmp_path: Path, ann: Principal) -> None:
    (tmp_path / "alias").symlink_to(ann.home)
    linked = Principal("ann", kind="account", home=str(tmp_path / "alias"))
    assert Policy(tmp_path).confine(linked, "work") == f"{ann.home}/work"
    assert Policy(tmp_path).confine(linked, ann.home) == ann.home


def test_a_path_with_nul_is_none(tmp_path: Path, ann: Principal) -> None:
    for caller in (ann, OPERATOR):
        with pytest.raises(BadValue):
            Policy(tmp_path).confine(caller, "a\0b")


def test_the_default_of_an_account_is_its_home(tmp_path: Path, ann: Principal) -> None:
    policy = Policy(tmp_path, tmp_path / "elsewhere")
    assert policy.working_dir(ann, " ") == policy.home(ann) == ann.home
    assert policy.home(OPERATOR) == str(tmp_path / "elsewhere")
    assert policy.working_dir(OPERATOR, "") == ""


@pytest.mark.parametrize(("path", "what"), [("file.txt", "is not a directory"), ("nowhere", "does not exist")])
def test_an_account_works_in_a_directory(tmp_path: Path, ann: Principal, path: str, what: str) -> None:
    with pytest.raises(BadValue, match=what):
        Policy(tmp_path).working_dir(ann, path)


def test_d12_a_folder_that_has_become_a_link_is_found_out(tmp_path: Path, ann: Principal) -> None:
    policy = Policy(tmp_path)
    chosen = policy.working_dir(ann, "work")
    policy.check(ann, chosen)
    Path(chosen).rmdir()
    Path(chosen).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Denied):
        policy.check(ann, chosen)


def test_files_of_an_account_are_named_in_full(tmp_path: Path, ann: Principal) -> None:
    said = Message("user", "look", parts=(File(path="in/a.png", mime_type="image/png"), File(file_id="f")))
    (message,) = Policy(tmp_path).files(ann, [said])
    assert message.parts == (File(path=f"{ann.home}/work/a.png", mime_type="image/png", firm=True), File(file_id="f"))
    assert message.content == "look"


def test_others_are_held_by_the_permitted_root(tmp_path: Path, root: Path) -> None:
    for caller in (OPERATOR, ANYONE):
        assert Policy(root).confine(caller, "../anywhere") == str(tmp_path / "anywhere")
        assert Policy(root, root).confine(caller, "inside/new") == f"{root}/inside/new"
        for path in ("..", "link/x", "/etc"):
            with pytest.raises(BadValue, match="permitted root"):
                Policy(root, root).confine(caller, path)


# -- a CLI that calls from inside its session ---------------------------------------------------


def test_a_session_sees_what_it_has_started_and_nothing_else(tmp_path: Path) -> None:
    policy = Policy(tmp_path)
    inside = Principal("ada", kind="session", session="boss", home=str(tmp_path / "work"))
    own = Head(SessionId("kid"), owner="ada", parent=SessionId("boss"))
    others = [Head(SessionId("boss"), owner="ada"), Head(SessionId("other"), owner="ada", parent=SessionId("kid"))]
    policy.may(inside, own)
    for head in others:
        with pytest.raises(SessionNotFound):
            policy.may(inside, head)
    assert policy.seen(inside, [own, *others]) == [own]
    assert not policy.sees(inside, "ada")
    with pytest.raises(Denied):
        policy.admin(inside)
    with pytest.raises(Denied):
        policy.confine(inside, "../up")


def test_only_a_session_in_a_turn_may_call(tmp_path: Path) -> None:
    policy = Policy(tmp_path)
    turn = Turn(TurnId("t"), 1, "mock", "mock", "/work", driver="mock", confined=True)
    head = Head(SessionId("boss"), owner="ada", turn=turn)
    inside = policy.inside(head)
    assert (inside.name, inside.kind, inside.session, inside.home) == ("ada", "session", "boss", "/work")
    assert inside.must_sandbox
    assert inside.confined
    for over in (
        replace(head, turn=None),
        replace(head, turn=replace(turn, canceled=True)),
        replace(head, deleted=True),
    ):
        with pytest.raises(Denied):
            policy.inside(over)
