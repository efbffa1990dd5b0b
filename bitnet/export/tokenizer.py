"""Export of a SentencePiece BPE tokenizer to the files of transformers.

With a unigram model or a normaliser, other software would silently split text into other tokens. So
every export is tested: a tokenizer that `tokenizers` does not reproduce on texts of its own pieces
is refused. A dummy prefix, as LLaMA-2's and Mistral's models have, becomes a normaliser.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, decoders, normalizers, processors
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import BPE

from bitnet.common.errors import refuse
from bitnet.data.tokenizer import SPACE, Tokenizer

TRIALS = 2_000  # texts on which both are compared
PIECES_A_TRIAL = 8
ALLOWED = "a BPE model with byte fallback, without normalisation"


def fast_tokenizer(tokenizer: Tokenizer) -> FastTokenizer:
    """The same tokenizer for the library `tokenizers`; ValueError as `check_alike`.

    SentencePiece merges the pair whose piece has the highest score, `tokenizers` the pair that is
    first in a list of merges. So every pair that makes a piece is listed, sorted by score. Of pairs
    with equal scores SentencePiece takes the leftmost in the text, so that a run of blanks, whose
    pieces all have one score, grows from its left: there the longest left piece comes first.
    """
    sp = tokenizer.model
    pieces = [sp.id_to_piece(i) for i in range(tokenizer.vocab_size)]
    known = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for i, piece in enumerate(pieces):
        if sp.is_control(i) or sp.is_byte(i) or sp.is_unknown(i):
            continue
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in known and right in known:
                merges.append((-sp.get_score(i), -cut, known[left], known[right], left, right))
    merges.sort()
    unknown, bos, eos, pad = _special(tokenizer)
    model = BPE(
        vocab=known,
        merges=[(left, right) for *_, left, right in merges],
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=True,
    )
    fast = FastTokenizer(model)
    prefix = [normalizers.Prepend(SPACE)] if tokenizer.dummy_prefix else []
    fast.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", SPACE)])
    whole = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    fast.decoder = decoders.Sequence([*whole, *(decoders.Strip(" ", 1, 0) for _ in prefix)])
    check_alike(tokenizer, fast)
    fast.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, sp.bos_id())]
    )
    special = dict.fromkeys([unknown, bos, eos, pad])
    fast.add_special_tokens(
        [AddedToken(piece, normalized=False, special=True) for piece in special]
    )
    return fast


def pad_id(tokenizer: Tokenizer) -> int:
    """Id of the piece that fills up the shorter sequences of a batch: pad, else unk.

    With byte fallback unk is in no text. eos is not taken: transformers' Trainer leaves the pad
    token out of the loss, so that a model tuned there would forget to end.
    """
    sp = tokenizer.model
    return sp.pad_id() if sp.pad_id() >= 0 else sp.unk_id()


def _special(tokenizer: Tokenizer) -> list[str]:
    """The pieces unk, bos, eos and pad."""
    sp = tokenizer.model
    ids = (sp.unk_id(), sp.bos_id(), sp.eos_id(), pad_id(tokenizer))
    return [sp.id_to_piece(i) for i in ids]


def check_alike(tokenizer: Tokenizer, fast: FastTokenizer) -> None:
    """Check that both tokenizers split texts of its own pieces into the same tokens.

    ValueError in one line where they do not, or where pieces for single bytes are missing. A text
    that spells a special piece, like <s>, is not tested: `tokenizers` makes it that piece.
    """
    sp = tokenizer.model
    if sum(map(sp.is_byte, range(tokenizer.vocab_size))) != 256:  # llama.cpp would abort
        raise refuse("tokenizer", "one without pieces for all 256 bytes", ALLOWED)
    ordinary = [i for i in range(tokenizer.vocab_size) if not (sp.is_control(i) or sp.is_byte(i))]
    rng = np.random.Generator(np.random.Philox(key=[tokenizer.vocab_size, TRIALS]))
    drawn = rng.choice(ordinary, size=(TRIALS, PIECES_A_TRIAL))
    texts = ["".join(sp.id_to_piece(int(i)) for i in row).replace(SPACE, " ") for row in drawn]
    texts += [
        "x",
        "  two  blanks ",
        "line\n\nline\t\n",
        "½ ﬁ Å e\u0301",
        "漢字 🙂\u200d🙂",
        "\0\x7f",
        *(" " * count for count in (1, 2, 17, 302)),
    ]
    for text in texts:
        ours, theirs = sp.encode(text), fast.encode(text, add_special_tokens=False).ids
        if ours != theirs:
            raise refuse("tokenizer", f"one that transformers splits otherwise: {text!r}", ALLOWED)


def write_tokenizer(path: str | Path, folder: Path, longest: int) -> None:
    """Write tokenizer.json, tokenizer_config.json and tokenizer.model into a folder.

    path: of a SentencePiece model. longest: context length of the model in tokens. ValueError as
    `fast_tokenizer`.
    """
    tokenizer = Tokenizer(path)
    unknown, bos, eos, pad = _special(tokenizer)
    settings = {
        # Takes tokenizer.json as it is; LlamaTokenizer of transformers 5 makes its own from it,
        # which splits text otherwise where there is a dummy prefix.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unknown,
        "bos_token": bos,
        "eos_token": eos,
        "pad_token": pad,
        "padding_side": "left",  # text is continued at its right end
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": tokenizer.dummy_prefix,
        "legacy": tokenizer.dummy_prefix,
        "clean_up_tokenization_spaces": False,
        "model_max_length": longest,
    }
    fast_tokenizer(tokenizer).save(str(folder / "tokenizer.json"))
    text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    shutil.copyfile(path, folder / "tokenizer.model")
