"""HDF5 files that may come from anybody: what points outside or claims too much is refused."""

import os

import h5py
import numpy as np
import pytest

from mlffd.errors import InputError
from mlffd.structures import hdf5_file
from mlffd.structures.dataset import Dataset
from mlffd.structures.hdf5_schema import LABEL_COLUMNS, STRUCTURE_COLUMNS
from mlffd.structures.validation import validate_dataset

POSITIONS = "structures/positions"


@pytest.fixture
def secret(tmp_path):
    """What a file must not be able to show: 25 positions' worth of somebody else's bytes."""
    path = tmp_path / "secret"
    path.write_bytes(bytes(25 * 3 * 8))
    return path


def assert_refused(path, reason):
    for read in (Dataset, validate_dataset):
        with pytest.raises(InputError, match=reason) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (
            b"<!DOCTYPE html><html>404</html>",
            "not an HDF5 file: it begins with b'<!DOCTYPE html><'$",
        ),
        (b"version https://git-lfs.github.com/spec/v1\n", "begins with b'version https"),
        (b"\x89HDF\r\n\x1a\n" + bytes(3000), "cannot be read as HDF5"),
    ],
)
def test_other_content_is_refused(tmp_path, content, reason):
    path = tmp_path / "d.h5"
    path.write_bytes(content)
    assert_refused(path, reason)


def test_what_is_no_file_is_refused(tmp_path):
    assert_refused(tmp_path, "not a regular file")
    assert_refused(tmp_path / "absent.h5", "cannot be opened: No such file")
    (tmp_path / "dangling.h5").symlink_to(tmp_path / "nothing")
    assert_refused(tmp_path / "dangling.h5", "cannot be opened")
    os.mkfifo(tmp_path / "pipe.h5")  # opening it would wait for ever
    assert_refused(tmp_path / "pipe.h5", "not a regular file")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(labelled_file, share):
    content = labelled_file.read_bytes()
    labelled_file.write_bytes(content[: int(len(content) * share)])
    assert_refused(labelled_file, "not an HDF5 file|cannot be read as HDF5")


@pytest.mark.parametrize("column", [*STRUCTURE_COLUMNS, *LABEL_COLUMNS], ids=lambda c: c.key)
def test_a_damaged_byte_shows_when_the_column_is_unpacked(labelled_file, column):
    with h5py.File(labelled_file) as file:
        chunk = file[column.key].id.get_chunk_info(0)
    content = bytearray(labelled_file.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    labelled_file.write_bytes(content)

    def read_all(path):
        with Dataset(path) as dataset:
            list(dataset)

    for read in (read_all, validate_dataset):
        with pytest.raises(InputError, match=r"labelled.h5: cannot be read as HDF5"):
            read(labelled_file)


@pytest.mark.parametrize("link", [h5py.SoftLink("/structures/other"), "external"])
@pytest.mark.parametrize("key", [POSITIONS, "structures", "labels", "metadata", "structures/names"])
def test_links_are_not_followed(labelled_file, tmp_path, link, key):
    if link == "external":
        with h5py.File(tmp_path / "other.h5", "w") as other:
            other["x"] = np.zeros((25, 3))
        link = h5py.ExternalLink("other.h5", "/x")
    with h5py.File(labelled_file, "r+") as file:
        file.move(key, "moved")
        file[key] = link
    assert_refused(labelled_file, f"{key}.*: links are not followed")


def test_raw_data_in_other_files_are_not_read(labelled_file, secret):
    with h5py.File(labelled_file, "r+") as file:
        del file[POSITIONS]
        file.create_dataset(POSITIONS, (25, 3), "f8", external=[(str(secret), 0, 600)])
        assert not file[POSITIONS][()].any()  # HDF5 itself would show it
    assert_refused(labelled_file, f"{POSITIONS}: stored in another file")


def test_virtual_data_sets_are_not_read(labelled_file, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros((25, 3))
    with h5py.File(labelled_file, "r+") as file:
        del file[POSITIONS]
        layout = h5py.VirtualLayout((25, 3), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (25, 3))
        file.create_virtual_dataset(POSITIONS, layout)
    assert_refused(labelled_file, f"{POSITIONS}: stored in another file")


def test_terabytes_in_a_few_kilobytes_are_not_believed(labelled_file):
    with h5py.File(labelled_file, "r+") as file:
        del file["labels/energy"]
        file.create_dataset("labels/energy", (10**10,), "f8", chunks=(10**4,), compression="gzip")
    assert labelled_file.stat().st_size < 10**5
    assert_refused(labelled_file, "claims 8000000[0-9]* bytes of data, but has only")


def test_what_the_columns_claim_counts_together(labelled_file, monkeypatch):
    monkeypatch.setattr(hdf5_file, "ALWAYS_ALLOWED_BYTES", 0)
    Dataset(labelled_file).close()
    monkeypatch.setattr(hdf5_file, "MAX_EXPANSION", 0.001)
    assert_refused(labelled_file, "claims")


def claims_of(path, count, chunk):
    """A file with an unwritten data set of so many bytes, and an empty one."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (count,), "u1", maxshape=(None,), chunks=(chunk,))
        file["nothing"] = h5py.Empty("u1")


def believed(path) -> bool:
    with h5py.File(path) as file:
        hdf5_file.check_storage(file, file.values())
    return True


def test_small_data_and_chunks_are_believed_up_to_the_last_byte(tmp_path):
    path = tmp_path / "d.h5"
    for count, chunk, reason in (
        (64 << 20, 1000, None),
        ((64 << 20) + 1, 1000, "claims 67108865 bytes of data"),
        (0, 256 << 20, None),
        (0, (256 << 20) + 1, "x: chunks of 268435457 bytes, expected at most 268435456"),
    ):
        claims_of(path, count, chunk)
        if reason is None:
            assert believed(path)
        else:
            with pytest.raises(InputError, match=reason):
                believed(path)


def test_a_thousandfold_is_believed_and_a_byte_more_is_not(tmp_path):
    path, size = tmp_path / "d.h5", 70_000
    for count in (1000 * size, 1000 * size + 1):
        claims_of(path, count, 1000)
        with path.open("ab") as stream:
            stream.write(bytes(size - path.stat().st_size))  # what is stored, for all that we know
        if count == 1000 * size:
            assert believed(path)
        else:
            with pytest.raises(InputError, match=r"claims 70000001 bytes .* only 70000 bytes"):
                believed(path)


@pytest.mark.parametrize("kind", [OSError, RuntimeError, KeyError, ValueError, TypeError])
def test_whatever_the_library_raises_is_an_input_error(tmp_path, kind):
    with (
        pytest.raises(InputError, match=r"d.h5: cannot be read as HDF5: .*two lines"),
        hdf5_file.hdf5_errors(tmp_path / "d.h5"),
    ):
        raise kind("two\n  lines" if kind is not KeyError else "two lines")


def test_a_chunk_that_unpacks_to_gigabytes_is_not_unpacked(labelled_file):
    with h5py.File(labelled_file, "r+") as file:
        del file["labels/energy"]
        file.create_dataset(
            "labels/energy", (7,), "f8", maxshape=(None,), chunks=(10**8,), compression="gzip"
        )
    assert_refused(labelled_file, "labels/energy: chunks of 800000000 bytes")
