"""An artifact and its manifest: both are there and belong together, or there is none to use."""

from pathlib import Path

import pytest

from mlffd.errors import InputError
from mlffd.export.manifest import manifest_path
from mlffd.export.placing import put_in_place, staging


def pair(folder: Path, content: str) -> Path:
    folder.mkdir(exist_ok=True)
    artifact = folder / "a.bin"
    artifact.write_text(content)
    manifest_path(artifact).write_text(f"manifest of {content}")
    return artifact


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_both_files_are_replaced(tmp_path):
    target = pair(tmp_path, "old")
    with staging(tmp_path) as aside:
        put_in_place(pair(aside, "new"), target)
    assert target.read_text() == "new"
    assert manifest_path(target).read_text() == "manifest of new"
    assert names(tmp_path) == ["a.bin", "a.bin.json"]


def test_what_was_staged_is_gone_after_an_interrupt(tmp_path):
    def make() -> None:
        with staging(tmp_path) as aside:
            pair(aside, "half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make()
    assert names(tmp_path) == []


@pytest.mark.parametrize("steps", range(3))
def test_no_manifest_ever_describes_another_file(tmp_path, monkeypatch, steps):
    """Whatever step is the last, a reader finds a pair or no manifest."""
    target = pair(tmp_path / "out", "old")
    staged = pair(tmp_path / "aside", "new")
    seen = []
    replace = Path.replace
    left = iter(range(steps))

    def step(self: Path, other: Path) -> Path:
        if next(left, None) is None:
            raise KeyboardInterrupt
        moved = replace(self, other)
        seen.append((target.read_text(), manifest_path(target).exists()))
        return moved

    monkeypatch.setattr(Path, "replace", step)
    if steps == 2:
        put_in_place(staged, target)
        assert names(target.parent) == ["a.bin", "a.bin.json"]
    else:
        with pytest.raises(KeyboardInterrupt):
            put_in_place(staged, target)
        assert names(target.parent) == []
    assert seen == [("new", False), ("new", True)][:steps]


def test_a_folder_that_is_not_there_or_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for name, reason in {
        "absent": "the folder does not exist",
        "file": "cannot write here: Not a directory",
    }.items():
        with pytest.raises(InputError, match=f"{name}: {reason}"), staging(tmp_path / name):
            pass


def test_a_folder_in_the_place_of_the_artifact_stays(tmp_path):
    (tmp_path / "out" / "a.bin").mkdir(parents=True)
    with pytest.raises(InputError, match="a folder, expected a file to write"):
        put_in_place(pair(tmp_path / "aside", "new"), tmp_path / "out" / "a.bin")
    assert names(tmp_path / "out") == ["a.bin"]
