"""Where one status, or one answer, becomes another: each limit of goldens from both sides."""

import json
from dataclasses import replace

import numpy as np
import pytest
from golden_samples import make_entry, make_golden, make_structures, perturbed, scaled
from pydantic import ValidationError

from mlffd.errors import InputError
from mlffd.golden.bootstrap import (
    ENOUGH,
    Units,
    figures,
    relative_change,
    resampling_units,
)
from mlffd.golden.compare import Status, compare_metrics
from mlffd.golden.coverage import measure_coverage
from mlffd.golden.metrics import METRICS, metric_records
from mlffd.golden.paired import pair
from mlffd.golden.proposals import StudentProposal, accept, read_proposals, write_proposals
from mlffd.golden.records import PredictionTolerance
from mlffd.golden.residuals import residuals
from mlffd.golden.store import read_student_record, to_text, write_student_record
from mlffd.structures.structure import Structure

STRUCTURES = make_structures(60)
BASELINE = perturbed(STRUCTURES, 0.1)
ENERGY = METRICS[0]


def statuses(candidate, structures=STRUCTURES, baseline=BASELINE, *, tolerance=0.1, allowed=0.0):
    """Of all metrics that are proportional to the errors."""
    found = compare_metrics(
        make_entry(structures, baseline, tolerance=tolerance).metrics,
        residuals(structures, baseline),
        residuals(structures, candidate),
        {metric.name: allowed for metric in METRICS},
    )
    return {c.status for c in found if c.metric != "forces_angle"}


@pytest.mark.parametrize(
    ("change", "allowed", "expected"),
    [
        (0.95e-6, 0.0, Status.PASS),
        (1.05e-6, 0.0, Status.REGRESSED),
        (-0.95e-6, 0.0, Status.PASS),
        (-1.05e-6, 0.0, Status.IMPROVED),
        (0.0199, 0.02, Status.PASS),
        (0.0201, 0.02, Status.REGRESSED),
        (1.05e-6, 0.5e-6, Status.REGRESSED),
        (0.95e-6, 0.5e-6, Status.PASS),
    ],
)
def test_rounding_is_a_millionth_and_what_is_allowed_is_no_regression(change, allowed, expected):
    candidate = scaled(STRUCTURES, BASELINE, 1.0 + change)
    assert statuses(candidate, allowed=allowed) == {expected}


@pytest.mark.parametrize(("share", "expected"), [(0.99, Status.UNDECIDED), (1.01, Status.PASS)])
def test_an_interval_within_the_tolerance_passes_and_a_wider_one_is_undecided(share, expected):
    candidate = perturbed(STRUCTURES, 0.1, seed=2)
    before, after = residuals(STRUCTURES, BASELINE), residuals(STRUCTURES, candidate)
    (change,) = (
        c.change
        for c in compare_metrics(metric_records(before), before, after)
        if c.metric == "forces_mae"
    )
    assert change.low < 0 < change.high
    found = compare_metrics(
        make_entry(STRUCTURES, BASELINE, tolerance=share * change.high).metrics, before, after
    )
    assert {c.status for c in found if c.metric == "forces_mae"} == {expected}
    allowed = {"forces_mae": 0.5 * change.high}
    tolerance = (share - 0.5) * change.high
    found = compare_metrics(
        make_entry(STRUCTURES, BASELINE, tolerance=tolerance).metrics, before, after, allowed
    )
    assert {c.status for c in found if c.metric == "forces_mae"} == {expected}


@pytest.mark.parametrize("factor", [1.01, 0.99])
@pytest.mark.parametrize("count", [ENOUGH - 1, ENOUGH])
def test_twenty_structures_are_enough_to_decide_and_nineteen_are_not(factor, count):
    some = STRUCTURES[:count]
    baseline = perturbed(some, 0.1)
    decided = {1.01: Status.REGRESSED, 0.99: Status.IMPROVED}[factor]
    found = statuses(scaled(some, baseline, factor), some, baseline)
    assert found == {decided if count == 20 else Status.UNDECIDED}


