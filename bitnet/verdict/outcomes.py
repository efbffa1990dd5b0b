"""Outcomes of a cell by name, in the order of the rule, and what each says."""

from collections.abc import Mapping

from bitnet.config.question import COUNT, Question, value_name

# Arms that share no trunk cannot be said to be fixed: the control shows what would have been.
PREVENTS = {
    "fixed": "prevented",
    "no effect (nothing to fix)": "no effect (nothing to prevent)",
}

MEANINGS = {
    "diverges": "most runs with {t} diverged, few with {c}, beyond chance (Fisher's exact test)",
    "control diverges": "the reverse",
    "no verdict": "too few seeds that can be compared, or most runs of an arm diverged",
    "stays collapsed": "trunks and both arms collapsed in most seeds",
    "temporary recovery": "most runs with {t} were diverse for a while and collapsed at the last",
    "harmful": "{t} less diverse than {c}, by more than the equivalence ratio, loss not better",
    "fixed": "most trunks collapsed, most runs diverse with {t}, few with {c}, {t} more diverse by "
    "more than the equivalence ratio, loss not worse",
    "recovers either way": "most trunks collapsed, most runs of both arms diverse",
    "no effect": "diversity and loss of the arms are equivalent (both TOSTs pass)",
    "no effect (nothing to fix)": "the same, where most trunks had not collapsed",
    "helps": "{t} more diverse by more than the equivalence ratio, loss not worse, but no fix",
    "trade-off": "more diverse at a worse loss, or less diverse at a better one",
    "lower loss": "diversity equivalent, loss with {t} better",
    "higher loss": "diversity equivalent, loss with {t} worse",
    "inconclusive": "none of these is shown",
}
MEANINGS_APART = {
    "stays collapsed": "both arms collapsed in most seeds",
    "prevented": "most runs with {c} ended collapsed, most with {t} diverse, {t} more diverse by "
    "more than the equivalence ratio, loss not worse",
    "no effect (nothing to prevent)": "the same, where most runs with {c} did not end collapsed",
}
MEANINGS_OF_METRIC = {
    "harmful": "{t} gives worse {metric} than {c}, by more than the margin",
    "no effect": "{metric} and loss of the arms are equivalent (both TOSTs pass)",
    "helps": "{t} gives better {metric}, by more than the margin, but collapse is as with {c}",
    "trade-off": "better {metric} at a worse loss, or the reverse",
    "lower loss": "{metric} equivalent, loss with {t} better",
    "higher loss": "{metric} equivalent, loss with {t} worse",
}


def named(outcome: str, question: Question) -> str:
    """The name of an outcome of the rule, in a study of this question."""
    return outcome if question.shares_trunk else PREVENTS.get(outcome, outcome)


def meanings(question: Question) -> dict[str, str]:
    """What each outcome says, by name, in the order of the rule."""
    texts = chosen(question, MEANINGS, MEANINGS_APART, MEANINGS_OF_METRIC)
    outcomes = [o for o in MEANINGS if question.shares_trunk or o != "recovers either way"]
    return {name: texts[name] for name in (named(outcome, question) for outcome in outcomes)}


def chosen(question: Question, usual: Mapping, apart: Mapping, of_metric: Mapping) -> dict:
    """Texts for a question, filled in: the usual ones, or those of its axis and of its metric.

    {t} and {c} are the arms' names, {control} the control's value, {metric} the metric's column.
    """
    texts = {**usual, **({} if question.shares_trunk else apart)}
    texts |= of_metric if question.metric.column != COUNT else {}
    words = {arm[0]: question.arm_name(arm) for arm in ("treatment", "control")}
    words |= {"metric": question.metric.column, "control": value_name(question.control)}
    return {name: text.format(**words) for name, text in texts.items()}
