"""Architectures of students: pure torch, no input or output, and the registry that names them."""

from mlffd.students import student_force_field  # registers itself
from mlffd.students.base import Student
from mlffd.students.registry import architectures, build, identify, register

__all__ = ["Student", "architectures", "build", "identify", "register", "student_force_field"]
