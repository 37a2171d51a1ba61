import io

import pytest
from rich.console import Console

from mlffd.checks.cases import Omission
from mlffd.checks.evidence import Criterion, Evidence
from mlffd.checks.run import Run
from mlffd.report.terminal import describe, print_run
from mlffd.verdicts import Verdict

OVER = Criterion("forces_max", 2.5e-3, 1e-7, "eV/Å")
WITHIN = Criterion("energy_max", 1e-10, 1e-8, "eV/atom")


def printed(evidence, omissions=(), environment=None, **options):
    stream = io.StringIO()
    console = Console(file=stream, width=140, highlight=False, **options)
    print_run(Run(evidence, omissions, environment or {}), console)
    return stream.getvalue()


def make(verdict, *criteria, subject="tiny", check="loads", message="as measured"):
    return Evidence(verdict, message, criteria, subject=subject, check=check)


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_its_row_and_its_summary(verdict):
    text = printed([make(verdict, OVER if verdict is Verdict.FAIL else WITHIN)])

    row = next(line for line in text.splitlines() if line.startswith("tiny "))
    assert row.split()[:3] == ["tiny", "loads", verdict]
    assert text.rstrip().splitlines()[-1] == f"{verdict}: 1 {verdict}"


def test_the_row_shows_the_worst_criterion_with_limit_and_unit():
    text = printed([make(Verdict.FAIL, WITHIN, OVER)])

    row = next(line for line in text.splitlines() if line.startswith("tiny "))
    assert row.split() == ["tiny", "loads", "fail", "0.0025", "1e-07", "forces_max", "(eV/Å)"]


def test_only_what_needs_attention_is_told_at_length():
    text = printed([make(Verdict.PASS, WITHIN, message="fine"), make(Verdict.FAIL, OVER)])

    assert "fine" not in text
    assert "as measured" in text
    assert "forces_max: 0.0025 eV/Å (limit 1e-07)" in text


def test_what_a_failure_probably_means_is_told_once():
    failures = [make(Verdict.FAIL, OVER, subject=s, check="net_force_and_torque") for s in "ab"]

    assert printed(failures).count("net_force_and_torque: If this fails, it probably means") == 1
    assert "probably mean" not in printed([make(Verdict.PASS, WITHIN)])


def test_of_what_does_not_load_the_rest_is_not_repeated():
    unmeasured = make(Verdict.INVALID, check="accuracy", message="no such file")
    failed = make(Verdict.FAIL, OVER, message="no such file")

    assert printed([failed, unmeasured]).count("\n  no such file") == 1
    other = make(Verdict.INVALID, subject="other", check="accuracy", message="no such file")
    assert printed([failed, other]).count("\n  no such file") == 2


def test_a_noteworthy_pass_is_told_too():
    """A tolerated defect, or an improvement that waits for its golden."""
    evidence = Evidence(Verdict.PASS, "improved", (WITHIN,), subject="tiny", noteworthy=True)

    assert "pass\n  improved" in printed([evidence])


def test_the_settings_in_use_are_named():
    """They may be those of a folder far above."""
    assert "\nsettings: /a/mlffd.toml\n" in printed([], environment={"settings": "/a/mlffd.toml"})
    assert "settings" not in printed([], environment={"settings": None})


def test_evidence_without_criteria_has_a_row():
    text = printed([make(Verdict.INVALID, message="no golden")])

    assert "tiny: loads: invalid\n  no golden" in text


def test_a_criterion_without_unit_has_no_empty_brackets():
    text = printed([make(Verdict.FAIL, Criterion("values", 3, 0))])

    assert "()" not in text
    assert "values: 3 (limit 0)" in text


def test_omissions_are_shown_with_their_reasons():
    text = printed([make(Verdict.PASS, WITHIN)], [Omission("tiny", "accuracy", "no golden")])

    assert "not asked:\n  tiny: accuracy: no golden\n" in text


def test_the_summary_counts_by_verdict_and_tells_the_worst():
    evidence = [make(v, WITHIN) for v in (Verdict.PASS, Verdict.PASS, Verdict.INVALID)]

    assert printed(evidence).rstrip().endswith("invalid: 2 pass, 1 invalid")


def test_no_evidence_is_invalid():
    assert printed([]).strip().splitlines()[-1].startswith("invalid")


@pytest.mark.parametrize("markup", ["[red]x[/red]", "[/]", "[link=http://x]y[/link]", "[bold"])
def test_markup_of_others_is_printed_literally(markup):
    evidence = make(
        Verdict.FAIL,
        Criterion(markup, 2.0, 1.0, markup),
        subject=markup,
        check=markup,
        message=f"weights of {markup} are NaN",
    )

    text = printed([evidence], [Omission(markup, markup, markup)])

    assert f"weights of {markup} are NaN" in text
    assert f"{markup}: {markup}: {markup}" in text
    row = next(line for line in text.splitlines() if " fail " in line)
    assert row.startswith(markup)
    assert row.rstrip().endswith(f"{markup} ({markup})")


@pytest.mark.parametrize("measured", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_shown(measured):
    text = printed([make(Verdict.FAIL, Criterion("forces_max", measured, 1.0))])

    assert f"forces_max: {measured} (limit 1)" in text


@pytest.mark.parametrize(
    ("measured", "shown"), [(1234.0, "1,234"), (1.2345, "1.23"), (1e200, "1e+200")]
)
def test_counts_are_shown_in_full_and_measurements_to_three_digits(measured, shown):
    text = printed([make(Verdict.FAIL, Criterion("forces_max", measured, 1.0))])

    assert f"forces_max: {shown} (limit 1)" in text


def test_colours_only_where_there_are_colours():
    evidence = [make(Verdict.FAIL, OVER)]

    assert "\x1b" not in printed(evidence)
    assert "\x1b" in printed(evidence, force_terminal=True, color_system="standard")


def test_described_in_plain_text_with_every_criterion_that_fails():
    text = describe(make(Verdict.FAIL, WITHIN, OVER, Criterion("values", 3, 0)))

    assert text.splitlines() == [
        "tiny: loads: fail: as measured",
        "  forces_max: 0.0025 eV/Å (limit 1e-07)",
        "  values: 3 (limit 0)",
    ]


def test_control_sequences_in_messages_do_not_reach_the_terminal():
    """A checkpoint's text could move the cursor and overwrite the verdict."""
    evidence = make(Verdict.FAIL, OVER, message="\x1b[2J\x1b]0;title\x07\r\x9b1mfine")

    text = printed([evidence]) + describe(evidence)

    assert not set(text) & set("\x1b\x07\r\x9b")
    assert text.count("fine") == 2
