"""A check that was never seen to fail proves nothing."""

import test_artifact_faults
import test_data_faults
import test_other_faults
import test_physics_faults
import test_precision_faults
import test_speed_faults

from mlffd.checks.registry import all_checks


def test_for_every_check_a_fault_is_planted() -> None:
    modules = (
        *(test_physics_faults, test_other_faults, test_data_faults, test_artifact_faults),
        test_precision_faults,
        test_speed_faults,
    )
    tests = [test for module in modules for test in vars(module).values()]
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", ())]
    caught = {mark.args[0] for mark in marks if mark.name == "catches"}
    assert caught == {check.name for check in all_checks()}
