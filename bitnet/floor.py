"""The best loss that any model can have on a corpus, where that is known: the built-in stories."""

from collections.abc import Mapping
from functools import cache
from itertools import islice

import numpy as np
import pandas as pd

from bitnet.stories import stories
from bitnet.story_parser import default_parser
from bitnet.story_quality import best_possible

STORIES = 200  # held-out ones that it is measured on: a second; 100 of them give it to 1 %


def with_floor(rows: pd.DataFrame, records: Mapping[str, Mapping]) -> pd.DataFrame:
    """Rows of a study with FloorLoss, by what their records say of the text."""
    source = next(iter(records.values()))["lineage"].get("text", {}).get("source", {})
    return rows.assign(FloorLoss=floor_loss(rows, source))


def floor_loss(rows: pd.DataFrame, source: Mapping) -> float:
    """ValLoss of the grammar itself, nats a token; NaN for another corpus than the stories.

    rows: of one study, whose tokens have one length in bytes. source: its block of corpora.
    """
    read = rows[rows["ValLoss"] > 0]
    if source.get("source") != "stories" or read.empty:
        return np.nan
    first = read.iloc[0]
    return _bits_per_byte(source["seed"]) * first["ValLoss"] / first["BitsPerByte"]


@cache
def _bits_per_byte(seed: int) -> float:
    held_out = list(islice(stories(seed, "validation"), STORIES))
    return best_possible(held_out, default_parser())["bits_per_byte"]
