"""A compiled student means what the student means, at any size, in any process and any thread."""

import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from aoti_samples import toy_student
from ase.build import bulk, molecule

from mlffd.errors import InputError
from mlffd.export.graph import inputs_of
from mlffd.export.manifest import read_manifest
from mlffd.runtimes import artifact
from mlffd.runtimes.aoti import AotiPotential
from mlffd.runtimes.eager import EagerPotential
from mlffd.runtimes.potential import collate_for
from mlffd.structures.structure import Structure


def gas(count: int) -> Structure:
    rng = np.random.default_rng(0)
    edge = int(np.ceil(count ** (1 / 3)))
    sites = np.array(list(np.ndindex(edge, edge, edge))[:count])
    return Structure(rng.choice([1, 6, 8], count), 2.0 * sites + rng.normal(0.0, 0.1, (count, 3)))


def skewed_cell() -> Structure:
    atoms = bulk("C", "diamond", a=3.567)
    atoms.rattle(0.05, seed=1)
    return Structure.from_atoms(atoms)


ATOM = Structure.from_atoms(molecule("O"))
WATER = Structure.from_atoms(molecule("H2O"))
ETHANOL = Structure.from_atoms(molecule("CH3CH2OH"))

BATCHES = {
    "one atom": [ATOM],
    "two atoms": [Structure.from_atoms(molecule("CO"))],
    "three atoms": [WATER],
    "187 atoms": [gas(187)],
    "1,000 atoms": [gas(1000)],
    "isolated atoms only": [ATOM, ATOM],
    "isolated atoms first, in the middle and last": [ATOM, WATER, ATOM, ETHANOL, ATOM],
    "many": [WATER, ETHANOL] * 8,
    "cells and molecules": [WATER, skewed_cell(), ATOM, skewed_cell()],
}


@pytest.fixture(scope="module")
def potential(package):
    return AotiPotential(package, read_manifest(package))


@pytest.fixture(scope="module")
def reference():
    return EagerPotential(toy_student())


def close(found, expected, atol):
    torch.testing.assert_close(found.double(), expected, rtol=0.0, atol=atol, equal_nan=True)


@pytest.mark.parametrize("case", BATCHES)
def test_it_gives_energies_forces_and_stress_of_the_student(potential, reference, case):
    structures = BATCHES[case]

    found = potential(collate_for(potential, structures), stress=True)

    expected = reference(collate_for(reference, structures), stress=True)
    counts = torch.tensor([len(structure) for structure in structures])
    assert found.energy.dtype == torch.float64
    assert found.forces.dtype == torch.float32
    close(found.energy / counts, expected.energy / counts, 1e-5)
    close(found.forces, expected.forces, 1e-4)
    close(found.stress, expected.stress, 1e-5)


def test_forces_and_stress_are_not_just_zero(potential):
    found = potential(collate_for(potential, [skewed_cell()]), stress=True)

    assert found.forces.abs().max() > 0.1
    assert found.stress.abs().max() > 0.01


def test_what_was_evaluated_before_does_not_matter(potential):
    small, large = (collate_for(potential, [structure]) for structure in (WATER, gas(187)))
    first = [potential(batch).forces for batch in (large, small)]

    again = [potential(batch).forces for batch in (large, small)]

    assert all(map(torch.equal, again, first))


def test_two_threads_at_once_get_what_one_gets(potential):
    batches = [collate_for(potential, [structure]) for structure in (WATER, gas(187))]
    alone = [potential(batch).forces for batch in batches]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda i: potential(batches[i % 2]).forces, range(40)))

    assert all(torch.equal(forces, alone[i % 2]) for i, forces in enumerate(found))


def test_inputs_need_not_be_contiguous(potential):
    """Compiled code takes neighbours that are transposed in memory for other neighbours."""
    inputs = list(inputs_of(collate_for(potential, [ETHANOL])))
    expected = potential.run(inputs)
    inputs[2] = inputs[2].t().contiguous().t()

    assert not inputs[2].is_contiguous()
    assert all(map(torch.equal, potential.run(inputs), expected))


def test_positions_in_another_dtype_are_refused(potential, reference):
    with pytest.raises(
        InputError, match=r"toy-aoti-fp32\.pt2: inputs .*float64.*expected.*float32"
    ):
        potential(collate_for(reference, [WATER]))


def test_the_cpu_is_the_only_device(package, monkeypatch):
    monkeypatch.setattr(artifact, "available_device", torch.device)

    with pytest.raises(InputError, match=r"toy-aoti-fp32\.pt2: compiled for the CPU, not for cuda"):
        AotiPotential(package, read_manifest(package), device="cuda")


@pytest.mark.parametrize("damage", ["cut off", "something else"])
def test_what_is_no_package_is_refused(package, tmp_path, damage):
    path = tmp_path / "damaged.pt2"
    path.write_bytes(package.read_bytes()[:-100] if damage == "cut off" else b"something else")

    with pytest.raises(InputError, match=r"damaged\.pt2: not an AOTInductor package"):
        AotiPotential(path, read_manifest(package))


IN_A_NEW_PROCESS = """\
import sys
import torch
inputs, expected = torch.load(sys.argv[2])
package = torch._C._aoti.AOTIModelPackageLoader(sys.argv[1], "model", False, 1, -1)
for given, outputs in zip(inputs, expected):
    assert all(map(torch.equal, package.run(given), outputs))
given[2] = given[2].t().contiguous().t()
try:
    package.run(given)
except RuntimeError as error:
    assert "unmatched stride" in str(error), error
else:
    raise AssertionError("transposed neighbours were taken")
"""


def test_in_a_new_process_that_checks_inputs_it_is_the_same(potential, package, tmp_path):
    """Without mlffd. Only the strides of the last inputs are not as they should be."""
    inputs = [
        list(inputs_of(collate_for(potential, structures)))
        for structures in ([WATER], [ATOM, ETHANOL])
    ]
    saved = tmp_path / "expected.pt"
    torch.save((inputs, [list(map(copy.copy, potential.run(given))) for given in inputs]), saved)

    subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, package, saved],
        check=True,
        env={"AOTI_RUNTIME_CHECK_INPUTS": "1", "OMP_NUM_THREADS": "1"},
    )
