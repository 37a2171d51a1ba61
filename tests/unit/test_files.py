import os
import re
import stat
import threading
from pathlib import Path

import pytest

from mlffd.errors import InputError
from mlffd.files import (
    require_new_folder,
    require_writable,
    write_atomically,
    write_folder_atomically,
    write_folder_once,
    write_text_atomically,
)


def test_the_text_is_written_in_utf8(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "1 Å\n")

    assert (tmp_path / "a.txt").read_bytes() == "1 Å\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a longer text that was there before")

    write_text_atomically(path, "new")

    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(aside):
        aside.write_text("half of the n")
        raise error

    with pytest.raises(error):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(aside):
        aside.write_text("new")
        assert path.read_text() == "old"
        assert aside.parent == path.parent  # a rename between file systems would not be atomic
        assert aside.suffix == path.suffix  # some writers choose the format by it

    write_atomically(path, write)
    assert path.read_text() == "new"


def test_a_writer_may_replace_the_file_it_is_given(tmp_path):
    def write(aside):
        aside.unlink()
        aside.write_text("new")

    write_atomically(tmp_path / "a.txt", write)
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_writer_that_writes_nothing_leaves_an_empty_file(tmp_path):
    write_atomically(tmp_path / "a.txt", lambda aside: None)

    assert (tmp_path / "a.txt").read_bytes() == b""


def test_a_missing_folder_is_an_input_error(tmp_path):
    path = tmp_path / "none" / "a.txt"

    with pytest.raises(InputError, match=f"{re.escape(str(path))}: cannot write here: No such"):
        write_text_atomically(path, "new")


def test_a_file_in_place_of_the_folder_is_an_input_error(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="cannot write here: Not a directory"):
        write_text_atomically(tmp_path / "file" / "a.txt", "new")


def test_a_folder_in_place_of_the_file_is_an_input_error(tmp_path):
    (tmp_path / "folder").mkdir()

    with pytest.raises(InputError, match="folder: cannot be replaced: Is a directory"):
        write_text_atomically(tmp_path / "folder", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_others_may_read_it_as_any_file(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        write_text_atomically(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == expected


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    texts = [str(n) * 10_000 for n in range(8)]
    threads = [threading.Thread(target=write_text_atomically, args=(path, t)) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert path.read_text() in texts
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


# Folders


def _fill(aside):
    (aside / "one.txt").write_text("1")
    (aside / "two.txt").write_text("2")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_is_made_or_an_empty_one_is_filled(tmp_path, is_there):
    folder = tmp_path / "data"
    if is_there:
        folder.mkdir()

    write_folder_atomically(folder, _fill)

    assert {p.name for p in folder.iterdir()} == {"one.txt", "two.txt"}
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_folder_is_whole_or_not_there(tmp_path, error):
    def fail(aside):
        (aside / "one.txt").write_text("1")
        raise error

    with pytest.raises(error):
        write_folder_atomically(tmp_path / "data", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(InputError, match="expected an empty folder or one that is yet to be made"):
        write_folder_atomically(tmp_path, _fill)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_is_no_folder_to_fill(tmp_path):
    (tmp_path / "file").write_text("mine")

    with pytest.raises(InputError, match="expected an empty folder"):
        write_folder_atomically(tmp_path / "file", _fill)


def test_a_folder_in_no_folder_cannot_be_made(tmp_path):
    with pytest.raises(InputError, match=r"absent/data: the folder .*absent does not exist"):
        write_folder_atomically(tmp_path / "absent" / "data", _fill)


def test_a_folder_that_is_filled_meanwhile_is_left_alone(tmp_path):
    def slow(aside):
        _fill(aside)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "theirs.txt").write_text("theirs")

    with pytest.raises(InputError, match="data: cannot be replaced: Directory not empty"):
        write_folder_atomically(tmp_path / "data", slow)
    assert [path.name for path in tmp_path.rglob("*")] == ["data", "theirs.txt"]


def test_a_cache_is_filled_once_and_by_whoever_is_first(tmp_path):
    folder = tmp_path / "new" / "cache"

    def slow(aside):
        write_folder_once(folder, _fill)
        (aside / "late.txt").write_text("late")

    write_folder_once(folder, slow)
    write_folder_once(folder, lambda _: pytest.fail("it was there"))
    assert {path.name for path in folder.iterdir()} == {"one.txt", "two.txt"}
    assert [path.name for path in folder.parent.iterdir()] == ["cache"]


def test_a_cache_that_cannot_be_made_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be made a folder"):
        write_folder_once(tmp_path / "file" / "cache", _fill)
    with pytest.raises(InputError, match="no good"):
        write_folder_once(tmp_path / "cache", _refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _refuse(aside):
    raise InputError("no good")


def test_the_working_folder_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"\.: the working folder cannot be replaced"):
        write_folder_atomically(Path(), _fill)
    assert list(tmp_path.iterdir()) == []


# Looked at beforehand


def test_what_can_be_written_is_not_touched(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    require_writable(tmp_path / "old.txt", "--json")
    require_writable(tmp_path / "new.txt", "--json")
    require_new_folder(tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["old.txt"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("folder", "--json: .*folder: a folder, expected a file to write"),
        ("absent/new.txt", "--json: .*new.txt: the folder .*absent does not exist"),
        ("file/new.txt", "--json: .*new.txt: the folder .*file does not exist"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, complaint):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=complaint):
        require_writable(tmp_path / name, "--json")


def test_a_folder_that_nobody_may_write_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(InputError, match="cannot be written to"):
        require_writable(tmp_path / "new.txt", "--json")
    with pytest.raises(InputError, match="cannot be written to"):
        require_new_folder(tmp_path / "new")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_gets_the_text_and_stays_a_pipe(tmp_path):
    pipe, read = tmp_path / "pipe.json", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()

    require_writable(pipe, "--json")
    write_text_atomically(pipe, "whole")
    reader.join(timeout=10)

    assert read == ["whole"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe.json"]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="/dev/fd is of POSIX")
def test_what_is_open_already_is_written_to_and_not_replaced(tmp_path):
    """As ``--json /dev/stdout > file`` does: as root, it replaced /dev/stdout for every program."""
    with (tmp_path / "out.txt").open("wb") as stream:
        path = Path(f"/dev/fd/{stream.fileno()}")
        require_writable(path, "--json")
        stream.write(b"printed, ")
        stream.flush()
        write_text_atomically(path, "whole")

    assert (tmp_path / "out.txt").read_text() == "printed, whole"


def test_a_failure_leaves_a_device_as_it_is():
    def fail(_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(Path(os.devnull), fail)
    assert not Path(os.devnull).is_file()
