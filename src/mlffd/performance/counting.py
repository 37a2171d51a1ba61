"""What a student costs, in counts: of a few calls, of its traced graph and of its weights."""

from collections import Counter

import torch
from torch._ops import OpOverload
from torch.fx import Node

from mlffd.export.graph import trace
from mlffd.performance.harness.counters import count, operators
from mlffd.performance.harness.workloads import prepare_potential
from mlffd.runtimes.eager import EagerPotential
from mlffd.students import Student

#: What is counted on: one molecule, several in a batch, and many neighbours.
SYSTEMS = ("batch1", "batch8", "atoms187")

#: Of one system is enough: how many operators there are does not depend on sizes.
_NAMED = "batch8"


def count_student(student: Student) -> dict[str, dict[str, int]]:
    """The counters of a student in eager float32 on the CPU, by what they are of.

    Args:
        student: stays as it is.

    Returns:
        Of each of `SYSTEMS`, what `mlffd.performance.harness.counters.count` returns, and the
        ``edges`` of its neighbour list; ``operators`` dispatched, by name; ``graph_nodes``: calls
        in the graph that exports are made from, by operator, none if it cannot be traced;
        ``weights``: how many trainable ``parameters``, and ``bytes`` of all weights and buffers.

    Raises:
        InputError: the student has no weights for one of the elements.
    """
    potential = EagerPotential(student, dtype=torch.float32)
    found: dict[str, dict[str, int]] = {}
    for name in SYSTEMS:
        ready = prepare_potential(potential, name)
        found[name] = {"edges": ready.edges, **count(ready.call)}
        if name == _NAMED:
            found["operators"] = operators(ready.call)
    weights = potential.student.state_dict().values()
    found["weights"] = {
        "parameters": student.parameter_count,
        "bytes": sum(tensor.nbytes for tensor in weights),
    }
    found["graph_nodes"] = _graph_nodes(potential.student)
    return found


def torch_release() -> str:
    """Of PyTorch, whatever it was built for."""
    return torch.__version__.partition("+")[0]


def _graph_nodes(student: Student) -> dict[str, int]:
    try:
        graph = trace(student).graph
    except Exception:  # whatever tracing runs into, it is a graph no more, and that is a change
        return {}
    calls = (node for node in graph.nodes if node.op == "call_function")
    return dict(sorted(Counter(map(_operator, calls)).items()))


def _operator(node: Node) -> str:
    """Its name; arithmetic with sizes is Python's."""
    target = node.target
    if isinstance(target, OpOverload | str):
        return str(target)
    return f"operator.{target.__name__}"
