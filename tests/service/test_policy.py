"""Paths that are looked at when they are used: a session may be older than the permitted root."""

from pathlib import Path

import pytest

from roost.core.errors import BadValue
from roost.core.messages import File, Message
from roost.service.policy import Policy


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
    policy.check(f"{root}/inside")
    with pytest.raises(BadValue, match="outside"):
        policy.check(f"{root}/link")


def test_files_that_a_model_is_shown_lie_inside_too(root: Path) -> None:
    policy = Policy(root, root)
    policy.files([Message("user", parts=(File(path="inside/a.png"),))])
    with pytest.raises(BadValue, match="invalid file"):
        policy.files([Message("user", parts=(File(path="link/secret.png"),))])


def test_without_a_root_any_file_will_do(root: Path) -> None:
    Policy(root).files([Message("user", parts=(File(path=f"{root}/link/a.png"),))])
