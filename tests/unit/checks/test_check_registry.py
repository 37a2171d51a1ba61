import inspect

import pytest

from mlffd import pytest_plugin
from mlffd.checks.evidence import Criterion, judge
from mlffd.checks.registry import CONCERNS, all_checks, check
from mlffd.checks.subjects import ArtifactSubject, DatasetSubject, StudentSubject

#: Public: these names are in JSON, reports and settings of other projects.
NAMES = {
    "loading": ("loads", "finite_weights", "parameter_count"),
    "golden": ("matches_golden", "accuracy", "unseen_molecules"),
    "physics": (
        "forces_are_gradient",
        "rotation_equivariance",
        "translation_invariance",
        "permutation_invariance",
        "net_force_and_torque",
        "size_consistency",
        "batch_invariance",
        "smooth_at_cutoff",
        "periodic_images",
        "stress_is_strain_derivative",
        "zero_vector_safety",
        "isolated_atoms",
        "element_coverage",
        "nve_conservation",
    ),
    "exports": (
        "artifact_loads",
        "artifact_matches",
        "artifact_dynamic_shapes",
        "precision_budget",
        "precision_budget",
    ),
    "data": ("dataset_valid", "dataset_coverage", "labels_consistent", "energies_plausible"),
    "speed": ("counters",),
}


def test_exactly_the_promised_checks_are_registered():
    found = {concern: set() for concern in CONCERNS}
    for one in all_checks():
        found[one.concern].add(one.name)

    assert found == {concern: set(names) for concern, names in NAMES.items()}


def test_checks_come_by_concern():
    concerns = [one.concern for one in all_checks()]

    assert concerns == sorted(concerns, key=CONCERNS.index)


@pytest.mark.parametrize("one", all_checks(), ids=lambda c: c.name)
def test_every_check_says_what_it_measures_and_what_a_failure_means(one):
    first = (one.function.__doc__ or "").partition("\n")[0]

    assert first.endswith(".")
    assert one.meaning.startswith("If this fails, it probably means")
    assert one.function.__name__ == f"check_{one.name}"
    kinds = {"data": DatasetSubject, "exports": ArtifactSubject}
    assert issubclass(kinds.get(one.concern, StudentSubject), one.kind)
    assert len(inspect.signature(one.function).parameters) == 1


def test_pytest_has_a_marker_for_every_concern():
    """The plugin repeats them: importing the checks would slow down everybody's pytest."""
    assert pytest_plugin._CONCERNS == CONCERNS


def well(subject):
    """All is well.

    If this fails, it probably means that somebody changed it.
    """
    return judge([Criterion("x", 0, 1)], "well")


def silent(subject):
    """All is well."""
    return judge([Criterion("x", 0, 1)], "well")


def test_a_check_is_registered_and_remains_a_function(empty_registry):
    assert check("well", concern="physics", kind=StudentSubject)(well) is well

    (one,) = all_checks()
    assert (one.name, one.function, one.unless(None)) == ("well", well, None)


def test_a_check_that_does_not_explain_its_failure_is_refused(empty_registry):
    for function in (silent, lambda subject: None):
        with pytest.raises(ValueError, match="'x' does not say what a failure probably means"):
            check("x", concern="physics", kind=StudentSubject)(function)
    assert all_checks() == ()


def test_a_name_is_taken_once(empty_registry):
    check("well", concern="physics", kind=StudentSubject)(well)

    with pytest.raises(ValueError, match="'well' is registered twice"):
        check("well", concern="golden", kind=StudentSubject)(well)


def test_an_unknown_concern_is_refused():
    with pytest.raises(ValueError, match="concern 'beauty', expected one of"):
        check("well", concern="beauty", kind=StudentSubject)
