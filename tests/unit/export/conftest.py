"""What tests of exports share."""

import pytest
from export_cases import small_student


@pytest.fixture(params=[1, 2], ids=["revision-1", "revision-2"], scope="session")
def student(request):
    return small_student(request.param)
