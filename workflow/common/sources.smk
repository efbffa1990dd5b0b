# Functions: the files that text and tokenizers come from, known by content. They are no inputs of
# rules: dates do not count, and once data/ holds what was made of them, they may be absent.
from functools import cache

from bitnet.common.errors import CorpusError
from bitnet.data.local_files import expanded
from workflow.provenance.recognise import say
from workflow.provenance.sources import Digests, differing, identity, list_sources

DIGESTS = "data/digests.json"


def text_flags(wildcards):
    """Flags of the script `text` for the files that it reads; none where its source is no files.

    Where they are absent, those that data/ was made from: then nothing is made anew. If it would
    have to be, that ends the pipeline in one line.
    """
    corpus = wildcards.corpus
    found, problem = sources_at_hand(corpus)
    if found is None and problem:
        made, source = described_text(corpus), config["corpora"][corpus]
        forced = workflow.dag_settings.forceall or "text" in workflow.dag_settings.forcerun
        now = {"source": source, "code": code("text", source["source"])}
        if forced or made.get("made_from") != now:
            sys.exit(f"error: {problem}")
        found = made["sources"]
    return f"--sources {identity(found)} --digests {DIGESTS}" if found else ""


@cache
def sources_at_hand(corpus):
    """Files of a corpus by split, and None; or None, and why there are none."""
    source = config["corpora"][corpus]
    if source["source"] != "files":
        return None, None
    try:
        return list_sources(source, Digests(DIGESTS), f"corpora.{corpus}."), None
    except CorpusError as error:
        return None, str(error)


def described_text(corpus):
    """Description of the text of a corpus that data/ holds; empty where it holds none."""
    return described(f"data/{corpus}/text.json")


@cache
def described(path):
    """What a JSON file of this project holds; empty where it is missing or damaged."""
    try:
        return read_json(path)
    except (ValueError, OSError):
        return {}


def lineage_sources(corpus, record):
    """Identity of the files of a corpus for the lineage of a run, as an item; none without files.

    Files at hand count, else those that data/ was made from, else those of the run's own record:
    absent files contradict nothing.
    """
    if config["corpora"][corpus]["source"] != "files":
        return {}
    found, problem = sources_at_hand(corpus)
    made = described_text(corpus).get("sources") or described(record).get("sources")
    if found and made and identity(found) != identity(made):
        odd = differing(found, made)
        announce_source(f"corpora.{corpus}: other content than its text was made from: {odd}")
    if problem and made:
        announce_source(
            f"the files of corpora.{corpus} are not at hand: what was made from them stays ({problem})"
        )
    known = found or made
    return {"sources": identity(known)} if known else {}


def announce_source(line):
    """Say a line about source files, once, and not again in each job."""
    if workflow.is_main_process:
        say(line)


def model_at_hand(kind):
    """Path of a tokenizer's own .model, and its sha256: None where it is absent."""
    path = expanded(kind)
    try:
        digests = Digests(DIGESTS)
        found = digests.of(path)["sha256"]
        digests.keep()
        return path, found
    except OSError:
        return path, None


def copied_model(kind, corpus, label, record=None):
    """Path and sha256 of the .model that a tokenizer is a copy of.

    Where it is absent, the sha256 of the copy that data/ holds, or of the run's record.
    """
    path, found = model_at_hand(kind)
    if found is None:
        copy = described(f"data/{corpus}/{label}/tokenizer.model.json")
        if copy and copy.get("code") != code("tokenizer"):
            copy = {}  # it would have to be made again
        known = described(record).get("lineage", {}).get("tokenizer", {}) if record else {}
        found = copy.get("sha256") or known.get("sha256")
        if found:
            announce_source(f"tokenizer {kind!r} is absent; the copy of it stays")
    return path, found
