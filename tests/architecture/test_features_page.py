"""docs/profile-features.md says what the catalogue says, and its example is a mapping."""

import re
from pathlib import Path

from federation.schema import standard
from federation.schema.mapping import parse
from sandbox import features_page
from sandbox.features_page import MARK, markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "profile-features.md"


def test_the_table_is_fresh() -> None:
    _, mark, written = PAGE.read_text().partition(MARK)
    assert mark and written == markdown(standard.load()), "run `make docs`"


def test_every_feature_stands_in_one_row_of_whole_cells() -> None:
    rows = [line for line in markdown(standard.load()).splitlines() if re.match(r"\| `[a-z0-9]+_", line)]
    assert [row.split("`")[1] for row in rows] == [
        feature.name for domain in standard.load().domains for feature in standard.load().of_domain(domain.code)
    ]
    assert {row.count("|") for row in rows} == {9}


def test_what_people_wrote_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# By people\n" + MARK + "old\n")
    features_page.write(page)
    assert page.read_text() == "# By people\n" + MARK + markdown(standard.load())


def test_the_example_is_a_mapping() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    entries, findings = parse(block.encode(), "page", standard.load())
    assert len(entries) == 4 and not findings
