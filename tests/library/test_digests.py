"""Digests see contents, never paths, times or the order of a dictionary's keys."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lstm_model.digests import digest_file, digest_json, digest_sources, digest_text

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-2, appendix B.1

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_text_and_file_have_the_published_digest(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_text("abc") == digest_file(tmp_path / "abc") == ABC


def test_a_digest_of_a_file_ignores_its_name_and_time(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("same")
    os.utime(tmp_path / "b.csv", (1, 1))
    assert digest_file(tmp_path / "a.csv") == digest_file(tmp_path / "b.csv")


def test_one_changed_byte_changes_the_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1_000_000)
    before = digest_file(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"x" * 999_999 + b"y")
    assert digest_file(tmp_path / "a") != before


def test_lone_surrogates_are_told_apart() -> None:
    assert len({digest_text("\ud800"), digest_text("\ud801"), digest_text("?"), digest_text("")}) == 4


@given(value=st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest_json(value) == digest_json(dict(reversed(value.items())))


def test_values_that_look_alike_have_different_digests() -> None:
    values = [1, "1", 1.0, True, None, "", "null", [], {}, [1], ["1"], [[1]], {"1": 1}, {"1": None}]
    assert len({digest_json(value) for value in values}) == len(values)


def test_the_order_of_a_list_matters() -> None:
    assert digest_json([1, 2]) != digest_json([2, 1])


def test_sources_count_by_name_and_content_in_any_order(tmp_path: Path) -> None:
    first, second = tmp_path / "one" / "a.py", tmp_path / "one" / "b.py"
    moved = tmp_path / "two" / "a.py"
    for path, content in ((first, "x = 1\n"), (second, "y = 2\n"), (moved, "x = 1\n")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    before = digest_sources([first, second])
    assert before == digest_sources([second, first]) == digest_sources([moved, second])
    first.write_text("x = 2\n")
    assert digest_sources([first, second]) != before
    renamed = moved.rename(moved.with_name("c.py"))
    assert digest_sources([renamed, second]) != before
