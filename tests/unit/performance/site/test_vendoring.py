import re
from importlib import resources
from pathlib import Path

import pytest

from mlffd.errors import InputError
from mlffd.performance.site.vendoring import copy_packages, require_self_contained, vendor

JQUERY = "https://code.jquery.com/jquery-3.3.1.min.js"
BOOTSTRAP = "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/css/bootstrap.min.css"


@pytest.fixture
def packages(tmp_path) -> Path:
    """Packages with a line in each file."""
    folder = tmp_path / "node_modules"
    for name in (
        "jquery/dist/jquery.min.js",
        "jquery/LICENSE.txt",
        "bootstrap/dist/css/bootstrap.min.css",
        "bootstrap/dist/fonts/icons.woff",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def pages(tmp_path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    return folder


def test_what_a_page_loads_is_put_beside_it(pages, packages):
    (pages / "index.html").write_text(
        f'<script src="{JQUERY}" integrity="sha256-abc" crossorigin="anonymous" onerror="no()">'
        f'</script>\n<link rel="stylesheet" href="{BOOTSTRAP}" referrerpolicy="no-referrer">'
    )

    vendor(pages, packages)

    assert (pages / "index.html").read_text() == (
        '<script src="vendor/jquery/dist/jquery.min.js" onerror="no()"></script>\n'
        '<link rel="stylesheet" href="vendor/bootstrap/dist/css/bootstrap.min.css">'
    )
    assert (pages / "vendor/jquery/dist/jquery.min.js").read_text() == "jquery/dist/jquery.min.js"
    assert (pages / "vendor/jquery/LICENSE.txt").exists()
    # Its style sheet names them as ../fonts.
    assert (pages / "vendor/bootstrap/dist/fonts/icons.woff").exists()
    require_self_contained(pages)


def test_a_file_that_no_package_stands_for_is_named(pages, packages):
    url = "https://cdn.example.org/d3.min.js"
    (pages / "index.html").write_text(f'<script src="{url}"></script>')

    with pytest.raises(InputError, match=f"index.html of asv: loads {re.escape(url)}"):
        vendor(pages, packages)


def test_all_that_the_installed_asv_loads_is_known(pages):
    asv = pytest.importorskip("asv", reason="asv is not installed")
    www = Path(asv.__file__).parent / "www"

    urls = re.findall(r'<(?:script|link)[^>]*="(https?://[^"]+)"', (www / "index.html").read_text())

    from mlffd.performance.site.vendoring import _STAND_INS

    assert len(urls) == 10
    assert set(urls) == set(_STAND_INS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://x.org/a.js"></script>'),
        ("a.html", '<script src="//x.org/a.js"></script>'),
        ("a.html", "<LINK REL=stylesheet HREF=http://x.org/a.css>"),
        ("a.html", '<link rel="shortcut icon" href="https://x.org/a.ico">'),
        ("a.html", '<img src="a.png" srcset="a.png 1x, https://x.org/b.png 2x">'),
        ("a.html", '<iframe src="https://x.org/"></iframe>'),
        ("a.html", '<p style="background: url(https://x.org/a.png)">'),
        ("a.html", '<style>@import "https://x.org/a.css";</style>'),
        ("a.html", '<script>load("https://x.org/a.js")</script>'),
        ("sub/a.css", "@font-face { src: url('https://x.org/a.woff2') }"),
        ("sub/a.css", "@import url(//x.org/a.css)"),
        ("sub/a.js", 'element.src = "https://x.org/lib.min.js?v=1";'),
    ],
)
def test_whatever_is_loaded_from_another_server_is_refused_by_name(pages, name, text):
    (pages / name).parent.mkdir(exist_ok=True)
    (pages / name).write_text(text)

    with pytest.raises(InputError, match=rf"^{name}: loads (https?:)?//x\.org"):
        require_self_contained(pages)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<a href="https://x.org/a.js">a link to follow</a>'),
        ("a.html", '<link rel="canonical" href="https://x.org/">'),
        ("a.html", '<script type="application/json">["https://x.org/a.js"]</script>'),
        ("a.html", '<script>1</script><p>"https://x.org/a.js"</p>'),
        ("a.html", '<script src="vendor/a.js"></script>'),
        ("a.js", 'const space = "http://www.w3.org/2000/svg"; // https://x.org/a.js'),
        ("a.css", "/* https://x.org/a.css */ p { background: url(data:image/png;base64,AAAA) }"),
        ("a.json", '{"url": "https://x.org/a.js"}'),
    ],
)
def test_links_and_data_load_nothing(pages, name, text):
    (pages / name).write_text(text)

    require_self_contained(pages)


def test_every_file_of_a_package_comes_with_its_licence(pages, packages):
    copy_packages(["jquery/dist/jquery.min.js"], packages, pages)

    copied = {str(p.relative_to(pages / "vendor")) for p in pages.rglob("*") if p.is_file()}
    assert copied == {"jquery/dist/jquery.min.js", "jquery/LICENSE.txt"}


def test_our_own_page_loads_nothing_from_elsewhere():
    with resources.as_file(resources.files("mlffd.performance.site").joinpath("page")) as page:
        assert sorted(p.suffix for p in page.iterdir()) == [".css", ".html", *[".js"] * 3, ".svg"]
        require_self_contained(page)
