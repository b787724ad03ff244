"""Files that are written whole or not at all."""

import errno
import os
import stat

import pytest

from fastrnn.utils.files import remove_abandoned, replaced_file, taking_the_place, temporary_beside


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with replaced_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("wrong"), OSError(errno.ENOSPC, "No space left")])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replaced_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)) as raised:
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    if isinstance(error, OSError):
        assert str(raised.value) == f"[Errno {errno.ENOSPC}] {path} cannot be written: no space left"


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with replaced_file(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_files_that_a_killed_process_left_are_removed(tmp_path):
    path = tmp_path / "a[1].txt"
    temporary_beside(path).write_text("half")
    (tmp_path / "a[1].txt.keep").write_text("another file")
    remove_abandoned(path)
    assert os.listdir(tmp_path) == ["a[1].txt.keep"]


def test_an_error_of_deleting_does_not_hide_the_first_one(tmp_path):
    path = tmp_path / "a.txt"
    temporary = temporary_beside(path)
    temporary.mkdir()  # cannot be unlinked
    with pytest.raises(ValueError, match="the first"), taking_the_place(temporary, path):
        raise ValueError("the first")
