"""The tutorial's commands run and say what the page shows; how docs/write_tutorial.py reads and compares a page.

Slow: two small trainings and three servers, about 95 s of processor time.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import write_tutorial  # noqa: E402
from page_session import PageSession  # noqa: E402
from write_tutorial import BLOCK, abridged, differing_outputs, masked, parsed, run_page  # noqa: E402


def test_the_commands_of_the_tutorial_run_and_say_what_it_shows(capfd: pytest.CaptureFixture[str]) -> None:
    assert write_tutorial.main(["--check"]) == 0, capfd.readouterr().out


@pytest.fixture
def session(tmp_path: Path) -> Iterator[PageSession]:
    with PageSession(tmp_path) as opened:
        yield opened


ID, OTHER = "1" * 32, "ab12" * 8


def test_a_page_keeps_variables_fills_outputs_and_follows_ids(session: PageSession) -> None:
    page = (
        f"```bash\nx={OTHER}\n```\n\n```bash\necho run $x\n```\n\n```text\nrun {ID}\n```\n\n"
        f"<!-- exit code 3 -->\n```bash\necho {ID[:8]}; (exit 3)\n```\n\n```text\n```\n"
    )
    new = run_page(page, session)
    assert f"```text\nrun {OTHER}\n```" in new
    assert f"echo {OTHER[:8]}; (exit 3)\n```\n\n```text\n{OTHER[:8]}\n```" in new
    assert run_page(new, session) == new, "a page that is up to date stays as it is"


def test_a_command_with_another_exit_code_stops_also_where_others_follow(session: PageSession) -> None:
    with pytest.raises(RuntimeError, match="Exit code 1 instead of 0:\nfalse"):
        run_page("```bash\nfalse\ntrue\n```\n", session)


def test_a_server_runs_until_the_end_on_a_free_port(session: PageSession) -> None:
    serve = ".venv/bin/python -m http.server --bind 127.0.0.1 $SERVE_PORT"
    page = (
        f"<!-- server: http://127.0.0.1:5002/ -->\n```bash\n{serve}\n```\n\n"
        "```bash\ncurl -s -o /dev/null -w '%{url}' http://127.0.0.1:5002/\n```\n\n```text\n```\n"
    )
    assert "```text\nhttp://127.0.0.1:5002/\n```" in run_page(page, session)
    session.__exit__(None, None, None)
    assert session.servers[0].poll() is not None


@pytest.mark.parametrize(
    ("output", "shown", "expected"),
    [("a\nb\nc\nd\n", "", "a\nb\nc\nd\n"), ("a\nb\nc\nd\n", "x\n...\ny\n", "a\n...\nd\n"),
     ("a\nb\n", "x\n...\n", "a\n...\n"), ("\na  \n\n", "", "a\n")],
)  # fmt: skip
def test_lines_are_left_out_where_the_page_leaves_them_out(output: str, shown: str, expected: str) -> None:
    assert abridged(output, shown) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("took 3.2 s", "took 14 s"), (f"run {ID}", f"run {OTHER}"), ("| a   | 1.5 |", "| a | 12.25 |"),
     ("at 12:03:04", "at 09:14:55"), ("+0.03 (-0.1 to 0.2)", "-0.01 (-0.3 to 0.1)"), ("1,344 rows", "12 rows"),
     ("'brave-otter'", "'shy-lynx'"), ('"score": 4.77e-05', '"score": 0.0021'), ("took 59 s", "took 1 m 2 s")],
)  # fmt: skip
def test_numbers_ids_times_and_widths_do_not_count(one: str, other: str) -> None:
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    "changed", ["version 1 is the candidate", "version 1 was the champion", "", "x\nversion 1 is it"]
)
def test_changed_words_count(changed: str) -> None:
    page = "```bash\na\n```\n\n```text\n{}\n```\n"
    assert differing_outputs(page.format("version 1 is the champion"), page.format(changed))


def test_the_order_of_lines_and_how_often_one_is_printed_do_not_count() -> None:
    page = "```bash\na\n```\n\n```text\n{}\n```\n"
    assert not differing_outputs(page.format("epoch 1\nepoch 2\nfitted"), page.format("fitted\nepoch 1"))


def test_a_comment_that_is_not_understood_is_refused() -> None:
    block = BLOCK.search("<!-- exitcode 3 -->\n```bash\nls\n```\n")
    assert block
    with pytest.raises(ValueError, match="exitcode 3"):
        parsed(block)
