"""Pages that load nothing from elsewhere: asv's are rewritten, all are searched for leftovers."""

import re
import shutil
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path

from mlffd.errors import InputError

#: What asv 0.6 loads, and the file of a package that is the same, or the same before it was made
#: short. Packages are pinned in package.json, to the versions that asv names here.
_STAND_INS = {
    "https://code.jquery.com/jquery-3.3.1.min.js": "jquery/dist/jquery.min.js",
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.min.js": "flot/jquery.flot.js",
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.time.min.js": (
        "flot/jquery.flot.time.js"
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.selection.min.js": (
        "flot/jquery.flot.selection.js"
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/flot/0.8.3/jquery.flot.categories.min.js": (
        "flot/jquery.flot.categories.js"
    ),
    "https://cdn.jsdelivr.net/npm/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js": (
        "flot-orderbars/js/jquery.flot.orderBars.js"
    ),
    # The registry has no other version; what asv calls is the same in both.
    "https://cdnjs.cloudflare.com/ajax/libs/stupidtable/1.0.1/stupidtable.min.js": (
        "stupid-table-plugin/stupidtable.min.js"
    ),
    "https://cdnjs.cloudflare.com/ajax/libs/blueimp-md5/2.19.0/js/md5.min.js": (
        "blueimp-md5/js/md5.min.js"
    ),
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/js/bootstrap.min.js": (
        "bootstrap/dist/js/bootstrap.min.js"
    ),
    "https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/css/bootstrap.min.css": (
        "bootstrap/dist/css/bootstrap.min.css"
    ),
}
#: What a style sheet loads in turn.
_COMPANIONS = {"bootstrap/dist/css/bootstrap.min.css": "bootstrap/dist/fonts"}

#: Where the files of packages are, in a folder with pages.
_FOLDER = "vendor"

_REMOTE = re.compile(r"(?:https?:)?//\S", re.IGNORECASE)
_LOADING_TAG = re.compile(
    r"""<(?:script|link)\b[^>]*?\b(?:src|href)=["']((?:https?:)?//[^"']+)["'][^>]*>"""
)
# The hash is of the file on the other server; packages are verified when they are installed.
_CROSS_ORIGIN = re.compile(r"""\s(?:integrity|crossorigin|referrerpolicy)=["'][^"']*["']""")
_STYLE_REFERENCE = re.compile(
    r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""", re.IGNORECASE
)
#: A script may hold addresses of pages to link to, and of name spaces, but no file to load.
_SCRIPT_REFERENCE = re.compile(
    r"""["'`]((?:https?:)?//[^"'`\s]+?\.(?:m?js|css|woff2?|ttf|otf|eot)(?:[?#][^"'`\s]*)?)["'`]""",
    re.IGNORECASE,
)
_LINKS_THAT_LOAD = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"}


def copy_packages(files: Iterable[str], packages: Path, folder: Path) -> None:
    """Copy files of packages beside pages, and the licences of those packages.

    Args:
        files: or folders, relative to the packages.
        packages: the folder with all packages.
        folder: of the pages.
    """
    for name in files:
        source, target = packages / name, folder / _FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        package = Path(name).parts[0]
        for licence in (packages / package).glob("LICENSE*"):
            shutil.copyfile(licence, folder / _FOLDER / package / licence.name)


def vendor(folder: Path, packages: Path) -> None:
    """Make asv's pages load files beside them, in place of those on public servers.

    Args:
        folder: what asv published.
        packages: see `mlffd.performance.site.packages`.

    Raises:
        InputError: a page loads something that no package stands for: another asv.
    """
    for page in sorted(folder.glob("*.html")):
        text = page.read_text(encoding="utf-8")
        for tag in list(_LOADING_TAG.finditer(text)):
            url = tag[1]
            if url not in _STAND_INS:
                raise InputError(
                    f"{page.name} of asv: loads {url}, expected only what a package of the site "
                    "stands for: is this asv 0.6?"
                )
            file = _STAND_INS[url]
            wanted = [file, *([_COMPANIONS[file]] if file in _COMPANIONS else [])]
            copy_packages(wanted, packages, folder)
            local = _CROSS_ORIGIN.sub("", tag[0]).replace(url, f"{_FOLDER}/{file}")
            text = text.replace(tag[0], local)
        page.write_text(text, encoding="utf-8")


def require_self_contained(folder: Path) -> None:
    """Refuse pages that would load a script, a style, a font or an image from another server.

    Links that a reader follows are none of those.

    Raises:
        InputError: one would; the message names the file and the address.
    """
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _READERS):
        text = path.read_text(encoding="utf-8", errors="replace")
        for url in _READERS[path.suffix](text):
            raise InputError(
                f"{path.relative_to(folder)}: loads {url}, expected nothing from another server"
            )


class _Page(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser.handle_starttag`."""
        values = {name: value or "" for name, value in attrs}
        # A block of data runs nothing, and may say anything.
        self._inside = "" if "json" in values.get("type", "") else tag
        if tag == "link":
            loads = _LINKS_THAT_LOAD & set(values.get("rel", "").lower().split())
            urls = [values.get("href", "")] if loads else []
        elif tag == "a":
            urls = []
        else:
            urls = [values.get("src", ""), values.get("data", ""), values.get("poster", "")]
            urls += [
                part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()
            ]
        self.found += [url for url in urls if _REMOTE.match(url.strip())]
        self.found += _STYLE_REFERENCE.findall(values.get("style", ""))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the name is HTMLParser's
        """See `HTMLParser.handle_endtag`."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """See `HTMLParser.handle_data`."""
        patterns = {"style": _STYLE_REFERENCE, "script": _SCRIPT_REFERENCE}
        if self._inside in patterns:
            self.found += patterns[self._inside].findall(data)


def _in_page(text: str) -> list[str]:
    page = _Page()
    page.feed(text)
    page.close()
    return page.found


_READERS: dict[str, Callable[[str], list[str]]] = {
    ".html": _in_page,
    ".css": _STYLE_REFERENCE.findall,
    ".js": _SCRIPT_REFERENCE.findall,
}
