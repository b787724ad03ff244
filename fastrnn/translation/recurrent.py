"""Recurrent translators: networks that read a sequence and write another one."""

import numpy as np

from fastrnn.exchange._torch_translation import TorchTranslationMixin
from fastrnn.networks.translation import TranslationNetwork
from fastrnn.text.tokens import NEVER_WRITTEN, UNK_ID
from fastrnn.translation.base import SequenceWriter
from fastrnn.translation.texts import SourceReader, learn_sides, side_options
from fastrnn.utils.checks import check_choice


class RNNTranslator(TorchTranslationMixin, SequenceWriter):
    """Recurrent encoder and decoder with attention: a sequence is written for each sequence, of any other length.

    Tokens of the source → embedding → recurrent layers → memory. Token before → embedding → recurrent layers, the
    lowest of which attends to the memory → dense with tanh → softmax over the tokens that follow (Bahdanau et al. 2015,
    Luong et al. 2015, Wu et al. 2016).

    X and y are lists of texts (str), or of lists of tokens: strings or whole numbers. A `pathlib.Path` or an open file
    has a text in each line. Predictions are of the kind of y. Sources and targets may be empty: the context of an empty
    source is zero.

    Each of the parameters `tokenizer`, `vocab_size`, `lowercase`, `normalize`, `encoding`, `min_count`, `max_vocab`,
    `max_length` and `truncation` is one value for both sides, or a pair (source, target).

    Parameters
    ----------
    cell : str or cell, default="gru"
        Name of the recurrent cell, see `fastrnn.layers.cells`, or an instance of your own cell class.
    embedding_size : int, default=128
        Length of a token's vector.
    hidden_size : int, default=256
        Hidden units of each layer of encoder and decoder, and of each direction of the encoder.
    num_layers : int, default=1
        Number of recurrent layers of the encoder, and of the decoder.
    bidirectional : bool, default=True
        Whether the encoder reads in both directions.
    attention : {"additive", "dot", "general"} or None, default="additive"
        Score of the memory's vectors at each step of the decoder, see `fastrnn.layers.Attention`. With "dot", the
        outputs of both directions of the encoder are added. None: the decoder knows the encoder's last state alone
        (Sutskever et al. 2014).
    input_feeding : bool, default=True
        True: the decoder attends before each step, and the step reads the context (Bahdanau et al. 2015). False: it
        attends after the step, with the new state (Luong et al. 2015), which is faster.
    tie_weights : bool, default=False
        Whether the output layer's weight is the embedding of the targets (Press and Wolf 2017).
    share_vocabulary : bool, default=False
        Whether both sides have one vocabulary and one embedding.
    tokenizer : str, callable, tokenizers.Tokenizer or None, default="words"
        Cuts texts into tokens: "words", "whitespace", "chars" or "bytes", see `fastrnn.text.get_tokenizer`; "subwords",
        which `fit` learns by `fastrnn.text.train_subwords` (extra ``subwords``), from both sides together with
        `share_vocabulary`; a callable; or a tokenizer of the library tokenizers. None admits lists of tokens alone; the
        others take them as they are, too. Predicted words are joined with the spaces of English; the other tokenizers
        keep the spaces of the targets.
    vocab_size : int, default=8000
        Number of pieces with ``tokenizer="subwords"``.
    lowercase : bool, default=False
        Whether texts are converted to lower case first.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        Normal form of Unicode that texts are converted to first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        Encoding of files.
    min_count : int, default=1
        Tokens that appear less often in the training data are unknown.
    max_vocab : int or None, default=None
        Largest size of a vocabulary, the four special tokens included.
    max_length : int or None, default=None
        Most tokens of a source, and most tokens of a target in training; the rest is cut off. The end of a target that
        was cut is not learned.
    truncation : {"end", "start"}, default="end"
        The part of a long source that is cut off.
    replace_unknown : bool, default=True
        Whether ``<unk>`` in a prediction is replaced by the token of the source with the largest attention (Luong et
        al. 2015). Otherwise, without attention, and where targets are numbers and sources are not, it is never
        predicted.
    dropout : float, default=0.3
        Probability of dropout on vectors of tokens, between layers, and before the output, in training.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a token are zeroed in a batch.
    locked_dropout : bool, default=False
        Whether dropout is the same at every step of a sequence (Gal and Ghahramani 2016).
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        See `fastrnn.layers.Recurrent`.
    residual : bool, default=False
        Whether the input of a layer is added to its output, from the second layer on.
    label_smoothing : float, default=0.1
        Share of the probability that the training gives all tokens alike (Szegedy et al. 2016). `loss_curve_` has the
        smoothed loss; scores are those of the targets.
    scheduled_sampling : float, default=0.0
        Probability that the decoder reads its own prediction in place of the token before, so that it learns to go on
        after a mistake. It rises from 0 to this value in the course of a training (Bengio et al. 2015). One more pass,
        which reads the true tokens, makes these predictions.
    optimizer : {"adam", "sgd", …} or Optimizer, default="adam"
    learning_rate_init : float, default=1e-3
    batch_size : int or "auto", default="auto"
        Pairs of a step; fewer where sequences are very long. "auto" is a fiftieth of all pairs, at least 16 and at most
        64.
    max_iter : int or "auto", default="auto"
        Number of epochs; "auto" makes at least 4,000 steps and 10 epochs, but at most 500 epochs of few examples.
    schedule : {"cosine", "plateau", "constant"}, default="cosine"
        Course of the learning rate, see `fastrnn.training.schedule.Schedule`.
    warmup : int, default=0
        Number of steps at the beginning in which the learning rate rises to `learning_rate_init`.
    alpha : float, default=0.0
        Weight decay.
    clip_norm : float or None, default=1.0
        Largest norm of the gradient.
    averaging : {"ema", "asgd"} or None, default=None
        Whether means of the weights over steps are validated and kept, see `fastrnn.training.averaging.WeightAverage`.
    averaging_decay : float, default=0.999
    early_stopping : bool, default=False
        Whether a part of the pairs is set aside for validation, and the training ends when the validation score does
        not increase any more.
    validation_fraction : float, default=0.1
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement after which a training with validation data ends; "auto" takes 5, or as many as make
        500 batches on small data.
    tol : float, default=1e-4
        Increase of the score that counts as improvement.
    warm_start : bool, default=False
        Whether `fit` continues from the weights and vocabularies of the last `fit`.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough. Results do not depend on it.
    device : {"cpu", "cuda", "auto"}, default="cpu"
    precision : {"highest", "high", "medium"}, default="highest"
        See `RNNClassifier`.
    verbose : int, default=0
        1 shows a progress bar on stderr, or a line for each epoch in the log.

    Attributes
    ----------
    source_vocabulary_, target_vocabulary_ : Vocabulary
    n_iter_ : int
        Number of finished epochs.
    loss_curve_ : list of float
        Mean training loss of each epoch, over the tokens of targets.
    validation_scores_ : list of float
        Mean log likelihood of a token of the validation targets after each epoch.
    n_parameters_, nbytes_ : int

    References
    ----------
    Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", NeurIPS 2014. Bahdanau, Cho and
    Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015. Luong, Pham and Manning,
    "Effective approaches to attention-based neural machine translation", EMNLP 2015. Wu et al., "Google's neural
    machine translation system", arXiv:1609.08144, 2016.

    Examples
    --------
    >>> from fastrnn import RNNTranslator
    >>> X, y = ["one two", "two one", "two two", "one"], ["1 2", "2 1", "2 2", "1"]
    >>> options = {"hidden_size": 16, "learning_rate_init": 0.02, "dropout": 0.0, "max_iter": 100, "random_state": 0}
    >>> model = RNNTranslator(**options).fit(X, y)
    >>> model.predict(["two one"])
    ['2 1']
    >>> alignment = model.align(["two one"])[0]
    >>> alignment.sources, alignment.targets, alignment.weights.shape
    (['two', 'one'], ['2', '1', '</s>'], (3, 2))
    """

    _fixed = (*SequenceWriter._fixed, "bidirectional", "share_vocabulary")
    _network_parameters = (*SequenceWriter._network_parameters, "bidirectional")

    def __init__(
        self,
        cell="gru",
        embedding_size=128,
        hidden_size=256,
        num_layers=1,
        bidirectional=True,
        attention="additive",
        input_feeding=True,
        tie_weights=False,
        share_vocabulary=False,
        tokenizer="words",
        vocab_size=8000,
        lowercase=False,
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        max_length=None,
        truncation="end",
        replace_unknown=True,
        dropout=0.3,
        embedding_dropout=0.0,
        locked_dropout=False,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        residual=False,
        label_smoothing=0.1,
        scheduled_sampling=0.0,
        optimizer="adam",
        learning_rate_init=1e-3,
        batch_size="auto",
        max_iter="auto",
        schedule="cosine",
        warmup=0,
        alpha=0.0,
        clip_norm=1.0,
        averaging=None,
        averaging_decay=0.999,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change="auto",
        tol=1e-4,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        device="cpu",
        precision="highest",
        verbose=0,
    ):
        self._store(locals())

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("share_vocabulary", "replace_unknown", "bidirectional"):
            check_choice(name, getattr(self, name), (False, True))

    def _source_options(self):
        return side_options(self, 0)

    def _learn_data(self, X, y):
        options = self._source_options(), self._target_options()
        return learn_sides(X, y, options, self.share_vocabulary)

    def _restored_reader(self, content, arrays):
        return SourceReader.from_learned(content, self._source_options())

    def _make_network(self, reader, target, vectors, random_state):
        return TranslationNetwork(reader.side.n_ids, target.n_outputs, share_embedding=self.share_vocabulary,
                                  random_state=random_state, **self._network_options())  # fmt: skip

    def _set_inputs(self):
        super()._set_inputs()
        self.source_vocabulary_ = self._reader.side.vocabulary

    def _source_tokens(self, X):
        return self._reader.read_cut(X)

    @property
    def _replaces(self):
        writes_numbers = self._target.side.kind == "numbers" and self._reader.side.kind != "numbers"
        return self.replace_unknown and self.network_.attends and not writes_numbers

    def _forbidden(self):
        return [i for i in NEVER_WRITTEN if i != UNK_ID or not self._replaces]

    def _found_tokens(self, X, sources, found):
        """Return the tokens of predictions; ``<unk>`` is replaced by the token that the decoder looked at."""
        tokens = super()._found_tokens(X, sources, found)
        rows = np.array([i for i, ids in enumerate(found) if UNK_ID in ids], np.int64)
        if not len(rows):
            return tokens
        names = self._source_tokens(X)
        weights = self._weights(self._written(sources, found)._replace(rows=rows))
        for i, part in zip(rows.tolist(), weights, strict=True):
            if not names[i]:  # there is nothing to copy
                tokens[i] = [token for token, number in zip(tokens[i], found[i], strict=True) if number != UNK_ID]
                continue
            for t in np.flatnonzero(np.equal(found[i], UNK_ID)).tolist():
                tokens[i][t] = names[i][part[t].argmax()]
        return tokens
