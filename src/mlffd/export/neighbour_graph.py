"""The neighbour list as tensor operations, for formats that find it themselves."""

from torch import Tensor, nn, stack, zeros_like
from torch.export import Dim, ExportedProgram, export

from mlffd.export.graph import example_for, trace
from mlffd.students import Student


def molecule_inputs(
    numbers: Tensor, positions: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What a student's graph takes, from one molecule, not periodic.

    Every pair is measured: time and memory grow with the square of the number of atoms. Distances
    are compared in float64, as `find_neighbours` does, and in the same order. A position that is
    not a number makes the atom everybody's neighbour: a plausible energy of the other atoms would
    hide it.

    Nothing here depends on the device or the size at the time of tracing.

    Args:
        numbers: atomic numbers, int64 ``[N]``.
        positions: Å, ``[N, 3]``.
        cutoff: Å.

    Returns:
        The arrays of a batch in the order of `mlffd.export.graph.INPUTS`.
    """
    exact = positions.double()
    squared = ((exact[None, :] - exact[:, None]) ** 2).sum(dim=2)
    order = zeros_like(numbers).add(1).cumsum(0)
    others = order[:, None] != order[None, :]
    pairs = (others & ~(squared >= cutoff * cutoff)).nonzero()
    # Row by row, so sorted: the first column is the destination.
    destination, source = pairs[:, 0], pairs[:, 1]
    edge_index = stack([source, destination])
    shifts = zeros_like(positions[source])
    structure_index = zeros_like(numbers)
    atom_counts = order[-1:]
    return numbers, positions, edge_index, shifts, structure_index, atom_counts


def exported_molecule_program(student: Student) -> ExportedProgram:
    """What takes atomic numbers and positions of one molecule, as a `torch.export` program.

    Its outputs are energy, ``[1]``, and forces; see `mlffd.export.graph.trace` for the student.
    """
    atoms = Dim("atoms", min=1)
    example = example_for(student)
    first = int(example.atom_counts[0])
    return export(
        _Molecule(student),
        (example.numbers[:first], example.positions[:first]),
        dynamic_shapes={"numbers": {0: atoms}, "positions": {0: atoms}},
    )


class _Molecule(nn.Module):
    def __init__(self, student: Student) -> None:
        super().__init__()
        self.traced = trace(student)
        self.cutoff = student.cutoff

    def forward(self, numbers: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        energy, forces, *_ = self.traced(*molecule_inputs(numbers, positions, self.cutoff))
        return energy, forces