@pytest.mark.parametrize(("count", "known"), [(19, False), (20, True)])
def test_a_figure_has_an_interval_from_twenty_units(count, known):
    terms = np.stack([np.linspace(1.0, 2.0, 30), np.arange(30) < count], axis=1)
    units = Units("structures", np.arange(30), 30)
    (figure,) = figures([(ENERGY, terms * terms[:, 1:])], units)
    assert (figure.low is not None) is (figure.high is not None) is known
    assert figure.structures == count
    if known:
        assert figure.low < figure.value < figure.high


def test_structures_count_that_are_exactly_right():
    """Twenty with labels are enough, even if all but one have no error."""
    some = STRUCTURES[:ENOUGH]
    exact = scaled(some, perturbed(some, 0.1), 0.0)
    one_wrong = replace(exact, energy=exact.energy + np.eye(ENOUGH)[3])
    found = residuals(some, one_wrong)
    (figure,) = figures([(ENERGY, ENERGY.terms(found))], resampling_units(found))
    assert figure.low is not None
    assert figure.structures == ENOUGH
    far_worse = replace(exact, energy=exact.energy + 1.0, forces=exact.forces + 1.0)
    assert statuses(exact, some, far_worse) == {Status.IMPROVED}
    carbon = [replace(s, numbers=np.full(len(s), 6)) for s in some]
    before = residuals(carbon, exact)
    assert pair(before, before).by_element["C"] == (0.0, 0.0, 0.0)


def test_a_structure_without_directions_leaves_those_of_the_others():
    still = replace(STRUCTURES[0], forces=np.zeros_like(STRUCTURES[0].forces))
    some = [still, *STRUCTURES[1:]]
    found = residuals(some, BASELINE)
    compared = compare_metrics(metric_records(found), found, found)
    assert [c.metric for c in compared] == [metric.name for metric in METRICS]


@pytest.mark.parametrize(
    ("molecules", "of"), [(19, "structures"), (20, "molecules"), (40, "structures")]
)
def test_twenty_molecules_are_resampled_as_such_unless_each_is_one_structure(molecules, of):
    structures = make_structures(40)
    found = residuals(structures, perturbed(structures, 0.1))
    found = replace(found, molecules=np.arange(40) % molecules)
    units = resampling_units(found)
    assert units.of == of
    assert units.count == {"structures": 40, "molecules": molecules}[of]
    sums = units.sums(np.ones((40, 2)))
    assert sums.shape == (units.count, 2)
    assert sums.sum() == 80.0


def test_an_element_in_nineteen_structures_has_no_change_and_one_in_twenty_has():
    structures = [
        replace(s, numbers=np.full(len(s), 9 if i < 19 else 17 if i < 39 else 6))
        for i, s in enumerate(STRUCTURES)
    ]
    found = residuals(structures, BASELINE)
    changes = pair(found, found).by_element
    assert changes["F"] is None
    assert changes["Cl"] is not None
    assert changes["C"] is not None


def test_an_interval_holds_95_percent_of_the_resamples():
    """Of many Gaussian changes: 1.96 standard errors to either side."""
    changes = np.random.default_rng(0).normal(size=1000)
    before = np.ones((1000, 2))
    after = np.stack([1.0 + 0.1 * changes, np.ones(1000)], axis=1)
    change = relative_change(ENERGY, before, after)
    assert change.estimate == pytest.approx(0.1 * changes.mean())
    error = 0.1 * changes.std() / 1000**0.5
    assert change.low - change.estimate == pytest.approx(-1.96 * error, rel=0.07)
    assert change.high - change.estimate == pytest.approx(1.96 * error, rel=0.07)


@pytest.mark.parametrize(("factor", "accepted"), [(1.0, True), (1.0001, False)])
@pytest.mark.parametrize(("key", "limit"), [("energy_per_atom", 1e-6), ("forces", 1e-5)])
def test_more_than_rounding_can_be_is_no_tolerance(factor, accepted, key, limit):
    fields = {"energy_per_atom": 1e-9, "forces": 1e-8, "reason": "r"} | {key: factor * limit}
    if accepted:
        assert getattr(PredictionTolerance(**fields), key) == limit
    else:
        with pytest.raises(ValidationError, match="less than or equal"):
            PredictionTolerance(**fields)


