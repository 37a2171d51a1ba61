"""Find the one state dict in what a checkpoint file holds, and give its keys their plain names.

What is found in the wild: a state dict by itself, or under ``model_state_dict``, ``state_dict``
(also Lightning's), ``model`` or ``ema``; its keys behind ``model.`` (a wrapping module),
``module.`` (DataParallel, AveragedModel) or ``_orig_mod.`` (torch.compile), or several of them.
Whatever is changed is reported; what can be read in two ways is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mlffd.checkpoints.fingerprint import fingerprint
from mlffd.checkpoints.plain import require_plain, shown, shown_list
from mlffd.errors import InputError

#: Keys under which a state dict is looked for.
STATE_KEYS = ("model_state_dict", "state_dict", "model", "ema")
#: Dicts under these keys are no state dicts, whatever is in them.
NO_STATE_KEYS = ("config", "training")
PREFIXES = ("model.", "module.", "_orig_mod.")
#: The largest students have a hundred or so.
MOST_TENSORS = 10_000


@dataclass(frozen=True, eq=False)
class StateDict:
    """The weights of a file under their plain names.

    Attributes:
        weights: tensors by name; nothing about them has been checked but that they are tensors.
        config: the file's own, plain scalars by name; None if it has none.
        metadata: everything else at the top of the file, unchecked.
        layout: "plain", "lightning", or the key under which the weights were.
        notes: one sentence for each thing that was normalised.
    """

    weights: dict[str, Tensor]
    config: dict[str, object] | None
    metadata: dict[str, object]
    layout: str
    notes: tuple[str, ...]


def find_state_dict(loaded: object, where: str, *, weights: str | None = None) -> StateDict:
    """Find the weights in a loaded file.

    Args:
        loaded: what `read_torch_file` returned.
        where: the file, for messages.
        weights: the key to take, where the file has several state dicts.

    Raises:
        InputError: there are none, or several different ones and ``weights`` does not choose, or
            their keys cannot be given plain names in one way.
    """
    if not isinstance(loaded, dict):
        kind = "nothing (None)" if loaded is None else f"a {type(loaded).__name__}"
        raise InputError(f"{where}: holds {kind}, expected a dict of tensors by name")
    if not loaded:
        raise InputError(f"{where}: holds an empty dict, expected weights")
    if bad := [key for key in loaded if type(key) is not str]:
        raise InputError(f"{where}: a key is {shown(bad[0])}, expected texts as keys")
    notes: list[str] = []
    key = _choose(loaded, where, weights, notes)
    if key is None:
        layout, raw = "plain", loaded
        metadata: dict[str, object] = {}
    else:
        layout, raw = key, loaded[key]
        metadata = {name: value for name, value in loaded.items() if name != key}
        if key == "state_dict" and "pytorch-lightning_version" in loaded:
            layout = "lightning"
        notes.append(f"weights taken from {key!r}")
    config = metadata.pop("config", None)
    if config is not None:
        require_plain(config, f"{where}: config")
        if not isinstance(config, dict):
            raise InputError(f"{where}: config is a {type(config).__name__}, expected a dict")
    return StateDict(_canonical(raw, where, notes), config, metadata, layout, tuple(notes))


def _choose(loaded: dict[str, Any], where: str, wanted: str | None, notes: list[str]) -> str | None:
    """The key of the state dict; None: the file is one itself."""
    # Under another name, a dict of nothing but tensors may be weights too: it counts as a rival.
    # Without any tensor, ``model`` may be settings; it is taken (and refused) only if alone.
    dicts = {
        key: value
        for key, value in loaded.items()
        if isinstance(value, dict) and key not in NO_STATE_KEYS
    }
    found = [
        key
        for key, value in dicts.items()
        if _only_tensors(value) or (key in STATE_KEYS and _any_tensor(value))
    ] or [key for key in STATE_KEYS if key in dicts]
    if wanted is not None:
        if wanted not in found:
            raise InputError(
                f"{where}: no weights under {shown(wanted)}; found: {shown_list(found) or 'none'}"
            )
        return wanted
    known = [key for key in STATE_KEYS if key in found]
    loose = [key for key, value in loaded.items() if isinstance(value, Tensor)]
    if not found and not loose:
        raise InputError(
            f"{where}: no weights, found {shown_list(list(loaded))}; expected tensors by name, or"
            f" a dict of them under one of: {', '.join(STATE_KEYS)}"
        )
    if not found:
        return None
    # A loss or a random state may lie beside the state dict; dotted names are weights.
    rivals = found + [key for key in loose if "." in key]
    if not known or (len(rivals) > 1 and not _all_equal(loaded, found, rivals, where)):
        raise InputError(
            f"{where}: cannot tell which are the weights: found {shown_list(rivals)};"
            " choose one by name"
        )
    if len(found) > 1:
        notes.append(f"{shown_list(found)} hold the same weights")
    return known[0]


def _only_tensors(value: dict[object, object]) -> bool:
    return bool(value) and all(
        type(key) is str and isinstance(item, Tensor) for key, item in value.items()
    )


def _any_tensor(value: dict[object, object]) -> bool:
    return any(isinstance(item, Tensor) for item in value.values())


def _all_equal(loaded: dict[str, Any], found: list[str], rivals: list[str], where: str) -> bool:
    """Whether all the state dicts have the same content once their keys are plain."""
    if rivals != found:
        return False
    try:
        return len({fingerprint(_canonical(loaded[key], where, [])) for key in found}) == 1
    except (InputError, TypeError):  # one of them is not weights
        return False


def _canonical(raw: Mapping[Any, Any], where: str, notes: list[str]) -> dict[str, Tensor]:
    """Tensors under plain names; what was changed is added to the notes."""
    if not raw:
        raise InputError(f"{where}: the state dict is empty, expected weights")
    if len(raw) > MOST_TENSORS:
        raise InputError(f"{where}: {len(raw)} weights, expected at most {MOST_TENSORS}")
    weights: dict[str, Tensor] = {}
    for key, value in raw.items():
        if type(key) is not str:
            raise InputError(f"{where}: a weight's name is {shown(key)}, expected a text")
        if not isinstance(value, Tensor):
            raise InputError(
                f"{where}: {shown(key)} in the state dict is a {type(value).__name__},"
                " expected a tensor"
            )
        weights[key] = value.detach()
    return _strip(_without_average_count(weights, where, notes), where, notes)


def _without_average_count(
    weights: dict[str, Tensor], where: str, notes: list[str]
) -> dict[str, Tensor]:
    """Drop the counter that torch.optim.swa_utils.AveragedModel keeps beside ``module.*``."""
    if "n_averaged" not in weights:
        return weights
    count = weights.pop("n_averaged")
    if count.dtype != torch.int64 or count.shape or count.device.type != "cpu" or not weights:
        raise InputError(f"{where}: 'n_averaged' is not AveragedModel's count, a 0-d int64 tensor")
    notes.append(f"the weights are an average over {int(count)} models (AveragedModel)")
    return weights


def _strip(weights: dict[str, Tensor], where: str, notes: list[str]) -> dict[str, Tensor]:
    """Remove prefixes that all the names share, from the outermost inwards."""
    while True:
        starts = {prefix: [k for k in weights if k.startswith(prefix)] for prefix in PREFIXES}
        prefix, having = max(starts.items(), key=lambda item: len(item[1]))
        if not having:
            return weights
        without = [key for key in weights if not key.startswith(prefix)]
        if collisions := [key for key in having if key.removeprefix(prefix) in without]:
            plain = collisions[0].removeprefix(prefix)
            raise InputError(
                f"{where}: {shown(collisions[0])} and {shown(plain)} would both be {shown(plain)}"
            )
        if without:
            raise InputError(
                f"{where}: mixed prefixes: {shown(having[0])} starts with {prefix!r},"
                f" {shown(without[0])} does not"
            )
        weights = {key.removeprefix(prefix): value for key, value in weights.items()}
        notes.append(f"prefix {prefix!r} removed from all {len(weights)} names")
