"""Faults of labelled data: what students are trained on, and judged on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlffd.checkpoints import save_checkpoint
from mlffd.checks.subjects import DatasetSubject, StudentSubject
from mlffd.faults.catalogue import fault
from mlffd.faults.healthy import Healthy
from mlffd.faults.units import BOHR, HARTREE, KCAL_PER_MOL
from mlffd.structures.composition import composition, compositions
from mlffd.structures.structure import Structure

_HYDROGEN, _CHLORINE = 1, 17
_SCANNED = 6
_SEED = 0


def _each(healthy: Healthy, change: Callable[[Structure], Structure]) -> DatasetSubject:
    return healthy.dataset([change(structure) for structure in healthy.structures])


def _rescaled(structure: Structure, factors: dict[str, float]) -> Structure:
    """The structure with some of its labels in another unit."""
    changed: dict[str, Any] = {
        name: factor * getattr(structure, name)
        for name, factor in factors.items()
        if getattr(structure, name) is not None
    }
    return replace(structure, **changed)


def _scaled(healthy: Healthy, **factors: float) -> DatasetSubject:
    """Labels of every structure in another unit."""
    return _each(healthy, lambda structure: _rescaled(structure, factors))


@fault(caught_by=["dataset_coverage"])
def labels_in_hartree(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Energies are in Hartree.

    What most quantum chemistry programs print.
    """
    yield _scaled(healthy, energy=1 / HARTREE)


