"""The examples in the documentation do what they say."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
from pathlib import Path

import numpy
import pytest

import imgsearch

MODULES = sorted(
    f"imgsearch.{one.name}"
    for one in pkgutil.iter_modules(imgsearch.__path__)
    if one.name not in ("__main__", "_native")
)
DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "python.md"
NOTEBOOK = DOCS / "notebook.ipynb"


@pytest.mark.parametrize("name", ["imgsearch", *MODULES])
def test_docstrings(name: str, samples: Path, indexed: Path, tmp_path: Path) -> None:
    names = {
        "imgsearch": imgsearch,
        "numpy": numpy,
        "samples": samples,
        "indexed": indexed,
        "index_folder": tmp_path / "index",
        "new_folder": tmp_path / "new",
    }
    failed, _ = doctest.testmod(importlib.import_module(name), extraglobs=names, report=True)
    assert failed == 0


def test_docstrings_are_found() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        test
        for name in ["imgsearch", *MODULES]
        for test in finder.find(importlib.import_module(name), globs={})
        if test.examples
    ]
    assert len(found) >= 8


def test_the_page_of_the_documentation(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(samples)
    # One namespace, as a reader who types them one after the other has.
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        exec(compile("\n" * line + block, str(PAGE), "exec"), names)


def test_the_notebook(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(sources) >= 10
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHOTOS", raising=False)
    (tmp_path / "photos").symlink_to(samples)
    names: dict[str, object] = {"__name__": "notebook"}
    for number, source in enumerate(sources, 1):
        exec(compile(source, f"{NOTEBOOK.name}, cell {number}", "exec"), names)
