"""`python -m benchmarks.report`: every figure on the pages comes out of the newest results."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.report.blocks import BLOCKS
from benchmarks.report.figures import FIGURES, figure
from benchmarks.report.pages import Report
from benchmarks.report.plots import draw, limit_panels
from benchmarks.report.results import Results
from benchmarks.report.sections import sections
from benchmarks.report.text import against, precise
from benchmarks.serving.shares import shares

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The pages and results, without the rest of the repository."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_site", "tutorials"))
    shutil.copytree(ROOT / "benchmarks" / "results", tmp_path / "benchmarks" / "results")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def _edit(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.encode(content))


def _newest(root: Path, kind: str) -> dict[str, Any]:
    result = Results(root / "benchmarks" / "results").newest(kind)
    assert result is not None
    return result.content


def test_every_figure_on_the_pages_is_what_the_newest_results_give() -> None:
    stale = [str(path.relative_to(ROOT)) for path in Report(ROOT).stale()]
    assert not stale, f"run `python -m benchmarks.report`: {stale}"


def test_every_block_of_figures_is_one_that_is_written_and_has_an_end() -> None:
    for page in PAGES:
        text = page.read_text().replace("`<!-- figures: … -->` and `<!-- end of figures -->`", "")
        begun = re.findall(r"<!-- figures: (\S+) -->\n", text)
        assert set(begun) <= set(BLOCKS), page.name
        assert text.count("<!-- figures") == text.count("<!-- end of figures -->") == len(begun), page.name


def test_every_figure_in_a_sentence_is_one_that_is_written_and_has_an_end() -> None:
    results = Results(ROOT / "benchmarks" / "results")
    for page in PAGES:
        text = re.sub(r"`[^`\n]*`", "", page.read_text())
        begun = re.findall(r"<!--figure: ([\w.-]+)-->[^<\n]+<!--end-->", text)
        assert text.count("<!--figure") == text.count("<!--end-->") == len(begun), page.name
        assert all(figure(name, results) for name in begun), page.name
        # There Markdown takes a comment for the begin of a block, and ends the paragraph.
        assert not re.search(r"^\s*<!--figure", text, re.MULTILINE), page.name


def test_every_figure_that_could_be_written_is_asked_for_by_a_page() -> None:
    asked = {name for page in PAGES for name in re.findall(r"<!--figure: ([\w.-]+)-->", page.read_text())}
    assert set(FIGURES) <= asked


def test_a_figure_in_a_sentence_that_was_edited_by_hand_is_found_and_written_anew(copy: Path) -> None:
    page = copy / "docs" / "native.md"
    text = page.read_text()
    page.write_text(text.replace("-->211 cycles<!--", "-->11 cycles<!--"))
    report = Report(copy)
    assert report.stale() == [page]
    report.write([page])
    assert page.read_text() == text


def test_every_kind_of_result_is_shown_with_the_command_that_measures_it_again() -> None:
    results = Results(ROOT / "benchmarks" / "results")
    assert [each.kind for each in sections(results) if not each.command] == []


def test_a_figure_edited_by_hand_is_found_and_written_anew(copy: Path) -> None:
    readme = copy / "README.md"
    text = readme.read_text()
    figure = re.search(r"^\| M1: .*$", text, re.MULTILINE)
    assert figure is not None
    readme.write_text(text.replace(figure[0], figure[0].replace("|", "| 1", 2)))
    report = Report(copy)
    assert report.stale() == [readme]
    report.write(report.stale())
    assert readme.read_text() == text
    assert Report(copy).stale() == []


@pytest.mark.parametrize(
    "marks",
    [
        "<!-- figures: edge -->\n<!-- end of figures -->\n",
        "<!-- figures: edge -->\n\nNothing ends here.\n",
        "<!-- figures: edge --> \n\n<!-- end of figures -->\n",
        "\n<!-- end of figures -->\n",
    ],
)
@pytest.mark.parametrize("rest", ["", "\n<!-- figures: edge -->\n\n<!-- end of figures -->\n"])
def test_marks_of_figures_that_enclose_no_block_are_an_error_and_not_skipped(copy: Path, marks: str, rest: str) -> None:
    page = copy / "docs" / "edge.md"
    page.write_text(f"{page.read_text()}\n{marks}{rest}")
    with pytest.raises(
        ValueError, match=r"docs/edge\.md: \d+ marks of figures around \d+ blocks; expected two around each"
    ):
        Report(copy).stale()


def test_a_newer_file_is_taken_wherever_its_kind_is_shown(copy: Path) -> None:
    content = _newest(copy, "streams") | {"n_series": 77_000}
    _edit(copy / "benchmarks" / "results" / "2099-01-01-streams.json", content)
    report = Report(copy)
    pages = [copy / name for name in ("docs/performance.md", "README.md", "docs/serving.md")]
    assert report.stale() == pages
    report.write(pages)
    assert all("77,000 series" in page.read_text() and "2099-01-01-streams.json" in page.read_text() for page in pages)


def test_plots_are_drawn_anew_only_where_their_figures_change(copy: Path) -> None:
    content = _newest(copy, "native")
    content["results"][0]["share float32"] = 0.5
    content["environment"]["started_at"] = "2099-01-01T00:00:00+00:00"
    _edit(copy / "benchmarks" / "results" / "2099-01-01-native.json", content)
    stale = Report(copy).stale()
    assert [path.name for path in stale if path.suffix == ".svg"] == ["limit.svg"]


def test_a_later_result_of_some_models_counts_for_these_alone(copy: Path) -> None:
    content = _newest(copy, "native")
    one = next(race for race in content["results"] if race["model"] == "M2") | {"onnxruntime": 123_456.0}
    _edit(copy / "benchmarks" / "results" / "2099-01-01-native-m2.json", content | {"results": [one]})
    report = Report(copy)
    report.write(path for path in report.stale() if path.suffix == ".md")
    table = (copy / "docs" / "native.md").read_text()
    assert table.count("123,456") == 1
    assert "2099-01-01-native-m2.json" in table
    assert re.search(r"From \[\d{4}-\d\d-\d\d-native\.json\]", table)


def test_a_kind_that_nobody_wrote_a_table_for_is_shown_as_it_is(copy: Path) -> None:
    lines = [{"minutes": 10, "goodput": 0.934}, {"minutes": 5, "goodput": 0.907}]
    _edit(copy / "benchmarks" / "results" / "2099-01-01-seance.json", {"load": {"target": 0.9}, "lines": lines})
    report = Report(copy)
    assert report.stale() == [copy / "docs" / "performance.md"]
    report.write(report.stale())
    page = (copy / "docs" / "performance.md").read_text()
    assert "## Seance" in page
    assert "| load, target | 0.9 |" in page
    assert "| 5 | 0.907 |" in page


def test_a_file_that_tells_how_it_was_run_is_shown_with_it(copy: Path) -> None:
    about = {"command": "python -m benchmarks.streams --seconds 10", "commit": "0" * 40}
    _edit(
        copy / "benchmarks" / "results" / "2099-01-01-streams.json", _newest(copy, "streams") | {"environment": about}
    )
    report = Report(copy)
    report.write(path for path in report.stale() if path.suffix == ".md")
    page = (copy / "docs" / "performance.md").read_text()
    assert "commit 0000000; run as `python -m benchmarks.streams --seconds 10`." in page


def test_the_same_figures_are_drawn_with_the_same_few_bytes(tmp_path: Path) -> None:
    panels = limit_panels(Results(ROOT / "benchmarks" / "results"))
    for name in ("one.svg", "two.svg"):
        draw(panels, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.svg").stat().st_size < 20_000
    assert "dc:date" not in (tmp_path / "one.svg").read_text()


def test_rounding_hides_no_bar_that_is_missed() -> None:
    assert precise(1.396, 1.4, 2) == "1.396"
    assert precise(1.3998, 1.4, 2) == "1.3998"
    assert precise(0.9938, 0.994, 3) == "0.9938"
    assert precise(0.9938, None, 3) == "0.994"
    assert against(0.79, 0.8, "79 %", "80 %") == "**79 %** (missed: 80 %)"
    assert against(0.02, 0.02, "2 %", "2 %", is_lower_better=True) == "2 % (2 %)"


def test_a_run_of_overload_is_told_with_what_it_missed(copy: Path) -> None:
    phase = {
        "seconds": 300.0,
        "asked_per_s": 9_000.0,
        "sent_per_s": 9_000.0,
        "right_per_s": 2_400.0,
        "drift": 0.07,
        "n_wrong": 0,
        "n_unanswered": 1,
        "n_unaccounted": 2,
        "by_status": {"RESOURCE_EXHAUSTED": 7},
        "latency_ms": {"p50": 1.0, "p99": 480.0, "p99.9": 490.0},
        "server_of_a_core": 0.9,
        "memory_mib": {"first": 90.0, "last": 96.0, "most": 97.0},
    }
    content = {
        "arguments": {"deadline_ms": 500.0, "model": "M1", "windows": 1},
        "phases": {"overload": phase},
        "goodput_of_capacity": 0.8,
    }
    _edit(copy / "benchmarks" / "results" / "2099-01-01-endurance.json", content | {"missed": ["overload: 2 lost"]})
    report = Report(copy)
    report.write(report.stale())
    page, readme = ((copy / name).read_text() for name in ("docs/performance.md", "README.md"))
    assert "| **+7.0 %** (missed: 5 % at most) |" in page
    assert "- missed: overload: 2 lost" in page
    assert "answers **80 %** (missed: 90 %) of its capacity" in readme


def test_engines_are_told_with_their_share_of_the_limit_and_with_who_was_left_out(copy: Path) -> None:
    content = _newest(copy, "engines")
    benchmarks = [each for each in content["benchmarks"] if each["extra_info"]["model"] == "M1"]
    benchmarks = [each for each in benchmarks if each["extra_info"]["backend"] != "eager"]
    for each in benchmarks:
        each["extra_info"] |= {"share_of_limit": 0.456, "limit_us": 19.4, "ratio_to_eager": None}
    left_out = {f"M1 batch {n} threads 1": {"eager": "it was killed\nlater"} for n in (1, 8)}
    file = copy / "benchmarks" / "results" / "2099-01-01-engines.json"
    _edit(file, content | {"benchmarks": benchmarks, "left_out": left_out})
    report = Report(copy)
    report.write(report.stale())
    page = (copy / "docs" / "performance.md").read_text()
    assert "| M1 | 1 | 1 | 19.4 | 46 % | 46 % |" in page
    assert "- `eager`, in 2 races: it was killed\n" in page
    assert "limit" in (copy / "docs" / "performance" / "latency.svg").read_text()


def test_requests_of_many_windows_are_told_of_the_server_that_had_both_cores(copy: Path) -> None:
    content = _newest(copy, "serving")
    both = [line | {"server": "offbeat (all cores)"} for line in content["lines"] if line["server"] == "offbeat"]
    _edit(copy / "benchmarks" / "results" / "2099-01-01-serving.json", content | {"lines": content["lines"] + both})
    report = Report(copy)
    report.write(path for path in report.stale() if path.suffix == ".md")
    assert "with 32 windows in each and the server on both cores" in (copy / "README.md").read_text()
    assert "| offbeat (all cores) |" in (copy / "docs" / "performance.md").read_text()


def test_the_time_of_a_request_is_shared_out_whole_among_queue_compute_codec_and_transport() -> None:
    def line(
        server: str, concurrency: int, p50: float, told: tuple[float, float] | tuple[None, None]
    ) -> dict[str, Any]:
        case = {"protocol": "score", "n_windows": 1, "concurrency": concurrency, "share": None}
        return {"server": server, "case": case, "p50": p50, "queue_us": told[0], "compute_us": told[1]}

    alone, many, swamped = shares(
        [
            *(line("echo (asyncio)", n, us, (None, None)) for n, us in ((1, 80.0), (16, 700.0), (64, 4000.0))),
            *(line("offbeat", n, us, told) for n, us, told in ((1, 100.0, (2.0, 8.0)), (16, 1000.0, (300.0, 100.0)))),
            # Medians of different requests: together more than the whole.
            line("offbeat", 64, 1000.0, (900.0, 200.0)),
        ]
    )
    assert (alone.queue, alone.compute, alone.codec, alone.transport) == pytest.approx((0.02, 0.08, 0.1, 0.8))
    assert (many.queue, many.compute, many.codec, many.transport) == pytest.approx((0.3, 0.1, 0.01, 0.59))
    assert (swamped.queue, swamped.compute, swamped.codec, swamped.transport) == pytest.approx((0.8, 0.2, 0.0, 0.0))
