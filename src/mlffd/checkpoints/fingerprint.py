r"""A fingerprint of weights: equal exactly when every name, dtype, shape and bit is equal.

The SHA-256 is taken over these bytes, so that anybody can compute it in any language:

1. the 16 bytes ``mlffd weights 1`` and a newline;
2. for every tensor, in ascending order of the names' Unicode code points:
   the header's length in bytes (unsigned 64-bit little-endian), the header, the values' length in
   bytes (same form), the values.

The header is the ASCII JSON text ``["name","float32",[2,3]]`` (no spaces; other characters than
ASCII escaped as ``\uXXXX``). The values are in row-major order, each little-endian. Strides,
storage sharing, device and the order of the dict do not enter.
"""

import hashlib
import json
import struct
from collections.abc import Mapping

import numpy as np
from torch import Tensor

_PREAMBLE = b"mlffd weights 1\n"


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """``"sha256:"`` and 64 hexadecimal digits; see the module for the bytes that are hashed.

    Args:
        weights: dense tensors of any shape, in dtypes that numpy has.

    Raises:
        TypeError: a tensor has no values that could be read (meta, sparse, quantized, bfloat16).
    """
    digest = hashlib.sha256(_PREAMBLE)
    for name in sorted(weights):
        tensor = weights[name].detach()
        dtype = str(tensor.dtype).removeprefix("torch.")
        try:
            array = np.ascontiguousarray(tensor.resolve_conj().resolve_neg().cpu().numpy())
        except (TypeError, RuntimeError) as error:
            raise TypeError(f"{name}: no fingerprint of a {dtype} tensor: {error}") from error
        header = json.dumps([name, dtype, list(tensor.shape)], separators=(",", ":")).encode()
        # A no-op on little-endian machines.
        values = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(struct.pack("<Q", len(header)))
        digest.update(header)
        digest.update(struct.pack("<Q", values.nbytes))
        digest.update(values.reshape(-1).view(np.uint8).data)
    return f"sha256:{digest.hexdigest()}"
