"""Who says the vowels? Nine speakers, told apart by series of 7 to 29 steps (JapaneseVowels, in FASTRNN_DATA)."""

from fastrnn import RNNClassifier
from fastrnn.datasets import load_japanese_vowels

train, test = load_japanese_vowels("train"), load_japanese_vowels("test")
model = RNNClassifier("gru", hidden_size=64, pooling="mean", input="series", random_state=0)
model.fit(train.data, train.target)
print(f"{model.score(test.data, test.target):.1%} of {len(test.data)} series have the right speaker")
