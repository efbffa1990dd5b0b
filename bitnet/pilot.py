"""What a pilot may say, and that a long training obeys it. Free of torch."""

from bitnet.files import read_json

GO, NO_GO = "go", "no-go"


def check_pilot(path: str) -> None:
    """ValueError in one line unless the pilot at `path` says go."""
    found = read_json(path)
    if found["verdict"] != GO:
        raise ValueError(
            f"the pilot says {found['verdict']} ({'; '.join(found['reasons'])}): {path}; "
            "--config override_pilot=<the study's name> trains all the same"
        )
