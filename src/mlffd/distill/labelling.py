"""A labelled data set from one without labels."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from mlffd.distill.labels import Chunk, write_labels
from mlffd.distill.outliers import believable
from mlffd.distill.parts import read_part
from mlffd.distill.teacher import describe_teacher
from mlffd.distill.work import remove_parts, run_units
from mlffd.environment import command_line
from mlffd.errors import InputError
from mlffd.files import require_writable
from mlffd.structures.dataset import Dataset, write_dataset
from mlffd.structures.hdf5_schema import IntArray, Metadata
from mlffd.structures.structure import Structure

#: Structures and atoms that one process labels before it writes them down.
CHUNK_STRUCTURES = 16
CHUNK_ATOMS = 320

#: Characters of the metadata that name what was left out: HDF5 holds 64 KiB.
LONGEST_LIST = 20_000


@dataclass(frozen=True)
class Labelled:
    """What `label_dataset` wrote.

    Attributes:
        written: structures with labels.
        failures: name and reason, of those that were left out.
    """

    written: int
    failures: list[tuple[str, str]]

    @property
    def reasons(self) -> Counter[str]:
        """How many were left out by kind of reason: what comes before the colon."""
        return Counter(reason.partition(":")[0] for _, reason in self.failures)


def label_dataset(
    source: Path,
    target: Path,
    *,
    teacher: str,
    jobs: int | None = None,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> Labelled:
    """Label a data set and write it; killed at any moment, the same call goes on.

    The same structures and teacher give the same labels, whatever the number of processes, if the
    teacher is as deterministic on one thread. Structures without a label are left out, and those
    whose label is not to be believed: see `mlffd.distill.outliers`.

    Args:
        source: an HDF5 file.
        target: the HDF5 file to write.
        teacher: see `load_teacher`.
        jobs: processes; as many as there are cores if None.
        on_done: called with the chunks that are done, and how many there are.

    Raises:
        InputError: a file cannot be read or written, source and target are the same, the teacher
            is none, there is nothing to label or nothing was; or parts are there that were made
            otherwise.
    """
    require_writable(target, "target")
    if source.resolve() == target.resolve():
        raise InputError(f"{target}: is the source itself, expected another file to write to")
    described = describe_teacher(teacher)
    with Dataset(source) as dataset:
        if not len(dataset):
            raise InputError(f"{source}: no structures to label")
        settings: Metadata = {
            **described,
            "source_fingerprint": dataset.fingerprint,
            "mlffd": version("mlffd"),
        }
        chunks = _chunks(dataset.atom_counts)
        parts = run_units(
            write_labels,
            lambda index: Chunk(dataset[chunks[index]], teacher),
            len(chunks),
            target=target,
            settings={"command": "label", "units": len(chunks), **settings},
            jobs=jobs,
            on_done=lambda done: on_done(done, len(chunks)),
        )
        metadata = {**dataset.metadata, **settings, "label_command": command_line()}
    labelled: list[Structure] = []
    failures: list[tuple[str, str]] = []
    for part in map(read_part, parts):
        labelled += part.structures
        failures += part.failures
    believed, unbelieved = believable(labelled)
    done = Labelled(len(believed), [*failures, *unbelieved])
    if not believed:
        remove_parts(target)  # going on would only tell the same again
        name, reason = done.failures[0]
        raise InputError(f"{source}: no structure could be labelled; the first, {name!r}: {reason}")
    write_dataset(target, believed, metadata={**metadata, **_describe_failures(done)})
    remove_parts(target)
    return done


def _chunks(atom_counts: IntArray) -> list[slice]:
    """Consecutive structures; one that is larger than a chunk comes alone."""
    starts = [0]
    atoms = 0
    for index, count in enumerate(atom_counts.tolist()):
        full = index - starts[-1] == CHUNK_STRUCTURES or atoms + count > CHUNK_ATOMS
        if full and index > starts[-1]:
            starts.append(index)
            atoms = 0
        atoms += count
    return [slice(start, stop) for start, stop in pairwise([*starts, len(atom_counts)])]


def _describe_failures(done: Labelled) -> Metadata:
    """How many structures were left out, why, and which; of very many only the first are named."""
    listed = done.failures
    while len(text := json.dumps(listed)) > LONGEST_LIST:
        listed = listed[: len(listed) // 2]
    return {
        "left_out": len(done.failures),
        "left_out_reasons": json.dumps(dict(done.reasons.most_common(100))),
        "left_out_structures": text,
    }
