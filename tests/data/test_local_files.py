"""Patterns of local files: which files they mean, each once, and what is refused."""

import glob
import os
from pathlib import Path

import pytest

from bitnet.common.errors import CorpusError
from bitnet.data.local_files import matching_files, source_files


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.fsencode(name))


def found(*patterns: str) -> list[str]:
    return [file.path for file in matching_files([*patterns], "corpora.mine.train")]


def refusal(*patterns: str) -> str:
    with pytest.raises(CorpusError) as caught:
        found(*patterns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATTERNS = (
    "*.txt **/*.txt ** * a/** a/**/c.txt a/*/c.txt */[bc].txt x.txt a/./b.txt a//b.txt */../x.txt "
    ".h/* .*/*.txt **/.i.txt a**b.txt [[]q[]].txt nothing/*.txt x.txt/* **/d/**/*.txt ?.txt a"
)


@pytest.mark.parametrize("pattern", PATTERNS.split())
def test_patterns_mean_what_they_mean_to_glob(here, pattern):
    make(here, "x.txt", "a/b.txt", "a/n.txt", "a/d/c.txt", "a/d/e/c.txt", ".h/y.txt", "a/.i.txt")
    make(here, "aab.txt", "[q].txt")
    matches = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]
    if matches:
        assert [*map(Path, found(pattern))] == [Path(p) for p in sorted({*matches})]
    else:
        assert f"corpora.mine.train is {pattern!r}; allowed: a pattern" in refusal(pattern)


def test_files_are_read_once_whatever_links_and_patterns_lead_to_them(here):
    """Reports of data sets counted twice through links, and of walks that never end in a loop."""
    make(here, "a.txt", "sub/b.txt")
    (here / "link.txt").symlink_to("a.txt")
    (here / "folder").symlink_to("sub")
    (here / "sub/loop").symlink_to(here)
    (here / "sub/again").symlink_to(here / "sub")
    (here / "dangling.txt").symlink_to("nowhere")
    (here / "self.txt").symlink_to("self.txt")
    patterns = ("**/*.txt", "./a.txt", "a.txt", "sub/../a.txt", str(here / "a.txt"), "folder/*.txt")
    paths = found(*patterns)
    assert sorted(os.path.realpath(path) for path in paths) == sorted(
        str(here.resolve() / name) for name in ("a.txt", "sub/b.txt")
    )
    os.link(here / "a.txt", here / "hard.txt")  # two files of one content, as a copy is
    assert found("*.txt") == ["a.txt", "hard.txt"]


def test_names_with_braces_quotes_blanks_and_broken_bytes_are_files_like_others(here):
    """Reports of names from old disks and archives that end a run in a traceback."""
    names = ["o{p}en.txt", "it's.txt", "two words.txt", "{}.txt", os.fsdecode(b"caf\xe9.txt")]
    make(here, *names)
    assert found("*.txt") == sorted(names)


def test_home_and_variables_are_expanded_where_no_file_has_that_name(here, monkeypatch):
    """Questions about patterns that work in a shell and match nothing in a config file."""
    make(here, "home/a.txt", "$DATA/b.txt", "other/b.txt")
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("DATA", "other")
    assert found("~/*.txt") == [str(here / "home/a.txt")]
    assert found("${DATA}/*.txt") == ["other/b.txt"]
    assert found("$DATA/*.txt") == ["$DATA/b.txt"]
    meant = here / "home/*.md"
    allowed = "allowed: a pattern that matches a file"
    assert refusal("~/*.md") == f"corpora.mine.train is '~/*.md' ({str(meant)!r}); {allowed}"
    assert refusal("*.md") == f"corpora.mine.train is '*.md'; {allowed}"


def test_a_folder_that_cannot_be_read_is_refused(here, monkeypatch):
    """Reports of folders of another user that a walk leaves out without a word."""
    make(here, "texts/open/a.txt", "texts/shut/b.txt")
    listdir = os.listdir

    def guarded(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", guarded)  # a user of all rights could read it
    for pattern in ("texts/**/*.txt", "texts/*/*.txt"):
        said = f"corpora.mine.train is {pattern!r}; allowed: only what may be read, "
        assert refusal(pattern) == f"{said}unlike 'texts/shut'"
    assert found("texts/open/*.txt") == ["texts/open/a.txt"]


def test_names_are_those_below_the_folder_that_a_pattern_names(here):
    make(here, "texts/a.txt", "texts/deep/b.txt")
    for patterns in (["texts/**/*.txt"], [str(here / "texts/**/*.txt")]):
        files = matching_files(patterns, "train")
        assert [file.name for file in files] == ["a.txt", "deep/b.txt"]
    assert matching_files(["texts/a.txt"], "train")[0].name == "a.txt"


def test_the_same_files_for_both_splits_are_said_to_be_the_same(here):
    """Questions of newcomers: every document held out, and the line said there were none."""
    make(here, "a.txt", "b.txt")
    (here / "link.txt").symlink_to("a.txt")
    source = {"source": "files", "train": ["a.txt"], "validation": ["link.txt"]}
    with pytest.raises(CorpusError) as caught:
        source_files(source, "corpora.mine.")
    said = "corpora.mine.validation names 'a.txt', as corpora.mine.train does; allowed: other files"
    assert str(caught.value).startswith(said)
    assert [*source_files({**source, "train": ["*.txt"]})] == ["train", "validation"]
    assert [*source_files({**source, "validation": []})] == ["train"]
