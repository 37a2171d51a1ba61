"""`mlffd perf site`: what is stored is what a browser plots, with the network off."""

import shutil
from pathlib import Path

import pytest
from headless_browser import Account, Browser, browsing, serving
from measured_project import (
    BATCHES,
    BENCHMARK,
    COMMITS,
    HOSTILE,
    SLOWER,
    STUDENTS,
    Measured,
    force_rmse,
    make_measured,
    ratio,
    seconds,
    store_asv_results,
    store_ratios,
)
from mlffd_command import Run, assert_refused

pytest.importorskip("asv", reason="asv is not installed")
pytest.importorskip("otava", reason="apache-otava is not installed")

#: Pages are served from below here, as projects' pages are.
PATH = "somebody/project/"
GRAPH = f"asv/#{BENCHMARK}?p-student='tiny'&p-system='batch32'&p-device='cpu'"
DRAWN = "document.querySelector('#throughput').chart"
PLOTTED = (
    "window.$ && $('#main-graph').data('plot') && $('#main-graph').data('plot').getData().length"
)
VALUES = "return Array.from(document.querySelector(arguments[0]).chart.data, v => Array.from(v))"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    measured = make_measured(tmp_path_factory.mktemp("measured") / "repository")
    store_ratios(measured)
    store_asv_results(measured)
    return measured


