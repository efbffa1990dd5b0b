"""Questions about stories: the answer that is named is the only one that the grammar can tell."""

import math

import pytest

from bitnet.data.stories.likelihood import Likelihood
from bitnet.data.stories.parser import default_parser
from bitnet.data.stories.questions import CHOICES, Question, questions


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    return list(questions(3, 60, lambda text: True))


def test_only_the_right_choice_leaves_a_story_that_the_grammar_can_tell(asked):
    likelihood, answers = Likelihood(default_parser()), set()
    for question in asked:
        right = f"{question.context} {question.choices[question.answer]}"
        assert question.story.startswith(right)
        answers.add(question.answer)
        for index, choice in enumerate(question.choices):
            told = f"{question.context} {choice}{question.story[len(right) :]}"
            possible = likelihood.log_probability(told) > -math.inf
            assert possible == (index == question.answer)
    assert len(asked) >= 20 and len(answers) == CHOICES  # the right one stands anywhere


def test_choices_are_whole_ends_of_one_sentence_that_differ_in_a_word(asked):
    for question in asked:
        assert len(set(question.choices)) == CHOICES
        shortest = min(len(choice) for choice in question.choices)
        common = 0
        while len({choice[-1 - common :] for choice in question.choices}) == 1:
            common += 1
        assert 1 <= common < shortest
        assert all(choice.rstrip('"').endswith((".", "!", "?")) for choice in question.choices)
        assert not question.context.endswith((" a", " an", " "))


def test_a_right_answer_has_been_named_before(asked):
    named = [q.choices[q.answer].split()[0].strip('.,!?"') in q.context for q in asked]
    assert all(named)


def test_questions_fit_and_are_the_same_for_a_seed():
    def short(text: str) -> bool:
        return len(text) <= 200

    found = [list(questions(5, 40, short)) for _ in range(2)]
    assert found[0] == found[1] and found[0]
    assert found[0] != list(questions(6, 40, short))
    for question in found[0]:
        assert all(short(f"{question.context} {choice}") for choice in question.choices)
