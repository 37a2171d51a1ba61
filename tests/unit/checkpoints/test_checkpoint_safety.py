"""Files that are no checkpoints, are damaged, or mean harm."""

import argparse
import io
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mlffd.checkpoints import safety
from mlffd.checkpoints.safety import read_torch_file
from mlffd.errors import InputError


def write_archive(path, pickled, **records):
    """A zip archive in the form of torch.save around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        for name, content in records.items():
            archive.writestr(f"archive/{name}", content)
    return path


def rewrite(source, target, change, compression=zipfile.ZIP_STORED):
    """Copy an archive, entry by entry; `change(name, content)` gives the new content or None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            content = change(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    return target


def test_tensors_in_plain_containers_are_read(save):
    path = save({"w": torch.arange(3.0), "note": "text", "list": [1, 2.5, None, (True,)]})
    loaded = read_torch_file(path)
    assert torch.equal(loaded["w"], torch.arange(3.0))
    assert loaded["list"] == [1, 2.5, None, (True,)]


def test_views_that_share_a_storage_are_read(save):
    whole = torch.arange(12.0).reshape(3, 4)
    loaded = read_torch_file(save({"whole": whole, "column": whole[:, 1], "turned": whole.T}))
    assert torch.equal(loaded["column"], torch.tensor([1.0, 5.0, 9.0]))
    assert torch.equal(loaded["turned"], whole.T)


# What is not a file


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.pt: file not found"):
        read_torch_file(tmp_path / "nothing.pt")


def test_dangling_link_says_where_it_points(tmp_path):
    link = tmp_path / "link.pt"
    link.symlink_to(tmp_path / "gone.pt")
    with pytest.raises(InputError, match=r"a link to .*gone\.pt, which is not found"):
        read_torch_file(link)


def test_link_to_a_checkpoint_is_followed(tmp_path, save):
    link = tmp_path / "link.pt"
    link.symlink_to(save({"w": torch.ones(1)}))
    assert read_torch_file(str(link)) == {"w": torch.ones(1)}


def test_folder(tmp_path):
    with pytest.raises(InputError, match="a folder"):
        read_torch_file(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(InputError, match="not a regular file"):
        read_torch_file(tmp_path / "pipe.pt")


def test_a_file_that_cannot_be_opened_is_an_input_error(tmp_path, monkeypatch):
    """Whoever runs the tests may be allowed to read everything."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret.pt").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"secret\.pt: cannot be read: Permission denied"):
        read_torch_file(tmp_path / "secret.pt")


def test_name_with_a_nul_character():
    with pytest.raises(InputError, match="cannot be read"):
        read_torch_file("a\0b.pt")


# What is another kind of file


def legacy_torch_file():
    stream = io.BytesIO()
    torch.save({"w": torch.ones(2)}, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def tar_file():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return stream.getvalue()


def empty_zip_file():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w"):
        pass
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"\n <!DOCTYPE html><html>404", "an HTML or XML page", id="html"),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "a Git LFS pointer",
            id="git-lfs",
        ),
        pytest.param(b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", id="hdf5"),
        pytest.param(struct.pack("<Q", 2) + b"{}", "a safetensors file", id="safetensors"),
        pytest.param(struct.pack("<Q", 3) + b"{}", "unknown bytes", id="part-of-safetensors"),
        pytest.param(struct.pack("<Q", 2**56) + b"{}", "unknown bytes", id="large-safetensors"),
        pytest.param(struct.pack("<Q", 2) + b"[]", "unknown bytes", id="no-safetensors"),
        # Version of the format, then who made it, a description of it, its domain, or the graph.
        pytest.param(b"\x08\x07\x12\x07pytorch", "an ONNX model", id="onnx"),
        pytest.param(b"\x08\x1f\x1a\x07", "an ONNX model", id="onnx-version"),
        pytest.param(b"\x08\x07\x22\x07", "an ONNX model", id="onnx-domain"),
        pytest.param(b"\x08\x07\x3a", "an ONNX model", id="onnx-graph"),
        pytest.param(b"\x08\x20\x12\x07", "unknown bytes", id="onnx-of-no-version"),
        pytest.param(b"\x08\x07\x13\x07", "unknown bytes", id="onnx-of-another-field"),
        pytest.param(b"\x08\x07", "unknown bytes", id="onnx-without-a-field"),
        pytest.param(b"\x09\x07\x12\x07", "unknown bytes", id="no-onnx"),
        pytest.param(b"\x80\x05", "a bare pickle", id="pickle-of-the-latest-protocol"),
        pytest.param(b"\x80\x06.", "unknown bytes", id="pickle-of-no-protocol"),
        pytest.param(legacy_torch_file(), r"before 1\.6 \(legacy pickle", id="legacy-torch"),
        pytest.param(pickle.dumps({"w": 1}), "a bare pickle", id="pickle"),
        pytest.param(tar_file(), "a tar archive", id="legacy-tar"),
        pytest.param(empty_zip_file(), "an empty zip archive", id="empty-zip"),
        pytest.param(b"\xde\xad\xbe\xef" * 50, "unknown bytes .*de ad be ef", id="random"),
        pytest.param(b"\x80", "unknown bytes", id="one-byte"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path, content, found):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"found .*{found}"):
        read_torch_file(path)


def test_plain_zip_archive(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photos/cat.txt", "meow")
    with pytest.raises(InputError, match=r"a zip archive, but not of torch\.save"):
        read_torch_file(path)


def test_torchscript_archive(tmp_path):
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, its files still exist
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 1), torch.ones(1, 2)), path)
    with pytest.raises(InputError, match="a TorchScript archive, which carries code"):
        read_torch_file(path)


# What is damaged


def test_flipped_bit_in_a_weight_is_refused_though_torch_would_load_it(save):
    weight = torch.arange(1.0, 65.0)
    path = save({"w": weight})
    content = bytearray(path.read_bytes())
    at = content.index(weight.numpy().tobytes())
    content[at + 100] ^= 1
    path.write_bytes(content)
    silently = torch.load(path, weights_only=True)["w"]
    assert not torch.equal(silently, weight)  # the fault is there, and torch does not see it
    with pytest.raises(InputError, match=r"checksum of entry .*data/0.* does not match"):
        read_torch_file(path)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_truncated_file(save, kept):
    path = save({"w": torch.rand(1000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="damaged or truncated"):
        read_torch_file(path)


def test_missing_storage(tmp_path, save):
    path = rewrite(
        save({"w": torch.ones(4)}),
        tmp_path / "less.pt",
        lambda name, content: None if name.endswith("/data/0") else content,
    )
    with pytest.raises(InputError, match="torch cannot load it"):
        read_torch_file(path)


def test_storage_that_is_shorter_than_its_tensor(tmp_path, save):
    path = rewrite(
        save({"w": torch.ones(4)}),
        tmp_path / "short.pt",
        lambda name, content: content[:4] if name.endswith("/data/0") else content,
    )
    with pytest.raises(InputError, match="torch cannot load it"):
        read_torch_file(path)


def test_garbage_instead_of_a_pickle(tmp_path):
    path = write_archive(tmp_path / "garbage.pt", b"\xff\xfe garbage")
    with pytest.raises(InputError, match="torch cannot load it"):
        read_torch_file(path)


# What means harm


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def test_malicious_pickle_is_refused_and_does_not_run(tmp_path):
    target = tmp_path / "harm"
    path = write_archive(tmp_path / "evil.pt", pickle.dumps({"w": Malicious(target)}, protocol=2))
    with pytest.raises(InputError, match=r"the pickle asks for (posix|nt)\.system\): refused"):
        read_torch_file(path)
    assert not target.exists()
    with zipfile.ZipFile(path) as archive:  # the fault is real: an ordinary unpickler runs it
        pickle.loads(archive.read("archive/data.pkl"))
    assert target.exists()


def test_malicious_pickle_does_not_run_where_the_environment_asks_for_unsafe_loading(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    target = tmp_path / "harm"
    path = write_archive(tmp_path / "evil.pt", pickle.dumps({"w": Malicious(target)}, protocol=2))
    with pytest.raises(InputError, match="refused"):
        read_torch_file(path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param(torch.nn.Linear(2, 1), r"torch\.nn\.modules\.linear\.Linear", id="module"),
        pytest.param(np.float64(1.0), r"numpy\.", id="numpy-scalar"),
        pytest.param(np.ones(2), r"numpy\.", id="numpy-array"),
        pytest.param(Path("a"), r"pathlib\.", id="path"),
        pytest.param(argparse.Namespace(lr=1), r"argparse\.Namespace", id="namespace"),
    ],
)
def test_objects_of_other_classes_are_refused_by_name(save, content, wanted):
    with pytest.raises(InputError, match=f"something other than tensors.*{wanted}"):
        read_torch_file(save({"w": torch.ones(1), "other": content}))


def test_whole_pickled_student(save, make_student):
    with pytest.raises(InputError, match=r"mlffd\.students\.student_force_field"):
        read_torch_file(save(make_student(1)))


def test_message_is_one_line_without_control_characters(tmp_path):
    path = write_archive(tmp_path / "evil.pt", b"\x80\x02cposix\n\x1b[31msystem\n.")
    with pytest.raises(InputError) as caught:
        read_torch_file(path)
    assert str(caught.value).isprintable()


def test_file_above_the_size_cap(save):
    path = save({"w": torch.ones(1000)})
    size = path.stat().st_size
    assert len(read_torch_file(path, size_cap=size)["w"]) == 1000
    with pytest.raises(InputError, match=f"pt: {size} bytes, expected at most {size - 1}"):
        read_torch_file(path, size_cap=size - 1)


def entries_of(count=1, **sizes):
    """Zip entries as they are listed, one of them the pickle."""
    names = ["archive/data.pkl", *(f"archive/data/{i}" for i in range(count - 1))]
    entries = [zipfile.ZipInfo(name) for name in names]
    for key, value in sizes.items():
        setattr(entries[0], key, value)
    return entries


@pytest.mark.parametrize(
    ("entries", "size", "message"),
    [
        (entries_of(100_000), 1000, None),
        (entries_of(100_001), 1000, "100001 zip entries, expected at most 100000"),
        (entries_of(file_size=1000), 1000, None),
        (entries_of(file_size=1001), 1000, "expands to 1001 bytes, expected at most 1000"),
        (entries_of(file_size=500), 5, None),
        (entries_of(file_size=501), 5, "expands 100 times, expected at most 100 times"),
        (entries_of(compress_size=7), 7, None),
        (entries_of(compress_size=8), 7, "its zip entries overlap"),
    ],
)
def test_limits_of_archives_are_as_the_errors_tell_them(entries, size, message):
    if message is None:
        safety._check_entries(Path("f.pt"), entries, size, 1000)
    else:
        with pytest.raises(InputError, match=message):
            safety._check_entries(Path("f.pt"), entries, size, 1000)


def test_a_pickle_of_64_mib_is_the_largest():
    size = 64 << 20
    safety._check_entries(Path("f.pt"), entries_of(file_size=size), size, 2 * size)
    with pytest.raises(InputError, match="a pickle of 67108865 bytes, expected at most 67108864"):
        safety._check_entries(Path("f.pt"), entries_of(file_size=size + 1), size, 2 * size)


def test_two_gib_are_the_most_without_being_told():
    assert safety.SIZE_CAP == 2 << 30


@pytest.mark.parametrize(("flags", "refused"), [(1, True), (3, True), (2, False), (0, False)])
def test_encrypted_entries_are_refused(flags, refused):
    """The lowest bit says so; others are about how well it was compressed."""
    entries = entries_of(2)
    entries[1].flag_bits = flags
    if refused:
        with pytest.raises(InputError, match="'archive/data/0' is encrypted"):
            safety._check_entries(Path("f.pt"), entries, 1000, 1000)
    else:
        safety._check_entries(Path("f.pt"), entries, 1000, 1000)


def test_the_root_is_the_folder_of_the_first_entry(tmp_path):
    path = tmp_path / "two.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/cat.txt", "meow")
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
    with pytest.raises(InputError, match=r"it has no 'other/data\.pkl'"):
        read_torch_file(path)


def test_archive_that_expands_above_the_size_cap(tmp_path, save):
    path = rewrite(
        save({"w": torch.zeros(20_000)}),
        tmp_path / "deflated.pt",
        lambda _, content: content,
        zipfile.ZIP_DEFLATED,
    )
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"expands to \d+ bytes, expected at most 10000"):
        read_torch_file(path, size_cap=10_000)
    assert len(read_torch_file(path)["w"]) == 20_000


def test_zip_bomb(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("archive/data/0", bytes(20_000_000))
    with pytest.raises(InputError) as caught:
        read_torch_file(path)
    assert str(caught.value).startswith(f"{path}: expands ")  # and is not called damaged
    assert "zip bomb" in str(caught.value)


def test_zip_bomb_of_overlapping_entries(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", os.urandom(50_000))
        for i in range(20):
            archive.filelist.append(zipfile.ZipInfo(f"archive/data/{i}"))
            archive.filelist[-1].file_size = archive.filelist[-1].compress_size = 50_000
            archive.filelist[-1].header_offset = archive.filelist[-1].CRC = 0
    with pytest.raises(InputError, match="entries overlap"):
        read_torch_file(path)


def test_too_many_entries(tmp_path, monkeypatch):
    monkeypatch.setattr(safety, "MOST_ENTRIES", 3)
    path = write_archive(tmp_path / "many.pt", b"", a="", b="")
    with pytest.raises(InputError, match="4 zip entries, expected at most 3"):
        read_torch_file(path)


def test_too_large_pickle(tmp_path, monkeypatch):
    monkeypatch.setattr(safety, "LARGEST_PICKLE", 10)
    path = write_archive(tmp_path / "large.pt", bytes(11))
    with pytest.raises(InputError, match="a pickle of 11 bytes"):
        read_torch_file(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "archive/../../etc/passwd", "archive\\x"])
def test_entry_names_that_leave_the_archive(tmp_path, name):
    path = tmp_path / "names.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr(zipfile.ZipInfo(name), "")
    with pytest.raises(InputError, match="expected a plain relative name"):
        read_torch_file(path)


def test_two_entries_of_the_same_name(tmp_path):
    path = tmp_path / "twice.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
    with pytest.raises(InputError, match="the same name"):
        read_torch_file(path)


def test_entry_compressed_in_a_way_that_torch_does_not_know(tmp_path, save):
    path = rewrite(
        save({"w": torch.ones(1)}),
        tmp_path / "bzip.pt",
        lambda _, content: content,
        zipfile.ZIP_BZIP2,
    )
    with pytest.raises(InputError, match="compressed in an unknown way"):
        read_torch_file(path)


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"deep": [({"w": t},)]}])
def test_view_of_a_million_million_elements_on_eight_bytes(save, wrap):
    path = save(wrap(torch.zeros(2).expand(10**12 // 2, 2)))
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="takes 4000000000000 bytes but the file holds 8"):
        read_torch_file(path)


def test_deeply_nested_containers_do_not_exhaust_the_stack(tmp_path):
    depth = 100_000
    path = write_archive(
        tmp_path / "deep.pt", b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."
    )
    assert isinstance(read_torch_file(path), list)


def test_what_is_there_twice_hides_nothing_behind_it(save):
    shared = [1.0]
    hidden = torch.zeros(2).expand(10**12 // 2, 2)
    with pytest.raises(InputError, match="but the file holds 8"):
        read_torch_file(save([{"w": hidden}, shared, shared]))


class Odd(torch.Tensor):
    """One that somebody has allowed torch to load."""


@pytest.mark.parametrize(
    ("loaded", "message"),
    [
        ({"w": [torch.ones(2).as_subclass(Odd)]}, "a Odd, expected plain tensors"),
        ({torch.zeros(2).expand(10**12 // 2, 2): 1}, "but the file holds 8"),
    ],
)
def test_tensors_are_looked_at_wherever_they_are(loaded, message):
    with pytest.raises(InputError, match=message):
        safety._measure_tensors(Path("f.pt"), loaded)


def test_container_that_contains_itself(save):
    ring: list[object] = [torch.ones(1)]
    ring.append(ring)
    assert len(read_torch_file(save(ring))) == 2
