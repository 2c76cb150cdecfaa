"""Findings: how several become one, and what a visit prints as JSON."""

from __future__ import annotations

from gateway.doctor.findings import Diagnosis, Grade, all_of, fault, ok, skipped, warning


def test_of_several_findings_the_worst_grade_counts_and_all_that_is_wrong_is_told() -> None:
    one = all_of([ok("a"), warning("b", "mend b"), fault("c", "mend c"), warning("d", "mend b")], otherwise="none")

    assert (one.grade, one.seen, one.mend) == (Grade.FAULT, "b; c; d", "mend b; mend c")


def test_what_is_ok_is_told_when_all_is() -> None:
    assert all_of([ok("a"), ok("b")], otherwise="none") == ok("a; b")
    assert all_of([], otherwise="none") == ok("none")


def test_a_diagnosis_counts_its_grades_and_has_faults_only_with_a_fault() -> None:
    healthy = Diagnosis((ok("a").named("x"), warning("b", "mend").named("y"), skipped("c").named("z")))

    assert not healthy.has_faults
    assert Diagnosis((*healthy.findings, fault("d", "mend"))).has_faults
    assert healthy.as_json() == {
        "ok": 1,
        "warning": 1,
        "fault": 0,
        "skipped": 1,
        "checks": [
            {"check": "x", "grade": "ok", "seen": "a", "mend": ""},
            {"check": "y", "grade": "warning", "seen": "b", "mend": "mend"},
            {"check": "z", "grade": "skipped", "seen": "c", "mend": ""},
        ],
    }
