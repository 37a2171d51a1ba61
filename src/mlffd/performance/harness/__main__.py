"""Starts a worker in another revision's Python: ``python -P .../harness ROOT [EXPORTS]``.

The folder that this package is in must not be on the path, for it has modules that are called like
those of the standard library, and `mlffd` must be the measured one: so the package is loaded from
its folder, by name.
"""

import importlib.util
import sys
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).parent
    spec = importlib.util.spec_from_file_location("harness", folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["harness"] = package
    spec.loader.exec_module(package)
    from harness.serve import main  # type: ignore[import-not-found]

    main()