@fault(caught_by=["dataset_coverage"])
def labels_per_bohr(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Forces are in Hartree/Bohr.

    What most quantum chemistry programs print.
    """
    yield _scaled(healthy, forces=BOHR / HARTREE)


@fault(caught_by=["dataset_coverage", "dataset_valid"])
def labels_in_kilocalories(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Energies and forces are in kcal/mol and kcal/mol/Å.

    They belong together: only their size tells.
    """
    yield _scaled(healthy, energy=1 / KCAL_PER_MOL, forces=1 / KCAL_PER_MOL)


@fault(caught_by=["dataset_coverage"])
def positions_in_bohr(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Positions are in Bohr.

    Every distance is nearly twice as long.
    """

    def in_bohr(structure: Structure) -> Structure:
        cell = None if structure.cell is None else structure.cell / BOHR
        return replace(structure, positions=structure.positions / BOHR, cell=cell)

    yield _each(healthy, in_bohr)


def _with_scans(healthy: Healthy) -> list[Structure]:
    """The data set, and molecules with one atom pulled away in steps.

    Labels of neighbours on a path tell whether energies and forces belong together.
    """
    shipped = healthy.structures
    molecules = [s for s in shipped if 5 < len(s) < 15 and not s.is_periodic][:_SCANNED]
    points = []
    for molecule in molecules:
        outwards = molecule.positions[-1] - molecule.positions.mean(axis=0)
        outwards /= np.linalg.norm(outwards)
        for step in range(3, 7):
            positions = molecule.positions.copy()
            positions[-1] += 0.1 * step * outwards
            points.append(molecule.with_positions(positions, name=f"{molecule.name}-{step}"))
    return [*shipped, *healthy.labelled(points)]


@fault(caught_by=["labels_consistent"])
def gradients_instead_of_forces(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Forces have the other sign.

    Programs that optimize geometries print gradients.
    """
    yield healthy.dataset([_rescaled(s, {"forces": -1.0}) for s in _with_scans(healthy)])


@fault(caught_by=["labels_consistent"], sizes=[0.05, 0.1, 0.25], unit="relative", limit=0.25)
def forces_too_small(healthy: Healthy, size: float) -> Iterator[DatasetSubject]:
    """Forces are smaller than the energies say.

    A functional or a basis that is not the same for both, or forces that did not converge; not one
    of them looks odd.
    """
    smaller = [_rescaled(s, {"forces": 1 - size}) for s in _with_scans(healthy)]
    yield healthy.dataset(smaller)


@fault(caught_by=["labels_consistent", "energies_plausible"])
def energies_shuffled(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Energies are those of other structures.

    Two files that are read in different orders.
    """
    structures = _with_scans(healthy)
    order = np.random.default_rng(_SEED).permutation(len(structures))
    yield healthy.dataset(
        [replace(s, energy=structures[i].energy) for s, i in zip(structures, order, strict=True)]
    )


@fault(caught_by=["labels_consistent"])
def labels_shuffled_among_conformers(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Energies and forces are those of another conformer of the same molecule.

    Files of one molecule in an order that sorts 10 before 2: sizes and elements fit.
    """
    structures = _with_scans(healthy)
    alike: dict[bytes, list[int]] = {}
    for index, structure in enumerate(structures):
        alike.setdefault(structure.numbers.tobytes() + structure.pbc.tobytes(), []).append(index)
    rng = np.random.default_rng(_SEED)
    shuffled = list(structures)
    for indices in alike.values():
        for index, source in zip(indices, rng.permutation(indices), strict=True):
            labels = structures[source].energy, structures[source].forces
            shuffled[index] = replace(structures[index], energy=labels[0], forces=labels[1])
    yield healthy.dataset(shuffled)


@fault(caught_by=["energies_plausible"])
def one_energy_in_hartree(healthy: Healthy) -> Iterator[DatasetSubject]:
    """The energy of one structure is in another unit.

    A failed calculation that was repeated by hand.
    """
    structures = list(healthy.structures)
    index = next(i for i, s in enumerate(structures) if 5 < len(s) < 15 and not s.is_periodic)
    structures[index] = _rescaled(structures[index], {"energy": 1 / HARTREE})
    yield healthy.dataset(structures)


@fault(caught_by=["dataset_coverage"])
def hydrogens_lost(healthy: Healthy) -> Iterator[DatasetSubject]:
    """No structure has a hydrogen.

    A reader of molecules that leaves hydrogens implicit; two students of the team that this project
    was made for were trained on what was left.
    """
    heavy: dict[object, Structure] = {}
    for structure in healthy.structures:
        kept = structure.numbers != _HYDROGEN
        left = Structure(structure.numbers[kept], structure.positions[kept], name=structure.name)
        if len(left) > 1:  # the same skeletons would be duplicates
            heavy.setdefault(composition(left), left)
    yield healthy.dataset(healthy.labelled(heavy.values()))


@fault(caught_by=["dataset_coverage"])
def one_element_thinned(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Most structures with chlorine are gone.

    A filter that a few heavy elements do not pass, for a basis set that lacks them.
    """
    chlorinated = [s for s in healthy.structures if _CHLORINE in s.numbers]
    gone = {id(s) for s in chlorinated[2:]}
    yield healthy.dataset([s for s in healthy.structures if id(s) not in gone])


@fault(caught_by=["dataset_valid"])
def structures_twice(healthy: Healthy) -> Iterator[DatasetSubject]:
    """Some structures are there twice.

    A file that was merged with itself.
    """
    again = [replace(s, name=f"{s.name} again") for s in healthy.structures[:5]]
    yield healthy.dataset([*healthy.structures, *again])


@fault(caught_by=["dataset_valid"])
def one_force_is_not_a_number(healthy: Healthy) -> Iterator[DatasetSubject]:
    """One force is NaN.

    A calculation that did not converge, and was stored all the same.
    """
    poisoned = healthy.structures[3]
    assert poisoned.forces is not None
    forces = poisoned.forces.copy()
    forces[0, 0] = np.nan
    changed = replace(poisoned, forces=forces)
    yield healthy.dataset([*healthy.structures[:3], changed, *healthy.structures[4:]])


@fault(caught_by=["dataset_valid"])
def never_labelled(healthy: Healthy) -> Iterator[DatasetSubject]:
    """There are structures, and no labels.

    A step of the pipeline that was skipped without an error.
    """
    yield _each(healthy, lambda structure: structure.with_positions(structure.positions))


@fault(caught_by=["unseen_molecules"])
def molecule_in_training_and_test(healthy: Healthy) -> Iterator[StudentSubject]:
    """A molecule that the student is judged on was in its training set.

    Data that are split by structure, so that conformers of one molecule are on both sides; here
    under another name, turned around and with its atoms in another order.
    """
    copied = next(s for s in healthy.structures if len(s) > 10)
    leaked = Structure(copied.numbers[::-1], copied.positions[::-1] + 3.0, name="quite another")
    tested = {composition(s) for s in healthy.structures}
    shorn = [s for s in map(_without_one_hydrogen, healthy.structures) if s is not None]
    train = [*(s for s in shorn if composition(s) not in tested), leaked]
    path = healthy.path(".pt")
    save_checkpoint(
        path,
        healthy.checkpoint.student(),
        elements=sorted(healthy.checkpoint.elements or ()),
        training={"data": {"train": {"compositions": compositions(train)}}},
    )
    yield healthy.student(path)


def _without_one_hydrogen(structure: Structure) -> Structure | None:
    if _HYDROGEN not in structure.numbers or len(structure) < 3:
        return None
    kept = np.arange(len(structure)) != np.flatnonzero(structure.numbers == _HYDROGEN)[0]
    return Structure(numbers=structure.numbers[kept], positions=structure.positions[kept])
