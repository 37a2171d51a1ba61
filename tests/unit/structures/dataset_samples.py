"""A small data set with everything in it: molecules, crystals, a slab, partial stress."""

from pathlib import Path

import h5py
import numpy as np

from mlffd.structures.structure import Structure


def make_structures(count=7, *, labelled=True, seed=0):
    """Well-behaved structures of 2 to 6 atoms; every third is a crystal with stress."""
    generator = np.random.default_rng(seed)
    made = []
    for index in range(count):
        atoms = 2 + index % 5
        # On a grid with some noise, so that atoms keep their distance.
        grid = np.stack(np.unravel_index(np.arange(atoms), (2, 2, 2)), axis=1) * 1.5
        forces = generator.normal(size=(atoms, 3))
        stress = generator.normal(size=(3, 3))
        is_crystal = index % 3 == 2
        made.append(
            Structure(
                numbers=generator.choice([1, 6, 8], size=atoms),
                positions=grid + generator.uniform(-0.2, 0.2, size=(atoms, 3)),
                cell=generator.normal(size=(3, 3)) * 0.1 + 5 * np.eye(3) if is_crystal else None,
                pbc=[is_crystal] * 3,
                energy=float(generator.normal()) if labelled else None,
                forces=forces - forces.mean(axis=0) if labelled else None,
                stress=stress + stress.T if labelled and is_crystal else None,
                name=f"molecule-{index}",
            )
        )
    return made


def assert_same_structures(found, expected, *, atol=0.0):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        for key in ("numbers", "positions", "cell", "pbc", "energy", "forces", "stress"):
            mine, theirs = getattr(a, key), getattr(b, key)
            assert (mine is None) == (theirs is None), key
            if theirs is not None:
                np.testing.assert_allclose(mine, theirs, atol=atol, rtol=0, err_msg=key)
        assert a.name == b.name


def replace_column(path: Path, key: str, values) -> None:
    """Plant other content, whatever its shape and type."""
    with h5py.File(path, "r+") as file:
        if key in file:
            del file[key]
        if values is not None:
            file[key] = values


def edit_column(path: Path, key: str, index, value) -> None:
    """Plant one other value."""
    with h5py.File(path, "r+") as file:
        column = file[key][()]
        column[index] = value
        file[key][...] = column
