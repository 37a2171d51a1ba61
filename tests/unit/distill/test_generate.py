"""Generated structures: the plan, names that say what was done, the same for the same seed."""

from collections import Counter

import numpy as np
import pytest

from mlffd.distill.alone import LARGE_TEMPERATURES, TEMPERATURES
from mlffd.distill.generate import POOL, Unit, generate_dataset, make, units_of
from mlffd.distill.molecules import Molecule, parse_molecules
from mlffd.distill.work import parts_folder
from mlffd.errors import InputError
from mlffd.structures.dataset import Dataset
from mlffd.structures.naming import kind_of, molecules_of, temperature_of
from mlffd.structures.structure import Structure

FEW = parse_molecules(
    "CCO ethanol alcohol\nCF fluoromethane fluoro\nCC(=O)NC amide carbonyl\n"
    "NCC(=O)NCC(=O)NCC(=O)O triglycine large",
    source="few.smi",
)
NITROGEN = Molecule("N#N", "nitrogen", "small-inorganic")


def many(count: int) -> list[Molecule]:
    return [Molecule("C", f"m{number}", "x") for number in range(count)]


@pytest.fixture(scope="module")
def packages() -> None:
    for package in ("rdkit", "tblite"):
        pytest.importorskip(package, reason=f"structures are made with {package}")


@pytest.fixture(scope="module")
def generated(packages, tmp_path_factory) -> list[Structure]:
    """All that is made of a few molecules; takes seconds, and tests only look at it."""
    target = tmp_path_factory.mktemp("generated") / "few.h5"
    generate_dataset(FEW, target, seed=0, jobs=2)
    with Dataset(target) as dataset:
        return list(dataset)


def of(structures: list[Structure], molecule: str) -> list[Structure]:
    return [s for s in structures if molecules_of(s) == (molecule,) and not s.is_periodic]


def test_units_are_molecules_then_pools_of_each_once():
    molecules = [*many(9), Molecule("C", "big", "large")]
    units = units_of(molecules, seed=0)
    assert [unit.molecules[0] for unit in units if unit.kind == "molecule"] == molecules
    pools = [unit.molecules for unit in units if unit.kind == "pool"]
    assert [len(pool) for pool in pools] == [POOL, POOL, 1]
    assert {m.name for pool in pools for m in pool} == {m.name for m in many(9)}
    assert [unit.kind for unit in units] == ["molecule"] * 10 + ["pool"] * 3


def test_another_seed_makes_other_pools():
    first, again, other = (
        [unit.molecules for unit in units_of(many(20), seed) if unit.kind == "pool"]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_what_is_random_in_a_unit_depends_on_the_unit_and_the_seed_only():
    first, second = many(2)
    units = [
        Unit("molecule", (first,), 0),
        Unit("molecule", (second,), 0),
        Unit("pool", (first,), 0),
        Unit("molecule", (first,), 1),
    ]
    assert len({unit.rng().integers(2**60) for unit in units}) == 4
    assert units[0].rng().random() == Unit("molecule", (first,), 0).rng().random()


def test_there_are_as_many_thermal_structures_of_each_temperature_as_planned(generated):
    found = Counter(temperature_of(s) for s in of(generated, "amide") if kind_of(s) == "thermal")
    assert found == TEMPERATURES
    found = Counter(temperature_of(s) for s in of(generated, "triglycine"))
    assert found == LARGE_TEMPERATURES


def test_small_molecules_get_twice_as_many(generated):
    found = Counter(
        temperature_of(s) for s in of(generated, "fluoromethane") if kind_of(s) == "thermal"
    )
    assert found == {temperature: 2 * count for temperature, count in TEMPERATURES.items()}


def test_every_usual_molecule_has_a_cold_and_a_rattled_structure(generated):
    for molecule in FEW[:3]:
        kinds = {kind_of(s) for s in of(generated, molecule.name)}
        assert {"thermal", "rattle"} < kinds
        assert kinds & {"min", "relaxed"}


def test_there_is_an_atom_of_every_element_that_occurs_and_of_no_other(generated):
    atoms = [s for s in generated if kind_of(s) == "atom"]
    assert [s.name for s in atoms] == [f"{symbol}/atom" for symbol in ("H", "C", "N", "O", "F")]
    assert all(len(s) == 1 for s in atoms)


def test_no_name_and_no_structure_comes_twice(generated):
    names = [s.name for s in generated]
    assert len(set(names)) == len(names)
    positions = {s.positions.tobytes() for s in generated if len(s) > 1}
    assert len(positions) == sum(len(s) > 1 for s in generated)


def test_structures_are_finite_and_without_labels(generated):
    assert all(np.isfinite(s.positions).all() for s in generated)
    assert all(s.energy is None and s.forces is None for s in generated)


def test_one_process_makes_the_same_as_two_and_a_unit_alone_the_same_as_with_others(
    packages, generated
):
    again = [s for unit in units_of(FEW[:1], seed=0) for s in make(unit) if unit.kind == "molecule"]
    before = of([s for s in generated if kind_of(s) not in ("pair", "cell")], "ethanol")
    alone = {s.name: s.positions for s in before}
    assert {s.name for s in again} <= set(alone)
    for structure in again:
        np.testing.assert_array_equal(structure.positions, alone[structure.name])


def test_it_goes_on_where_it_was_and_writes_the_same(packages, tmp_path):
    whole, resumed = tmp_path / "whole.h5", tmp_path / "resumed.h5"
    generate_dataset(FEW[:1], whole, seed=0, jobs=1)

    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise StopError

    with pytest.raises(StopError):
        generate_dataset(FEW[:1], resumed, seed=0, jobs=1, on_done=stop)
    assert parts_folder(resumed).is_dir()
    assert not resumed.exists()
    with pytest.raises(InputError, match="made with seed 0, not 1"):
        generate_dataset(FEW[:1], resumed, seed=1, jobs=1)
    done: list[int] = []
    generate_dataset(FEW[:1], resumed, seed=0, jobs=1, on_done=lambda n, _: done.append(n))
    assert done[0] >= 1  # the first was not made again
    assert not parts_folder(resumed).exists()
    with Dataset(whole) as first, Dataset(resumed) as second:
        assert first.fingerprint == second.fingerprint
        assert first.metadata["seed"] == 0


def test_a_bad_molecule_at_the_end_of_the_list_is_named_before_anything_is_made(packages, tmp_path):
    listed = [*FEW, Molecule("C1CC", "broken", "x")]
    with pytest.raises(InputError, match="broken: RDKit cannot read the SMILES 'C1CC'"):
        generate_dataset(listed, tmp_path / "broken.h5", seed=0, jobs=1)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(InputError, match=r"target: .*: a folder, expected a file to write"):
        generate_dataset(FEW, tmp_path, seed=0)
    with pytest.raises(InputError, match=r"target: .*absent.* does not exist"):
        generate_dataset(FEW, tmp_path / "absent" / "few.h5", seed=0)


def test_a_tiny_molecule_is_sampled_on_the_surface_of_the_teacher(packages):
    structures = make(Unit("molecule", (NITROGEN,), 0))
    cold = [s for s in structures if kind_of(s) == "relaxed"]
    assert len(cold) == 1
    assert np.linalg.norm(np.diff(cold[0].positions, axis=0)) == pytest.approx(1.1, abs=0.05)
