"""Exchange of n-gram models with other toolkits, in ARPA files."""

import numpy as np

from fastrnn.ngram.arpa.reading import find_twice, read_arpa
from fastrnn.ngram.arpa.writing import write_arpa
from fastrnn.ngram.table import MAX_ORDER, NGramTable
from fastrnn.text.tokens import START_ID, UNK_ID
from fastrnn.text.vocabulary import Vocabulary
from fastrnn.utils.checks import check_fitted
from fastrnn.utils.use import GuardedMixin


class ArpaMixin(GuardedMixin):
    """The methods of `NGramLanguageModel` that read and write ARPA files."""

    @classmethod
    def from_arpa(cls, path, tokenizer="whitespace", lowercase=False, normalize=None):
        r"""Read a model from an ARPA file of this package, KenLM, SRILM or another toolkit.

        N-grams may be in any order, and backoffs may be missing. A missing context or suffix of an n-gram is added
        with the probability that the model gives it. Without ``<unk>`` unknown words have probability 0.

        Parameters
        ----------
        path : str or os.PathLike
            The file: plain text or compressed with gzip, bzip2 or xz.
        tokenizer : {"words", "whitespace", "chars", "bytes"}, callable or tokenizers.Tokenizer
            The tokenizer that the model's training text was cut with.
        lowercase, normalize
            As in the constructor.

        Returns
        -------
        NGramLanguageModel
            A fitted model. `partial_fit` cannot add to it: the file does not hold the training text.

        Raises
        ------
        ValueError
            If the file is not an ARPA file, or damaged; the message names the line.

        Examples
        --------
        >>> lines = ["\\data\\", "ngram 1=4", "", "\\1-grams:", "0 <s>", "-1 </s>", "-0.3 yes", "-0.4 no", "\\end\\"]
        >>> import pathlib, tempfile
        >>> from fastrnn import NGramLanguageModel
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.arpa")
        ...     _ = path.write_text("\n".join(lines))
        ...     model = NGramLanguageModel.from_arpa(path)
        >>> model.predict_proba([""]).round(3)
        array([[0.   , 0.   , 0.   , 0.1  , 0.501, 0.398]])
        """
        file = read_arpa(path)
        if len(file.levels) > MAX_ORDER:
            raise ValueError(f"{path} has n-grams of up to {len(file.levels)} words, more than {MAX_ORDER}.")
        try:
            table = NGramTable.from_ngrams(file.levels, len(file.tokens))
        except ValueError:
            if line := find_twice(file):
                raise ValueError(f"{path}, line {line}: the n-gram occurs twice.") from None
            raise
        vocabulary = Vocabulary.from_tokens(file.tokens)
        model = cls._from_table(vocabulary, table, tokenizer=tokenizer, lowercase=lowercase, normalize=normalize)
        ids, log_probs, _ = file.levels[0]
        model._start_log_prob = float(log_probs[ids[:, 0] == START_ID][0])
        return model

    def to_arpa(self, path):
        """Write the model to an ARPA file for KenLM, SRILM and other toolkits.

        Parameters
        ----------
        path : str or os.PathLike
            The file. It is replaced whole or not at all, and compressed if its name ends in ``.gz``, ``.bz2`` or
            ``.xz``.

        Raises
        ------
        ValueError
            If such a file cannot hold a token: a space, for instance.
        """
        check_fitted(self, "vocabulary_")
        (ids, log_probs, backoffs), *longer = self._table.levels()
        log_probs = np.where(ids[:, 0] == START_ID, np.float32(self._start_log_prob), log_probs)
        known = (ids[:, 0] != UNK_ID) | (log_probs > -np.inf)
        unigrams = ids[known], log_probs[known], None if backoffs is None else backoffs[known]
        write_arpa(path, self.vocabulary_.tokens, [unigrams, *longer])

    @classmethod
    def _from_table(cls, vocabulary, table, **params):
        """Return a fitted model with this table, without the text that `partial_fit` needs."""
        model = cls(order=table.order, **params)
        model.vocabulary_ = vocabulary
        model.discounts_ = model.weights_ = None
        model._set_table(table)
        model._seen = model._text = None
        return model
