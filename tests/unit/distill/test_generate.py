"""Generated structures: what each split holds, no leaks, the same for the same seed."""

import numpy as np
import pytest

from mlffd.distill.generate import CELLS, PAIRS, TEMPERATURES, generate_structures, molecule_of
from mlffd.distill.molecules import load_molecules, parse_molecules
from mlffd.errors import InputError
from mlffd.structures.dataset import Dataset

FEW = parse_molecules(
    "O water train\nN ammonia train\nC methane train\n"
    "CO methanol test\nCN methylamine test\nC=O formaldehyde test",
    source="few.smi",
)


@pytest.fixture(scope="module")
def generated():
    """Structures of both splits; they take seconds, and tests only look at them."""
    for package in ("rdkit", "tblite"):
        pytest.importorskip(package, reason=f"structures are made with {package}")
    return {split: list(generate_structures(FEW, split, seed=0)) for split in ("train", "test")}


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_is_made_of_its_own_molecules(generated, split):
    own = {m.name for m in FEW if m.split == split}
    used = {
        part
        for structure in generated[split]
        if len(structure) > 1
        for part in molecule_of(structure).split("+")
    }
    assert used == own


def test_there_are_as_many_of_each_kind_as_planned(generated):
    names = [structure.name for structure in generated["test"]]
    assert sum("/pair-" in name for name in names) == PAIRS["test"]
    assert sum(structure.is_periodic for structure in generated["test"]) == CELLS["test"]
    assert sum("K-" in name for name in names) == 3 * len(TEMPERATURES["test"])
    assert len(set(names)) == len(names)


def test_thermal_structures_are_bonded_and_all_different(generated):
    water = [s for s in generated["train"] if molecule_of(s) == "water" and "K-" in s.name]
    lengths = [np.linalg.norm(s.positions[1] - s.positions[0]) for s in water]
    assert all(0.7 < length < 1.4 for length in lengths)
    assert len(set(np.round(lengths, 6))) == len(lengths)


def test_the_same_seed_gives_the_same_structures_whatever_came_before(generated):
    again = list(generate_structures(FEW, "test", seed=0))
    for first, second in zip(generated["test"], again, strict=True):
        assert first.name == second.name
        np.testing.assert_array_equal(first.positions, second.positions)


def test_a_smiles_that_is_none_is_named():
    pytest.importorskip("rdkit", reason="SMILES are read by rdkit")
    pytest.importorskip("tblite", reason="structures are relaxed with tblite")
    broken = parse_molecules("C1CC broken train", source="broken.smi")
    with pytest.raises(InputError, match="cannot read the SMILES 'C1CC'"):
        next(generate_structures(broken, "train", seed=0))


def test_the_committed_golden_set_holds_nothing_that_was_trained_on(root):
    unseen = {m.name for m in load_molecules() if m.split == "test"}
    with Dataset(root / "golden/datasets/golden.h5") as golden:
        structures = list(golden)
    used = {
        part
        for structure in structures
        if not structure.name.endswith("/atom")
        for part in molecule_of(structure).split("+")
    }
    assert used == unseen
    assert sum(structure.stress is not None for structure in structures) == CELLS["test"]