@pytest.fixture(scope="module")
def root(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is served, with a site somewhere in it."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    from mlffd.performance.site.building import build_site

    root = tmp_path_factory.mktemp("served")
    (root / PATH).parent.mkdir(parents=True)
    build_site(root / PATH, configuration=measured.configuration, ratios=measured.ratios)
    return root


@pytest.fixture(scope="module")
def chromium() -> Browser:
    with browsing() as chromium:
        yield chromium


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """For tests that open and change pages."""
    yield chromium
    chromium.close_page()


@pytest.fixture
def dashboard(chromium: Browser, site: str) -> Browser:
    """For tests that only read the dashboard: opening it costs seconds."""
    if chromium.page() != site:
        assert_undisturbed(chromium.open(site, DRAWN), site)
    return chromium


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without settings."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def site(root: Path) -> str:
    with serving(root) as address:
        yield address + PATH


def assert_undisturbed(account: Account, site: str) -> None:
    assert len(account.requests) > 3
    assert [url for url in account.requests if not url.startswith(site)] == []
    assert account.failed == []
    assert account.errors == []


def choose(browser: Browser, selector: str, value: str) -> None:
    browser.run(
        "const control = document.querySelector(arguments[0]); control.value = arguments[1];"
        "control.dispatchEvent(new Event('change', {bubbles: true}))",
        selector,
        value,
    )


def test_the_dashboard_plots_ratios_and_their_intervals(dashboard):
    commits, *series = dashboard.run(VALUES, "#throughput")

    assert commits == list(range(COMMITS))
    lines, edges = series[: len(STUDENTS)], series[len(STUDENTS) :]
    for index, student in enumerate(STUDENTS):
        ratios = [ratio(student, commit) for commit in commits]
        assert lines[index] == pytest.approx([100 / value for value in ratios])
        assert edges[2 * index] == pytest.approx([100 / (1.01 * value) for value in ratios])
        assert edges[2 * index + 1] == pytest.approx([100 / (0.99 * value) for value in ratios])


@pytest.mark.parametrize("system", ["batch512", "atoms187"])
def test_the_dashboard_plots_the_throughput_that_asv_measured(browser, site, system):
    browser.open(site, DRAWN)

    choose(browser, "#system", system)
    browser.run("document.querySelector('#unit input[value=absolute]').click()")

    commits, *lines = browser.run(VALUES, "#throughput")
    assert commits == list(range(COMMITS))
    for student, line in zip(STUDENTS, lines, strict=True):
        assert line == pytest.approx([1 / seconds(student, system, commit) for commit in commits])


def test_a_choice_can_be_linked_to(browser, site):
    browser.open(site, DRAWN)
    choose(browser, "#system", "batch512")
    address = browser.run("return location.href")

    browser.open(address, DRAWN)

    assert browser.run("return document.querySelector('#system').value") == "batch512"


def test_the_dashboard_plots_errors(dashboard):
    commits, *lines = dashboard.run(VALUES, "#forces")

    for student, line in zip(STUDENTS, lines, strict=True):
        assert line == pytest.approx([1000 * force_rmse(student, commit) for commit in commits])


def test_the_dashboard_plots_batch_sizes_now_and_at_the_reference(dashboard):
    sizes, now, then = dashboard.run(VALUES, '#curves [data-student="tiny"]')

    assert sizes == list(BATCHES)
    for line, commit in ((now, COMMITS - 1), (then, 0)):
        expected = [1 / seconds("tiny", f"batch{size}", commit) for size in BATCHES]
        assert line == pytest.approx(expected)


def test_change_points_name_the_commit_and_take_its_subject_for_text(dashboard, measured):
    rows = dashboard.run(
        "return Array.from(document.querySelectorAll('#steps tbody tr'),"
        " row => Array.from(row.cells, cell => cell.innerText))"
    )

    slower = [row for row in rows if row[1].startswith("tiny/")]
    assert len(slower) == 3
    for what, _, change, commit, subject in slower:
        assert (what, change, subject) == ("regression", "+15.0%", HOSTILE)
        assert commit.startswith(measured.commits[SLOWER][:8])
    assert [row[2] for row in rows if row[1] == "ultra_tiny: force_rmse"] == ["+8.0%"]
    assert dashboard.run("return document.title") == "made up: speed and accuracy over commits"
    link = dashboard.run("return document.querySelector('#steps a').href")
    assert link == f"https://example.org/commit/{measured.commits[SLOWER]}"


def test_tables_hold_the_same_values_for_those_who_do_not_see_lines(dashboard):
    dashboard.run("document.querySelector('#forces details').open = true")
    dashboard.wait("document.querySelector('#forces tbody tr')")

    first = dashboard.run("return document.querySelector('#forces tbody tr').innerText")

    assert first.split("\t")[1] == f"Change number {COMMITS - 1}"
    assert first.split("\t")[2:] == ["43 meV/Å", "71 meV/Å", "138.2 meV/Å"]
    label = dashboard.run("return document.querySelector('#forces .plot').ariaLabel")
    assert "ultra_tiny 138.2 meV/Å" in label


def test_machines_are_described(dashboard):
    shown = dashboard.text("#devices")

    assert "workbench" in shown
    assert "made-up processor" in shown
    assert "8 GiB" in shown


def test_the_dashboard_is_dark_for_those_who_prefer_it(dashboard):
    background = "return getComputedStyle(document.body).backgroundColor"
    light = dashboard.run(background)

    dashboard.emulate("prefers-color-scheme", "dark")
    dark = dashboard.run(background)
    dashboard.emulate("prefers-color-scheme", "")

    assert (light, dark) == ("rgb(244, 245, 247)", "rgb(18, 21, 26)")


def test_a_graph_of_asv_plots_what_asv_stored(browser, site):
    assert_undisturbed(browser.open(site + GRAPH, PLOTTED), site)

    (points,) = browser.run("return $('#main-graph').data('plot').getData().map(s => s.data)")

    expected = [seconds("tiny", "batch32", commit) for commit in range(COMMITS)]
    assert [value for _, value in points] == pytest.approx(expected)


@pytest.mark.parametrize("page", ["#/", "#/summarylist", "#/regressions"])
def test_every_other_page_of_asv_opens(browser, site, page):
    account = browser.open(f"{site}asv/{page}", "document.body.innerText.includes('inference')")

    assert_undisturbed(account, site)


def test_links_between_the_pages_lead_there(browser, site):
    browser.open(site, DRAWN)
    link = browser.run("return document.querySelector('#latest a').href")
    assert link.startswith(f"{site}asv/#{BENCHMARK}?")
    assert_undisturbed(browser.open(link, PLOTTED), site)

    back = browser.run("return document.querySelector('#nav a[href$=\"index.html\"]').href")

    assert_undisturbed(browser.open(back, DRAWN), site)


def test_the_pages_of_asv_as_it_writes_them_are_seen_to_need_a_network(browser, measured, tmp_path):
    from mlffd.performance.site.publishing import publish

    publish(measured.configuration, tmp_path / "asv")

    with serving(tmp_path) as address:
        account = browser.open(f"{address}asv/", "document.title.includes('error')")

    assert any("jquery" in url for url, _ in account.failed)
    with pytest.raises(AssertionError):
        assert_undisturbed(account, address)


def test_a_history_without_results_is_a_page_that_says_so(browser, mlffd: Run, elsewhere):
    measured = make_measured(elsewhere / "repository", commits=1)
    site = elsewhere / "site"

    result = mlffd("perf", "site", "-o", site, "--asv", measured.configuration)

    assert (result.code, result.err) == (0, "")
    assert "nothing has been measured" in result.out
    with serving(elsewhere) as address:
        account = browser.open(f"{address}site/", "!document.querySelector('#empty').hidden")
        assert "Nothing has been measured yet" in browser.text("main")
    assert_undisturbed(account, address)
    assert not (site / "asv").exists()


def test_a_folder_that_holds_something_is_left_alone(mlffd: Run, elsewhere):
    (elsewhere / "site").mkdir()
    (elsewhere / "site" / "mine").touch()

    assert_refused(
        mlffd("perf", "site", "-o", elsewhere / "site"), "site", "expected an empty folder"
    )

    assert [path.name for path in (elsewhere / "site").iterdir()] == ["mine"]


def test_a_missing_configuration_is_named(mlffd: Run, elsewhere):
    result = mlffd("perf", "site", "-o", elsewhere / "site", "--asv", elsewhere / "asv.conf.json")

    assert_refused(result, "asv.conf.json")
    assert not (elsewhere / "site").exists()
