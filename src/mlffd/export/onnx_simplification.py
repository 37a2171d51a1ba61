"""An ONNX graph as small as it can be without a change of what it computes.

The exporter writes sizes and constants out at every use, and where in PyTorch's source each node
comes from: ten times what the weights take.
"""

from typing import Any

from mlffd.errors import RefusedError
from mlffd.export.manifest import TensorSpec
from mlffd.optional import import_optional

#: An `onnx_ir.Model`; the package is an extra.
Model = Any

_SCATTERS = ("Scatter", "ScatterElements", "ScatterND")


def simplify(model: Model, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """Simplify a model in place, and name its sizes.

    Args:
        model: as the exporter writes it, without functions of its own.
        inputs: what it takes, in order.
        outputs: what it returns, in order.

    Raises:
        RefusedError: it scatters floating numbers.
    """
    passes = import_optional("onnx_ir.passes.common", extra="export")
    optimizer = import_optional("onnxscript.optimizer", extra="export")
    # Transposed weights are needed as they are and transposed: runtimes do that when they load.
    optimizer.fold_constants(
        model, should_fold=lambda node: False if node.op_type == "Transpose" else None
    )
    for step in (
        passes.IdentityEliminationPass(),
        passes.RemoveUnusedNodesPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.DeduplicateInitializersPass(),
    ):
        step(model)
    _share_sizes(model)
    for step in (
        passes.CommonSubexpressionEliminationPass(),
        passes.RemoveUnusedNodesPass(),
        passes.ShapeInferencePass(),
    ):
        step(model)
    refuse_scatters(model)
    passes.ClearMetadataAndDocStringPass()(model)
    _name_sizes(model, inputs, outputs)


def refuse_scatters(model: Model) -> None:
    """Refuse a model that scatters anything but integers.

    A scatter that adds races in onnxruntime (see `mlffd.export.segment_sums`), one that overwrites
    is what exporters get wrong, and a student needs neither.

    Args:
        model: with types.

    Raises:
        RefusedError: naming the nodes.
    """
    found = [
        f"{node.op_type} {node.name}"
        for node in model.graph.all_nodes()
        if node.op_type in _SCATTERS
        and not (node.inputs[0].dtype is not None and node.inputs[0].dtype.is_integer())
    ]
    if found:
        raise RefusedError(
            f"sums would be wrong in silence: {', '.join(found)} of floating numbers"
        )


def _share_sizes(model: Model) -> None:
    """Take the same sizes from one place, so that what follows from them is the same, too.

    The exporter knows by name which sizes are equal, and asks each tensor again nevertheless.
    """
    first: dict[tuple[str, ...], Any] = {}
    for node in model.graph:
        shape = node.inputs[0].shape if node.op_type == "Shape" else None
        if shape is None:
            continue
        start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", None)
        sizes = shape[start:end]
        if all(isinstance(size, int) or size.value is not None for size in sizes):
            names = tuple(str(size) for size in sizes)
            shared = first.setdefault(names, node.outputs[0])
            if shared is not node.outputs[0]:
                node.outputs[0].replace_all_uses_with(shared)


def _name_sizes(
    model: Model, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> None:
    """Give sizes of inputs and outputs the names of the manifest, and forget all others.

    The exporter's own are numbered symbols, which mean nothing outside of it.
    """
    ir = import_optional("onnx_ir", extra="export")
    graph = model.graph
    for node in graph.all_nodes():
        for value in node.outputs:
            if not value.is_graph_output():
                value.shape = value.type = None
    ends = zip((*graph.inputs, *graph.outputs), (*inputs, *outputs), strict=True)
    for value, spec in ends:
        assert value.name == spec.name
        value.shape = ir.Shape(spec.shape)
