from __future__ import annotations

from offbeat_training.report.drawing.words import distinct, for_matplotlib, for_plotly, shortened


def test_tags_entities_and_formulas_are_words() -> None:
    assert for_plotly("<b>&amp;</b> $x$") == "&lt;b&gt;&amp;amp;&lt;/b&gt; &#36;x&#36;"
    assert for_matplotlib("$x$") == r"\$x\$"


def test_only_a_line_break_is_kept() -> None:
    assert for_plotly("12\n50 %") == "12<br>50 %"


def test_long_names_are_shortened_to_one_line() -> None:
    assert shortened("a\tb\n c") == "a b c"
    assert shortened("x" * 61) == "x" * 59 + "…"


def test_names_that_are_shortened_to_the_same_stay_apart() -> None:
    names = distinct(("x" * 80, "x" * 90, "y"))
    assert len(set(names)) == 3
    assert names[2] == "y"
