"""Export of a SentencePiece BPE tokenizer to the files of transformers.

With a unigram model, a normaliser or a dummy prefix, other software would silently split text into
other tokens. So every export is tested: a tokenizer that `tokenizers` does not reproduce on texts
of its own pieces is refused.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, decoders, normalizers, processors
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import BPE

from bitnet.common.errors import refuse
from bitnet.data.tokenizer import Tokenizer

SPACE = "▁"  # how SentencePiece writes a blank
TRIALS = 2_000  # texts on which both are compared
PIECES_A_TRIAL = 8
ALLOWED = "a BPE model with byte fallback, without normalisation and dummy prefix"


def fast_tokenizer(tokenizer: Tokenizer) -> FastTokenizer:
    """The same tokenizer for the library `tokenizers`; ValueError as `check_alike`.

    SentencePiece merges the pair whose piece has the highest score, `tokenizers` the pair that is
    first in a list of merges. So every pair that makes a piece is listed, sorted by score.
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
                merges.append((-sp.get_score(i), known[left], known[right], left, right))
    merges.sort()
    unknown, bos, eos = (pieces[i] for i in (sp.unk_id(), sp.bos_id(), sp.eos_id()))
    model = BPE(
        vocab=known,
        merges=[(left, right) for *_, left, right in merges],
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=True,
    )
    fast = FastTokenizer(model)
    fast.normalizer = normalizers.Replace(" ", SPACE)
    fast.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    check_alike(tokenizer, fast)
    fast.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, sp.bos_id())]
    )
    special = [AddedToken(piece, normalized=False, special=True) for piece in (unknown, bos, eos)]
    fast.add_special_tokens(special)
    return fast


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
    sp = tokenizer.model
    unknown, bos, eos = (sp.id_to_piece(i) for i in (sp.unk_id(), sp.bos_id(), sp.eos_id()))
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": unknown,
        "bos_token": bos,
        "eos_token": eos,
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": False,
        "legacy": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": longest,
    }
    fast_tokenizer(tokenizer).save(str(folder / "tokenizer.json"))
    text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    shutil.copyfile(path, folder / "tokenizer.model")
