"""Stored ratios: what is read is what was written, in the order of the history."""

import json

import pytest
from history_samples import OTHER_REFERENCE, commit, git, make_history, measured, store

from mlffd.errors import InputError, NothingMeasuredError
from mlffd.performance.ratios import (
    Quantity,
    ratios_path,
    read_ratios,
    read_series,
    write_ratios,
)

COMMIT = "0123456789ab" + "c" * 28


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ratios"


def times(history):
    return [s for s in history.series if s.quantity is Quantity.TIME]


def test_ratios_are_written_and_read(folder):
    ratios = measured(COMMIT)
    path = write_ratios(folder, "desk", ratios)
    assert path == folder / "desk" / "0123456789ab.json" == ratios_path(folder, "desk", COMMIT)
    assert read_ratios(path) == ratios
    again = measured(COMMIT, subject="another")
    write_ratios(folder, "desk", again)
    assert read_ratios(path) == again
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("machine", ["", ".", "..", "a/b", "../elsewhere", "a b", ".hidden"])
def test_a_machine_that_cannot_name_a_folder_is_refused(folder, machine):
    with pytest.raises(InputError, match=r"^machine: "):
        write_ratios(folder, machine, measured(COMMIT))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["benchmarks", "small", "ratio"], -1.0, "benchmarks.small.ratio: "),
        (["benchmarks", "small", "ratio"], "1.25", "benchmarks.small.ratio: "),
        (["benchmarks", "small", "ratio"], 1.4, "benchmarks.small: .*low <= ratio <= high"),
        (["benchmarks", "small", "launches"], 0, "benchmarks.small.launches: "),
        (["counters", "small", "operators"], 1.5, "counters.small.operators: "),
        (["accuracy", "tiny", "force_rmse"], None, "accuracy.tiny.force_rmse: "),
        (["commit"], "main", "commit: "),
        (["reference"], "HEAD~3", "reference: "),
        (["date"], "2026-05-04T03:02:01", "date: .*timezone"),
        (["format_version"], 2, "format_version: "),
        (["speed"], 1, "speed: Extra"),
    ],
)
def test_damage_is_refused_with_file_and_key(folder, keys, value, message):
    path = write_ratios(folder, "desk", measured(COMMIT))
    document = json.loads(path.read_text(encoding="utf-8"))
    inner = document
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match=f"0123456789ab.json: .*{message}"):
        read_ratios(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"benchmarks": NaN}'])
def test_what_is_no_document_is_refused(folder, content):
    path = write_ratios(folder, "desk", measured(COMMIT))
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"0123456789ab\.json: not the ratios of a commit"):
        read_ratios(path)


def test_a_file_that_is_named_after_another_commit_is_refused(folder):
    path = write_ratios(folder, "desk", measured(COMMIT))
    with pytest.raises(InputError, match="commit: "):
        read_ratios(path.rename(path.with_name("ba9876543210.json")))


def test_series_are_in_the_order_of_the_history_not_of_names_or_dates(tmp_path, folder):
    commits = make_history(tmp_path / "repository", 6)
    store(folder, reversed(commits[1:]))
    store(folder, commits[2:3], machine="laptop")
    history = read_series(folder, tmp_path / "repository")
    assert history.commits == tuple(commits)
    assert history.left_out == 0
    kinds = [(s.machine, s.quantity, s.name) for s in history.series]
    assert kinds[:4] == [
        ("desk", Quantity.TIME, "small"),
        ("desk", Quantity.COUNTER, "small: operators"),
        ("desk", Quantity.ACCURACY, "tiny: energy_rmse"),
        ("desk", Quantity.ACCURACY, "tiny: force_rmse"),
    ]
    assert [machine for machine, _, _ in kinds[4:]] == ["laptop"] * 4
    time, operators = history.series[:2]
    assert [point.commit for point in time.points] == commits[1:]
    assert [point.position for point in time.points] == [1, 2, 3, 4, 5]
    assert time.newest == 5
    assert {(p.value, p.interval) for p in time.points} == {(1.25, (1.2, 1.3))}
    assert {(p.value, p.interval) for p in operators.points} == {(12, None)}


def test_another_revision_ends_the_history_earlier(tmp_path, folder):
    commits = make_history(tmp_path / "repository", 4)
    store(folder, commits)
    history = read_series(folder, tmp_path / "repository", "HEAD~2")
    assert [point.commit for point in history.series[0].points] == commits[:2]
    assert history.left_out == 2


def test_commits_of_merged_branches_and_other_histories_are_left_out_and_counted(tmp_path, folder):
    repository = tmp_path / "repository"
    make_history(repository, 2)
    git(repository, "checkout", "-q", "-b", "side")
    aside = commit(repository, "on a branch")
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "merged", "side")
    merged = git(repository, "rev-parse", "HEAD")
    store(folder, [aside, merged, COMMIT])
    history = read_series(folder, repository)
    assert [point.commit for point in history.series[0].points] == [merged]
    assert history.left_out == 2


def test_another_reference_is_another_series_for_times_only(tmp_path, folder):
    commits = make_history(tmp_path / "repository", 6)
    store(folder, commits[:4])
    store(folder, commits[4:], reference=OTHER_REFERENCE)
    history = read_series(folder, tmp_path / "repository")
    assert [(s.reference[0], len(s.points)) for s in times(history)] == [("a", 4), ("b", 2)]
    others = [s for s in history.series if s.quantity is not Quantity.TIME]
    assert {(s.reference, len(s.points)) for s in others} == {(None, 6)}


def test_no_ratios_at_all_or_of_this_history_are_an_error_of_their_own(tmp_path, folder):
    make_history(tmp_path / "repository", 2)
    with pytest.raises(NothingMeasuredError, match=r"no ratios of HEAD .* \(0 of other commits\)"):
        read_series(folder, tmp_path / "repository")
    store(folder, [COMMIT])
    with pytest.raises(NothingMeasuredError, match=r"\(1 of other commits\)"):
        read_series(folder, tmp_path / "repository")


def test_a_file_that_was_never_finished_is_no_ratio(tmp_path, folder):
    commits = make_history(tmp_path / "repository", 1)
    store(folder, commits)
    (folder / "desk" / f".{commits[0][:12]}.json.1f.json").write_text("{")
    assert len(read_series(folder, tmp_path / "repository").series[0].points) == 1


def test_a_shallow_clone_is_refused_since_its_history_ends_early(tmp_path, folder):
    commits = make_history(tmp_path / "repository", 3)
    store(folder, commits)
    url = (tmp_path / "repository").as_uri()
    git(tmp_path, "clone", "-q", "--depth", "1", url, "shallow")
    with pytest.raises(InputError, match=r"shallow clone.*fetch-depth: 0"):
        read_series(folder, tmp_path / "shallow")


def test_what_is_no_revision_is_refused(tmp_path, folder):
    make_history(tmp_path / "repository", 1)
    with pytest.raises(InputError, match="'nowhere'"):
        read_series(folder, tmp_path / "repository", "nowhere")
