"""Teach a recurrent network to write one word, letter by letter.

The vocabulary has four letters: h, e, l and o. After an "l" comes once another "l" and once an "o": which of them, the
network can tell only from what it remembers of the letters before.
"""

from fastrnn import RNNLanguageModel

model = RNNLanguageModel(
    cell="rnn",
    tokenizer="chars",
    embedding_size=8,
    hidden_size=16,
    batch_size=1,
    learning_rate_init=0.02,
    max_iter=100,
    early_stopping=False,
    random_state=0,
)
model.fit(["hello"])

letters = model.vocabulary_.tokens[4:]  # after the special tokens <pad> <unk> <s> </s>
word = model.sample(top_k=1)[0]  # always the most probable letter
print(f"{letters} -> {word}")
assert sorted(letters) == ["e", "h", "l", "o"]
assert word == "hello"
