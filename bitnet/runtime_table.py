"""The comparison of runtimes as text. Free of torch."""

from collections.abc import Sequence

import pandas as pd

from bitnet.text import bullets, fill, table

MEGABYTE = 1e6
LEGEND = (
    "bits per byte, argmax: loss at the N held-out positions, and the share of them at which the "
    "runtime predicts the same token as the model does here, as it was trained.",
    "read: tokens a second of processor time, of whole windows, one after the other. write: of "
    "going on with a text by one token at a time, greedily, keys and values kept.",
    "file: the weights alone; here the float32 ones that training goes on with.",
    "memory: the most that the process held, and what it held before it loaded the model: "
    "libraries and held-out tokens.",
)


def markdown(rows: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    """A table of runtimes, what its columns mean, and a line for each that was left out."""
    header = ["runtime", "form", "bits per byte", "argmax", "read /s", "write /s", "file MB"]
    header += ["memory MB", "before loading MB"]
    lines = [
        [
            f"{row.Runtime} {row.Version}".strip(),
            row.Form,
            f"{row.BitsPerByte:.5f}",
            f"{row.ArgmaxAgreement:.2%}",
            f"{row.ReadTokensPerSecond:,.0f}",
            f"{row.WriteTokensPerSecond:,.0f}",
            f"{row.FileBytes / MEGABYTE:.1f}",
            f"{row.PeakMemoryBytes / MEGABYTE:.0f}",
            f"{row.ImportMemoryBytes / MEGABYTE:.0f}",
        ]
        for row in rows.itertuples()
    ]
    told = f"The same model and text in each runtime, one thread, N = {rows['N'].iloc[0]:,}."
    parts = [f"# Runtimes of {title}", fill(told), table(header, lines)]
    return "\n\n".join([*parts, *([bullets(notes)] if notes else []), bullets(LEGEND)]) + "\n"
