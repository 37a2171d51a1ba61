"""What asv measures of a commit. Lower is better throughout: asv knows no other direction.

One module is one concern. Each class has a `version`, which is raised by hand when what it measures
changes: asv's own is a hash of source text, which does not see the class around a method.

The benchmarks and the harness that they import are of the checkout that holds this file; the
`mlffd` that they import, checkpoints and exported files are of the revision that is measured.
"""

import sys
from pathlib import Path

#: That measures.
CHECKOUT = Path(__file__).resolve().parents[2]

sys.path.append(str(CHECKOUT / "src" / "mlffd" / "performance"))
