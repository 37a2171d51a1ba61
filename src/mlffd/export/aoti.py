"""An AOTInductor package: a student compiled to machine code, which runs without Python.

What is compiled takes its inputs as they were laid out in the example that it was compiled with,
and looks at no strides: neighbours ``[2, E]`` that are transposed in memory are read as other
neighbours, and energies are wrong by 1e7 eV without a word. So the example and all inputs are
contiguous, and manifests say that they have to be. With ``AOTI_RUNTIME_CHECK_INPUTS=1`` in the
environment a package refuses what it was not compiled for; it then says so instead.

Loops run on one thread, so that sums have one order and nothing is added atomically; of a thread
pool only matrix products make use.
"""

import json
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

import torch
from torch._inductor import aoti_compile_and_package, config
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import CppCompileError, InvalidCxxCompiler
from torch._inductor.utils import fresh_cache

from mlffd.errors import InputError, MissingPackageError
from mlffd.export.formats import Written
from mlffd.export.graph import exported_program
from mlffd.export.inductor import OPTIONS
from mlffd.export.manifest import Manifest, TensorSpec
from mlffd.export.specs import input_specs, output_specs
from mlffd.students import Student

THREADS = 1

_CONFIG = {
    **OPTIONS,
    "cpp.threads": THREADS,
    # What it checks when asked to would else be sizes of two and more, but one works.
    "aot_inductor.check_lowerbound": False,
    # They are two thirds of the file.
    "aot_inductor.enable_line_tables": False,
}

#: Processors since 2013 (Intel) and 2015 (AMD). As fast as what is compiled for the one at hand.
_BASELINE = {
    "cpp.march": "x86-64-v3",
    "cpp.simdlen": 256,
    # It is known what to compile for: what else the processor could do need not be tried out.
    "cpp.vec_isa_ok": True,
}

_X86 = ("x86_64", "AMD64")
_EXAMPLE = Path(__file__).with_name("aoti_example.cpp")


def write(student: Student, path: Path) -> Written:
    """Compile a student that takes a batch and its neighbour list, for CPUs.

    It takes some 20 seconds, and twice as long where PyTorch has not compiled its headers yet,
    which it keeps in the folder for temporary files.

    Args:
        student: its weights are in the dtype to export; they no longer need gradients.
        path: of the file.

    Raises:
        MissingPackageError: there is no C++ compiler.
        InputError: the C++ compiler fails.
    """
    compiler = _compiler()
    chosen = _configuration()
    program = exported_program(student)
    with tempfile.TemporaryDirectory() as folder, _as_expected(folder):
        # The name of the file is written into it.
        package = Path(folder) / "student.pt2"
        try:
            aoti_compile_and_package(
                program, package_path=str(package), inductor_configs=dict(chosen)
            )
        except CppCompileError as error:
            raise InputError(f"{compiler} cannot compile a student: {_reason(error)}") from error
        shutil.move(package, path)
    return Written(
        inputs=_contiguous(input_specs(student)),
        outputs=output_specs(student),
        versions={"torch": torch.__version__, "compiler": compiler},
        options={"device": "cpu", "march": chosen.get("cpp.march", "native"), "threads": THREADS},
    )


def example_program(manifest: Manifest, file_name: str) -> str:
    """A C++ program that runs a package on water and prints energy and forces.

    Args:
        manifest: of the package; what it says of a snippet is not used.
        file_name: of the package.
    """
    return Template(_EXAMPLE.read_text(encoding="utf-8")).substitute(
        file_name=json.dumps(file_name, ensure_ascii=False),
        cutoff=manifest.cutoff,
        dtype="at::kDouble" if manifest.dtype == torch.float64 else "at::kFloat",
    )


def _contiguous(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Inputs whose manifest says what a package takes for granted."""
    return tuple(
        spec.model_copy(
            update={"meaning": f"{spec.meaning}; row after row in memory: strides are not read"}
        )
        if len(spec.shape) > 1
        else spec
        for spec in specs
    )


def _configuration() -> dict[str, Any]:
    """What the compiler is told, as far as this release of PyTorch has it."""
    wanted = {**_CONFIG, **(_BASELINE if platform.machine() in _X86 else {})}
    known = config.get_config_copy()
    return {name: value for name, value in wanted.items() if name in known}


def _compiler() -> str:
    """What the C++ compiler says of itself.

    Raises:
        MissingPackageError: there is none.
    """
    try:
        command = get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise MissingPackageError(
            f"no C++ compiler found, expected {config.cpp.cxx[-1]} or what CXX names"
        ) from error
    said = subprocess.run([command, "--version"], check=True, capture_output=True, text=True)
    return said.stdout.partition("\n")[0]


def _reason(error: CppCompileError) -> str:
    """The first line that calls itself an error, or the first of all."""
    lines = error.output.splitlines() or [""]
    return next((line for line in lines if "error" in line), lines[0])


@contextmanager
def _as_expected(folder: str) -> Iterator[None]:
    """Compile in a folder of its own, and let PyTorch not warn of itself."""
    with warnings.catch_warnings(), fresh_cache(dir=folder):
        # Its compiler is made of much that it has deprecated itself.
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield
