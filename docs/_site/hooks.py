"""What the site adds to the pages: the README as its first page, files of the tree that pages point to, and forgotten pages.

MkDocs calls these functions by their names; only links change, never words.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# [text](target "title"), but no picture of elsewhere and no absolute address.
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the README, what pages link to outside of docs/, and pages that nobody put into the navigation."""
    readme = (ROOT / "README.md").read_text()
    files.append(File.generated(config, "index.md", content=_LINK.sub(_from_docs, readme)))
    for name in sorted({name for file in files.documentation_pages() for name in _outside(file)}):
        files.append(File.generated(config, f"source/{name}", abs_src_path=str(ROOT / name)))
    listed = re.findall(r"[\w/-]+\.md", str(config.nav))
    forgotten = [file.src_uri for file in files.documentation_pages() if file.src_uri not in listed]
    if forgotten and config.nav:
        config.nav.append({"More": sorted(forgotten)})
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links out of docs/ to the copies of those files on the site."""
    here = posixpath.dirname(page.file.src_uri)

    def lead(link: re.Match[str]) -> str:
        name = _outside_name(here, link[1])
        return posixpath.relpath(f"source/{name}", here or ".") if name else link[1]

    return _LINK.sub(lead, markdown)


def _from_docs(link: re.Match[str]) -> str:
    return link[1].removeprefix("docs/") if link[1].startswith("docs/") else f"../{link[1]}"


def _outside(file: File) -> list[str]:
    here = posixpath.dirname(file.src_uri)
    names = (_outside_name(here, link[1]) for link in _LINK.finditer(file.content_string))
    return [name for name in names if name]


def _outside_name(here: str, target: str) -> str:
    """The path in the tree of what lies outside of docs/, or nothing."""
    name = posixpath.normpath(posixpath.join(here, target))
    return name.removeprefix("../") if name.startswith("../") and (ROOT / name.removeprefix("../")).is_file() else ""
