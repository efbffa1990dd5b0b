"""Validation of config.yaml: by its schema, and of rules between keys that no schema states.

An error is one line that names the key, its value and what is allowed. Free of torch.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match

from bitnet.common.errors import one_of, refuse, shorten
from bitnet.config.study import MOST_RUNS, Study


def _is_integer(_, value) -> bool:
    """Whether a value is a Python int: JSON schema would take the float 1e3 for an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def check(config: Mapping, schema: Mapping) -> None:
    """Check a whole config; ValueError in one line naming key, value and what is allowed."""
    error = best_match(Validator(schema).iter_errors(config))
    if error is not None:
        raise ValueError(_explain(error))
    _finite(config, "")
    verdict, names, room = config["verdict"], config["studies"], MOST_RUNS
    for low, high in ORDERED:
        if verdict[low] > verdict[high]:
            raise refuse(f"verdict.{low}", verdict[low], f"at most {high} = {verdict[high]}")
    for key, others in (("main_study", [*names]), ("study", ["auto", *names])):
        if config[key] not in others:
            raise refuse(key, config[key], one_of(others))
    asked = {name: study["question"] for name, study in names.items() if "question" in study}
    questions = [name for name, question in asked.items() if not {"axis", "metric"} & {*question}]
    ledgers = {f"claims.{name}": scopes for name, scopes in config["claims"].items()}
    for key, scopes in {**ledgers, "gpu_protocol": config["gpu_protocol"]}.items():
        for scope in scopes:
            _check_scope(key, scope, questions, config["corpora"])
    for size, scopes in config["sanity"].items():
        for kind, scope in scopes.items():
            fit = [name for name, study in names.items() if study.get("experiment") == kind]
            _check_scope(f"sanity.{size}.{kind}", scope, fit, config["corpora"])
    if config.get("override_pilot") not in (None, *names):
        raise refuse("override_pilot", config["override_pilot"], one_of(names))
    if config.get("corpus", next(iter(config["corpora"]))) not in config["corpora"]:
        raise refuse("corpus", config["corpus"], one_of(config["corpora"]))
    for name in names:
        try:
            room -= Study.of(config, name).check(room)
            if pilot := names[name].get("pilot"):
                _check_pilot(Study.of(config, name), config, pilot)
        except ValueError as error:
            raise ValueError(f"studies.{name}: {error}") from None


def _check_scope(key: str, scope: str, studies: Sequence[str], corpora: Mapping) -> None:
    """Refuse a "study@corpus" unless the study is one of `studies` and the corpus exists."""
    name, _, corpus = scope.partition("@")
    if name not in studies or (corpus and corpus not in corpora):
        raise refuse(key, scope, f"{one_of(studies)}, on @ one of {', '.join(corpora)}")


def _check_pilot(study: Study, config: Mapping, name: str) -> None:
    """Refuse a pilot whose data or recipe differ from those of its study's first run."""
    pilots = [
        other for other, block in config["studies"].items() if block.get("experiment") == PILOT
    ]
    if name not in pilots:
        raise refuse("pilot", name, one_of(pilots))
    pilot = Study.of(config, name)
    for key in ("corpus", "tokenizer"):
        if getattr(pilot, key) != getattr(study, key):
            raise refuse(f"pilot {name}: {key}", getattr(pilot, key), getattr(study, key))
    own, its = (dataclasses.asdict(s.recipe(s.trunk(s.runs()[0]))) for s in (study, pilot))
    for block, values in own.items():
        for key in sorted(values.keys() - FREE):
            if its[block][key] != values[key]:
                raise refuse(
                    f"pilot {name}: {key}", its[block][key], f"the study's own, {values[key]}"
                )


PILOT = "pilot"
FREE = {"wd_switch", "evaluate_every", "evaluate_at", "samples"}  # in which a pilot may differ
ORDERED = (
    ("collapsed_below", "diverse_above"),
    ("blind_collapsed_share", "blind_diverse_share"),
)
RULES = {  # keywords of JSON schema, in words
    "title": "{}",
    "type": "{}",
    "enum": "{}",
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "of at least {}",
    "maxItems": "of at most {}",
    "minProperties": "of at least {} keys",
    "maxProperties": "of at most {} keys",
    "uniqueItems": "without repeats",
    "not": "none of {}",
}


def _explain(error: ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "config"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        odd = min(set(error.instance) - set(known), key=str)
        return f"{key} has the unknown key {shorten(repr(odd), 80)}; allowed: {', '.join(known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{key}.{missing} is missing; allowed: only with a value"
    if "propertyNames" in error.absolute_schema_path:
        key = f"a key of {key}"
    allowed = [
        text.format(_words(error.schema[rule]))
        for rule, text in RULES.items()
        if rule in error.schema and not (rule == "type" and "title" in error.schema)
    ]
    return str(refuse(key, error.instance, ", ".join(allowed)))


def _words(rule) -> str:
    if isinstance(rule, Mapping):  # the schema of a `not`
        return ", ".join(rule["enum"]) if "enum" in rule else rule["pattern"]
    return " or ".join(map(str, rule)) if isinstance(rule, list) else str(rule)


def _finite(value, key: str) -> None:
    """Refuse .nan, which passes every comparison of a schema, .inf, and -0.0."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _finite(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            _finite(inner, key)
    elif isinstance(value, float) and (not math.isfinite(value) or str(value) == "-0.0"):
        raise refuse(key, value, "a finite number, 0 without a sign")
