"""What takes so long to make that all unit tests share it."""

import pytest


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A student compiled by AOTInductor, with its manifest: some 20 seconds, once."""
    # PyTorch's compiler takes seconds to import: only where it is needed.
    from aoti_samples import shared_folder, toy_package

    from mlffd.errors import MissingPackageError

    try:
        return toy_package(shared_folder(tmp_path_factory.getbasetemp()))
    except MissingPackageError as error:
        pytest.skip(str(error))
