"""Teachers of unlabelled rows: each learns from training rows alone and gives pseudo-labels."""

from __future__ import annotations

from plait.ensemble.teachers import linear, neighbours, propagation, students
from plait.ensemble.teachers.labels import check_teacher, teacher_of
from plait.ensemble.teachers.students import StudentFits

__all__ = ["StudentFits", "check_teacher", "linear", "neighbours", "propagation", "students", "teacher_of"]
