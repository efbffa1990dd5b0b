"""Quality of sampled stories: repetition, novelty, known words, share of grammatical sentences.

`texts` below are lists by part (held-out text, untrained, at the end, ...) of {"text", "ended"}: a
text, and whether it reached its end.
"""

from collections.abc import Iterable, Mapping, Sequence

from bitnet.data.stories.check import check_sentences
from bitnet.data.stories.parser import Parser
from bitnet.evaluation.text_quality import copied, distinct, known_share, seq_rep, words
from bitnet.experiments.rules import of_texts


def measured(
    texts: Mapping[str, Sequence[Mapping]], training: Iterable[str], parser: Parser | None
) -> dict[str, dict]:
    """Quality of the texts of each part: counts, shares (0 to 1), and `failures` as lines of text.

    training: documents of the training text, consumed once. parser: of the story grammar, or None
    for another corpus, which leaves out the shares of grammatical sentences.
    """
    split = {name: [words(w["text"]) for w in written] for name, written in texts.items()}
    everything = [text for part in split.values() for text in part]
    shares, known = copied(everything, training)
    found, first = {}, 0
    for name, part in split.items():
        own = [share for share in shares[first : first + len(part)] if share == share]
        first += len(part)
        found[name] = {
            "texts": len(part),
            "words": sum(map(len, part)),
            "distinct_2": distinct(part),
            "seq_rep_4": seq_rep(part),
            "all_novel": sum(share == 0 for share in own) / max(1, len(own)),
            "all_copied": sum(share == 1 for share in own) / max(1, len(own)),
            "copied": sum(own) / max(1, len(own)),
            "ended": sum(w["ended"] for w in texts[name]) / len(part),
            "known_words": known_share(part, known)[0],
            "failures": of_texts([w["text"] for w in texts[name]], known),
        }
        if parser:
            found[name] |= grammar_of(texts[name], parser)
    return found


def grammar_of(written: Sequence[Mapping], parser: Parser) -> dict:
    """Number of sentences, and the shares that are grammatical and that agree.

    The last sentence of a text that was cut short does not count.
    """
    sentences = []
    for text in written:
        checked = check_sentences(text["text"], parser)
        sentences += checked if text["ended"] else checked[:-1]
    count = max(1, len(sentences))
    return {
        "sentences": len(sentences),
        "grammatical": sum(s.grammatical for s in sentences) / count,
        "agreeing": sum(s.agrees for s in sentences) / count,
    }