def test_the_nearest_distance_is_that_of_the_nearest_image():
    """Along a skewed cell: with shifts the wrong way round another distance comes out."""
    cell = np.array([[4.0, 0.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 4.0]])
    positions = np.array([[0.1, 0.1, 0.1], [3.6, 0.1, 0.1]])
    crystal = Structure(np.array([6, 6]), positions, cell=cell, pbc=np.ones(3, bool))
    assert measure_coverage([crystal]).typical["nearest_distance"] == pytest.approx(0.5)


def test_nothing_but_zero_is_left_out_of_typical_sizes():
    atoms = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [1.0, 0, 0]]), energy=-2.0)
    assert measure_coverage([atoms]).typical == {
        "nearest_distance": pytest.approx(1.0),
        "energy_per_atom": 1.0,
    }
    still = replace(atoms, energy=0.0, forces=np.zeros((2, 3)))
    assert set(measure_coverage([still]).typical) == {"nearest_distance"}


def test_atoms_are_neighbours_within_three_angstrom():
    def apart(distance):
        positions = np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
        return measure_coverage([Structure(np.array([1, 1]), positions)]).typical

    assert apart(2.99) == {"nearest_distance": pytest.approx(2.99)}
    assert apart(3.01) == {}


@pytest.mark.parametrize(("share", "kept"), [(0.9, True), (1.1, False)])
@pytest.mark.parametrize("quantity", ["energy", "forces"])
def test_an_entry_of_another_machine_is_kept_while_its_predictions_hold(
    tmp_path, share, kept, quantity
):
    golden = make_golden(STRUCTURES, BASELINE, environment="cuda")
    write_student_record(tmp_path / "tiny.json", golden.record, golden.predictions)
    energy, forces = BASELINE.energy.copy(), BASELINE.forces.copy()
    if quantity == "energy":
        energy[4] += share * 1e-9 * len(STRUCTURES[4])
    else:
        forces[7, 1] -= share * 1e-8
    moved = replace(BASELINE, energy=energy, forces=forces)
    proposal = StudentProposal(make_golden(STRUCTURES, moved).record, moved)
    accept(proposal, tmp_path / "tiny.json", reason="another machine")
    environments = read_student_record(tmp_path / "tiny.json").record.environments
    assert set(environments) == ({"cpu", "cuda"} if kept else {"cpu"})


def test_predictions_of_many_atoms_are_proposed(tmp_path):
    proposal = StudentProposal(make_golden(STRUCTURES, BASELINE).record, BASELINE)
    write_proposals(tmp_path / "p.json", [proposal.as_dict()], expected=["tiny"])
    (found,) = read_proposals(tmp_path / "p.json")
    assert found.predictions.splits.tolist() == BASELINE.splits.tolist()
    assert BASELINE.splits[-1] == 180


@pytest.mark.parametrize("split", [-1, 2**63])
def test_splits_that_are_no_index_are_refused(tmp_path, split):
    written = json.loads(
        json.dumps(StudentProposal(make_golden(STRUCTURES, BASELINE).record, BASELINE).as_dict())
    )
    written["predictions"]["splits"][0] = split
    write_proposals(tmp_path / "p.json", [written], expected=["tiny"])
    with pytest.raises(InputError, match="splits"):
        read_proposals(tmp_path / "p.json")


def test_a_record_is_written_with_nested_values_two_spaces_deeper():
    lines = to_text(make_golden(STRUCTURES, BASELINE).record).splitlines()
    assert lines[0] == "{"
    assert lines[-1] == "}"
    assert lines[1].startswith('  "dataset": ')
    assert '  "environments": {' in lines
    assert '    "cpu": {' in lines
    assert any(line.startswith('        "forces_mae": {"direction"') for line in lines)


@pytest.mark.parametrize(("count", "told"), [(10, ""), (11, "; and 1 more"), (12, "; and 2 more")])
def test_ten_problems_of_a_file_are_told(tmp_path, count, told):
    document = {f"key{i:02}": 1 for i in range(count)} | json.loads(
        to_text(make_golden(STRUCTURES, BASELINE).record)
    )
    (tmp_path / "tiny.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as raised:
        read_student_record(tmp_path / "tiny.json")
    assert str(raised.value).count("key") == min(count, 10)
    assert str(raised.value).endswith(f"Extra inputs are not permitted{told}")
