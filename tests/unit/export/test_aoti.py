"""A package is compiled for any recent processor, apart from other builds, and runs from C++."""

import os
import platform
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from aoti_samples import toy_student
from torch._inductor import config
from torch._inductor.exc import CppCompileError

from mlffd.errors import InputError, MissingPackageError
from mlffd.export import aoti
from mlffd.export.manifest import read_manifest
from mlffd.structures.batch import collate
from mlffd.structures.structure import Structure


def generated_code(package: Path) -> str:
    with zipfile.ZipFile(package) as archive:
        return "".join(
            archive.read(name).decode() for name in archive.namelist() if name.endswith(".cpp")
        )


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no x86 processor")
def test_it_is_compiled_for_a_baseline_processor(package):
    code = generated_code(package)

    assert read_manifest(package).options["march"] == "x86-64-v3"
    assert "-march=x86-64-v3" in code
    assert "native" not in code
    assert "AVX512" not in code


def test_on_another_machine_it_is_compiled_for_what_is_at_hand(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")

    assert "cpp.march" not in aoti._configuration()


def test_its_loops_run_on_one_thread(package):
    assert read_manifest(package).options["threads"] == 1
    assert "#pragma omp" not in generated_code(package)


def test_no_memory_serves_twice():
    """The compiler would reuse that of a concatenation whose parts are still needed."""
    assert aoti._configuration()["allow_buffer_reuse"] is False


def test_it_is_compiled_for_contiguous_neighbours(package):
    """It looks at no strides, so these are what has to be passed."""
    expected = re.findall(
        r"assert_size_stride\(\w+, \{2L, (\w+)\}, \{(\w+), 1L\}", generated_code(package)
    )

    assert [edges for edges, stride in expected if edges == stride]


def test_the_manifest_says_that_its_inputs_are_contiguous(package):
    said = {spec.name for spec in read_manifest(package).inputs if "strides" in spec.meaning}

    assert said == {"positions", "edge_index", "shifts"}


@pytest.fixture
def folders(monkeypatch):
    """Where builds were made; nothing is compiled."""
    found = []

    def compile_nothing(program, package_path, inductor_configs):
        found.append(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        Path(package_path).write_bytes(b"compiled")

    monkeypatch.setattr(aoti, "exported_program", lambda student: None)
    monkeypatch.setattr(aoti, "aoti_compile_and_package", compile_nothing)
    monkeypatch.setattr(aoti, "_compiler", lambda: "g++ 1.2.3")
    return found


def test_builds_do_not_share_a_folder_and_leave_none(folders, tmp_path):
    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")

    for name in ("a.pt2", "b.pt2"):
        aoti.write(toy_student(), tmp_path / name)

    assert len(set(folders)) == 2
    assert not any(Path(folder).exists() for folder in folders)
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.pt2", "b.pt2"}


def test_the_compiler_is_told_and_what_went_wrong_with_it(folders, tmp_path, monkeypatch):
    def fail(program, package_path, inductor_configs):
        raise CppCompileError(["g++"], "In file x.h:\nx.h:1: error: no such header\nmore")

    assert aoti.write(toy_student(), tmp_path / "a.pt2").versions["compiler"] == "g++ 1.2.3"
    monkeypatch.setattr(aoti, "aoti_compile_and_package", fail)

    with pytest.raises(InputError, match=r"g\+\+ 1\.2\.3 cannot compile .*: no such header$"):
        aoti.write(toy_student(), tmp_path / "b.pt2")

    assert not (tmp_path / "b.pt2").exists()


def test_without_a_compiler_it_says_so(tmp_path):
    # Not monkeypatch: it would leave the setting deleted for whoever compiles next.
    without = config.patch({"cpp.cxx": (None, "no-such-compiler")})
    missing = pytest.raises(MissingPackageError, match=r"no C\+\+ compiler .*no-such-compiler.*CXX")

    with without, missing:
        aoti.write(toy_student(), tmp_path / "a.pt2")


def test_the_example_in_cpp_gives_the_energy_and_forces_of_water(package, tmp_path):
    """Compiled as its first lines say: 12 seconds."""
    program = tmp_path / "example.cpp"
    program.write_text(aoti.example_program(read_manifest(package), str(package)), encoding="utf-8")
    torch_folder = Path(torch.__file__).parent
    lines = program.read_text(encoding="utf-8").splitlines()[2:4]
    command = " ".join(line.removeprefix("//") for line in lines)

    subprocess.run(
        command.replace("$torch", str(torch_folder)).replace("-std=", "-O0 -std=").split(),
        check=True,
        cwd=tmp_path,
    )
    said = subprocess.run([tmp_path / "example"], check=True, capture_output=True, text=True)

    student = toy_student()
    water = Structure([8, 1, 1], [[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
    expected = student(collate([water], student.cutoff, dtype=torch.float32))
    energy, *forces = map(float, re.findall(r"-?\d+\.\d+", said.stdout))
    assert max(forces) > 0.1
    assert energy == pytest.approx(expected.energy.item(), abs=1e-5)
    assert forces == pytest.approx(expected.forces.flatten().tolist(), abs=1e-4)
