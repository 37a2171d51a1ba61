"""Every fault of the catalogue at its stated limit: what must catch it does.

`mlffd faults` plants each of them in every size and asks every check; here only those that must
see it are asked, so that it takes a minute.
"""

from pathlib import Path

import pytest

from mlffd.checks.cases import plan
from mlffd.checks.registry import all_checks
from mlffd.config import Settings, load_settings
from mlffd.errors import MissingPackageError
from mlffd.faults.catalogue import CONCERNS, THROUGHPUT, Fault, all_faults
from mlffd.faults.healthy import Healthy
from mlffd.faults.slowing import Slowed, slowed
from mlffd.performance.workers import WorkerError
from mlffd.verdicts import Verdict

ROOT = Path(__file__).parents[2]
FAULTS = [fault for fault in all_faults() if not fault.is_timed]
TIMED = [fault for fault in all_faults() if fault.is_timed]


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exported files, which faults share."""
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(ROOT / "mlffd.toml")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_must_catch_it_does(
    fault: Fault, settings: Settings, exports: Path, tmp_path: Path
) -> None:
    expected = dict.fromkeys(fault.caught_by, Verdict.FAIL)
    expected |= dict.fromkeys(fault.refused_by, Verdict.INVALID)
    healthy = Healthy(settings, "ultra_tiny", tmp_path, exports)
    try:
        with fault.plant(healthy, fault.limit) as planted:
            assert not isinstance(planted, Slowed)
            found = {c.check.name: c.run().verdict for c in plan([planted], [*expected]).cases}
    except MissingPackageError as error:
        pytest.skip(str(error))
    assert found == expected, f"{fault.summary} {fault.imitates}"


@pytest.mark.timed
@pytest.mark.parametrize("fault", TIMED, ids=lambda fault: fault.name)
def test_what_only_a_clock_sees_is_seen(
    fault: Fault, settings: Settings, exports: Path, tmp_path: Path
) -> None:
    with fault.plant(Healthy(settings, "ultra_tiny", tmp_path, exports), fault.limit) as planted:
        assert isinstance(planted, Slowed)
        found = planted.judge()
    assert found.verdict is Verdict.FAIL, f"{fault.summary} {fault.imitates}: {found}"


@pytest.mark.parametrize("fault", TIMED, ids=lambda fault: fault.name)
def test_what_only_a_clock_sees_changes_one_module_of_the_head(
    fault: Fault, settings: Settings, exports: Path, tmp_path: Path
) -> None:
    """There is something to measure, with a clock or without."""
    with fault.plant(Healthy(settings, "ultra_tiny", tmp_path, exports), fault.limit) as planted:
        assert isinstance(planted, Slowed)
        base, head = planted.base.packages, planted.head.packages
        assert base is not None
        assert head is not None
        compared = {
            path.relative_to(base): (
                path.read_bytes(),
                (head / path.relative_to(base)).read_bytes(),
            )
            for path in base.rglob("*.py")
        }
    changed = {name: after for name, (before, after) in compared.items() if before != after}
    assert len(compared) > 100
    ((name, source),) = changed.items()
    compile(source, str(name), "exec")


def test_a_change_of_source_that_no_longer_fits_is_an_error(
    settings: Settings, exports: Path, tmp_path: Path
) -> None:
    healthy = Healthy(settings, "ultra_tiny", tmp_path, exports)
    with pytest.raises(WorkerError, match=r"eager\.py: nothing to change is found in it"):
        slowed(healthy, "eager/fp32/cpu/batch1", {"runtimes/eager.py": lambda source: source})


def test_for_every_check_there_is_a_fault() -> None:
    caught = {check for fault in all_faults() for check in fault.caught_by}
    assert caught == {check.name for check in all_checks()} | {THROUGHPUT}


def test_every_concern_has_faults_and_there_are_more_than_sixty() -> None:
    assert {fault.concern for fault in all_faults()} == set(CONCERNS)
    assert len(all_faults()) > 60
