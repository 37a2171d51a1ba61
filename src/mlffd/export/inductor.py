"""What PyTorch's compiler has to be told, so that it computes what it is given."""

from typing import Any

#: Of a concatenation, Inductor 2.13 stores the parts in the whole, and takes the memory of the
#: whole for something else when the whole has been read, though parts are read later. Gradients
#: read them: with three layers of revision 1 energies are exact, and forces wrong by eV/Å.
OPTIONS: dict[str, Any] = {"allow_buffer_reuse": False}
