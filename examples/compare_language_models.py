"""Compare an n-gram model and a recurrent network on English sentences, as ``fastrnn compare`` does."""

from fastrnn import NGramLanguageModel, RNNLanguageModel, Vocabulary
from fastrnn.datasets import load_python_docs
from fastrnn.language.comparison import compare_language_models, format_results
from fastrnn.text import tokenize_corpus

sentences = load_python_docs().data[:600]
train, valid, test = sentences[:480], sentences[480:540], sentences[540:]

# One vocabulary for both: only then can their perplexities be compared. Words seen once become <unk>.
vocabulary = Vocabulary(min_count=2).fit(tokenize_corpus(train))
models = {
    "3-gram": NGramLanguageModel(order=3, vocabulary=vocabulary),
    "GRU": RNNLanguageModel(cell="gru", embedding_size=32, hidden_size=32, vocabulary=vocabulary, random_state=0),
}
results = compare_language_models(models, train, valid, test, random_state=0)
print(format_results(results))
for result in results:
    print(f"\n{result.model}: {result.sample}")
