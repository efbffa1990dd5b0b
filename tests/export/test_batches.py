"""Exported folders in batches: prompts of different lengths, transformers' pipeline and Trainer.

Kind of fault: a folder without a pad token, with which none of these work; a pad token that is the
end of a text, which a tuned model then forgets.
"""

import pytest
from transformers import (
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
    pipeline,
)

from bitnet.export.formats import FOLDERS
from tests.helpers.exports import load

PROMPTS = ["The", "Once upon a time there was a dog. ", "A cat", "One day, Tom and his mother"]
GREEDY = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False}


@pytest.fixture(params=FOLDERS)
def folder(request, made):
    return made[request.param]


def tokenizer_of(folder):
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def test_padded_prompts_are_continued_as_each_alone(folder):
    model, tokenizer = load(folder), tokenizer_of(folder)
    batch = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    assert (batch["attention_mask"][:, -1] == 1).all() and (batch["attention_mask"] == 0).any()
    together = model.generate(**batch, **GREEDY)[:, -8:].tolist()
    alone = [tokenizer(prompt, return_tensors="pt") for prompt in PROMPTS]
    assert together == [model.generate(**one, **GREEDY)[0, -8:].tolist() for one in alone]


def test_the_pipeline_takes_batches(folder):
    write = pipeline("text-generation", str(folder))
    by_two, by_one = (write(PROMPTS, batch_size=size, **GREEDY) for size in (2, 1))
    assert by_two == by_one and len(by_two) == len(PROMPTS)


def test_the_trainers_collator_pads_and_keeps_the_end_of_a_text(made, tmp_path):
    tokenizer, model = tokenizer_of(made["dense"]), load(made["dense"])
    collate = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    texts = [{"input_ids": [*tokenizer(text)["input_ids"], 2]} for text in PROMPTS]
    batch = collate(texts)
    assert model.config.pad_token_id == tokenizer.pad_token_id == 0
    assert (batch["labels"][:, -1] == 2).all()
    assert ((batch["labels"] == -100) == (batch["attention_mask"] == 0)).all()
    how = TrainingArguments(tmp_path, max_steps=2, report_to=[], use_cpu=True, save_strategy="no")
    trained = Trainer(model, how, train_dataset=texts, data_collator=collate).train()
    assert 0 < trained.training_loss < 7
