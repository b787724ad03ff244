"""Recurrent networks that label each element of a sequence."""

import numpy as np

from fastrnn.estimators.tokens import TokenReader
from fastrnn.layers.dropout import check_probability
from fastrnn.networks.tagging import TaggerNetwork
from fastrnn.networks.tokens import CHAR_ENCODERS, TOKEN_OPTIONS
from fastrnn.tagging.labels import are_indicators
from fastrnn.tagging.numeric_targets import learn_step_labels
from fastrnn.tagging.recurrent_base import RecurrentTagger
from fastrnn.tagging.targets import StepTargets, learn_tags
from fastrnn.text.schemes import SCHEMES
from fastrnn.utils.checks import check_choice, check_positive_integer


class RNNTagger(RecurrentTagger):
    """Recurrent tagger: a label, or several, for each token of a sentence or each step of a series.

    Vectors (of tokens: word, characters and shape) → recurrent layers → dense → CRF, or softmax.

    A word's vector is that of the form itself; else of the form in lower case; else of either with 0 (or #) for every
    digit; else of ``<user>``, ``<url>``, ``<hashtag>`` or ``<number>``, if the pretrained vectors have it. Words of the
    training data without a pretrained vector get one of their own; those that occur once have 0 for every digit.

    Parameters
    ----------
    cell : str or cell, default="lstm"
        Name of the recurrent cell, see `fastrnn.layers.cells`, or an instance of your own cell class.
    embedding_size : int, default=100
        Length of a word's vector, without a pretrained `embedding`.
    hidden_size : int, default=128
        Hidden units of each layer and direction.
    num_layers : int, default=1
        Number of recurrent layers.
    bidirectional : bool, default=True
        Whether a second direction reads the sequences backwards. Without it, a label depends on the elements up to its
        own only, and `advance` labels step by step.
    output : {"auto", "crf", "softmax"}, default="auto"
        Distribution of the labels: a linear-chain conditional random field, which knows what label follows what, or
        labels that are independent of each other. "auto" is "crf" with both directions, and "softmax" with one, because
        the labels of a CRF depend on later elements too. If y has several labels for each element, each has a sigmoid.
    scheme : {"auto", "iob1", "iob2", "bioes", "bilou", "bmes", None}, default="auto"
        Scheme of spans in which labels are learned, see `fastrnn.text.schemes`. That of y is recognized, and
        predictions have it. "auto" learns labels as they are, but "iob1" as "iob2"; "bioes" may find a few more of the
        entities. Sequences of labels that the scheme rules out are never predicted. None takes all labels for plain
        ones.
    constrain_training : bool, default=False
        Whether the CRF gives what the scheme rules out no probability in training and in `predict_proba` either.
    dropout : float, default=0.5
        Probability of dropout between layers and before the output in training.
    input_dropout : float or None, default=None
        Probability of dropout on the vectors of tokens; None takes half of `dropout`.
    embedding_dropout : float, default=0.0
        Probability that all occurrences of a word are zeroed in a batch.
    locked_dropout : bool, default=True
        Whether dropout is the same at every step of a sequence (Gal and Ghahramani 2016).
    residual : bool, default=False
    recurrent_dropout, zoneout, weight_dropout : float, default=0.0
        See `fastrnn.layers.Recurrent`.
    proj_size : int, default=0
        Length to which cells of the LSTM family project the hidden state; 0 for no projection.
    activity_penalty, temporal_activity_penalty : float, default=0.0
        Factors of the mean square of the last layer's output, and of its change from step to step (Merity et al. 2017).
    char_encoder : {"rnn", "ngrams"} or None, default="rnn"
        Vector made of each word's characters: the last states of a small bidirectional LSTM, or the mean of vectors of
        n-grams, which trains faster; see `fastrnn.networks.tokens`. Characters keep their case.
    char_embedding_size : int, default=25
        Length of the vectors of characters, or of n-grams.
    char_hidden_size : int, default=50
        Hidden units of each direction that reads characters.
    shapes : bool, default=True
        Whether each token has a vector of its shape, as Xx for "Rome" and d-x for "17-year".
    word_dropout : float, default=0.25
        A word that occurs n times in the training data is unknown with probability word_dropout / (word_dropout + n) in
        training, so that the vector of unknown words is trained (Kiperwasser and Goldberg 2016).
    input : {"tokens", "text", "series"}, default="tokens"
        Form of X: lists of tokens, each a str, an int id, or a tuple (token, column, …) whose further columns, parts of
        speech for instance, get vectors too; or raw strings, whose labels are spans of characters; or series, as a list
        of arrays (T_i, D), an array (n, T, D), or (n, T) for one dimension. Series are standardised by mean and
        deviation of the training data.
    tokenizer : {"words", "whitespace", "chars"}, callable or tokenizers.Tokenizer, default="words"
        Cuts texts, see `fastrnn.text.get_tokenizer`. Its tokens must be parts of the text, in their order.
    lowercase : bool, default=True
        Whether words that get vectors of their own are in lower case.
    normalize : {"NFC", "NFKC", "NFD", "NFKD"} or None, default=None
        Normal form of Unicode that tokens are converted to first, see `fastrnn.text.preprocess`.
    encoding : str, default="utf-8"
        Encoding of text files.
    min_count : int, default=1
        Tokens that appear less often are unknown.
    max_vocab : int or None, default=None
        Largest size of the vocabulary, the four special tokens included.
    max_length : int or None, default=None
        Most elements of a sequence that are trained on. Predictions are made for all elements.
    truncation : {"end", "start"}, default="end"
        End of longer sequences that is cut off in training. A warning says how many sequences are cut.
    missing : {"error", "pad"}, default="error"
        Meaning of NaN in series. "error" refuses it; "pad" leaves out the last steps of a series if they are nothing
        but NaN.
    embedding : mapping, (words, array), path or None, default=None
        Pretrained vectors: a vector for each word, a list and an array, or a text file as of GloVe or word2vec, which
        may be compressed. Their words are known besides those of the training data; a word's first vector counts.
    freeze_embedding : bool, default=False
        Whether the vectors of words stay as they are.
    optimizer : {"adam", "adamw", "sgd", "adagrad", "rmsprop"}, default="adam"
    learning_rate_init : float, default=2e-3
        Learning rate at the beginning. In `fit` it falls to 0 along half a cosine wave; in `partial_fit` it stays.
    batch_size : int, default=16
        Number of sequences, of similar lengths, that are computed together.
    max_iter : int or "auto", default="auto"
        Most epochs; "auto" takes 10, or as many as make 1,500 batches on small data (700 with several labels).
    alpha : float, default=0.0
        Weight decay.
    clip_norm : float or None, default=1.0
        Largest global norm of the gradient.
    class_weight : "balanced", dict or None, default=None
        Weight of the elements with each label; "balanced" gives all labels the same total weight. A CRF learns whole
        sequences, and weighs them by the means over their elements.
    early_stopping : bool, default=False
        Whether to set a part of the training data aside for validation and to keep the weights that predict it best.
    validation_fraction : float, default=0.1
        Share of the sequences that is set aside.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement of the validation score after which the training stops; "auto" takes 5, or as many as
        make 500 batches on small data.
    tol : float, default=1e-4
        Increase of the score that counts as improvement.
    warm_start : bool, default=False
        Whether `fit` continues from the weights, vocabulary and classes of the last `fit`.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Number of threads; None takes all cores if the work is large enough. Results do not depend on it.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where the network is trained and used: "cuda" is an NVIDIA GPU, "auto" is the GPU where there is one that can be
        used, and the CPU elsewhere.
    precision : {"highest", "high", "medium"}, default="highest"
        How a GPU multiplies matrices, as in ``torch.set_float32_matmul_precision``: in float32, in TF32, or in bfloat16
        with sums in float32. The CPU always multiplies in float32.
    verbose : int, default=0
        1 shows a progress bar on stderr. If stderr is not a terminal, a line for each epoch goes to the logger
        ``fastrnn``, level INFO.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels of y, sorted. In "iob1", and if another scheme is learned, labels are added that y could have. If y
        has several labels for each element: 0 to K - 1.
    scheme_ : str or None
        The scheme in which labels are learned.
    vocabulary_ : Vocabulary
        For tokens.
    n_features_in_ : int
        For series: the length D of the vector of a step.
    n_iter_ : int
        Number of finished epochs.
    loss_curve_ : list of float
        Mean training loss of each epoch, over the elements.
    validation_scores_ : list of float
        Score of the validation data after each epoch. If labels follow a scheme, and the data have entities, this is
        their F1 (as `fastrnn.metrics.entity_f1`); as long as none is found, it is the accuracy minus 1. Otherwise it
        is the accuracy, and with several labels for each element minus the mean loss.
    n_parameters_, nbytes_ : int

    See Also
    --------
    RNNStepRegressor : Numbers for each step.
    fastrnn.tagging.next_step_examples : Examples for a model of the next step, from which `generate` draws.

    References
    ----------
    Huang, Xu and Yu, "Bidirectional LSTM-CRF models for sequence tagging", arXiv:1508.01991, 2015. Lample,
    Ballesteros, Subramanian, Kawakami and Dyer, "Neural architectures for named entity recognition", NAACL 2016.

    Examples
    --------
    >>> from fastrnn import RNNTagger
    >>> X = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["dogs", "bark"]] * 5
    >>> y = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"]] * 5
    >>> model = RNNTagger(hidden_size=16, random_state=0).fit(X, y)
    >>> model.predict([["the", "cat", "barks"]])
    [['DET', 'NOUN', 'VERB']]
    """

    _inputs = ("tokens", "text", "series")
    _fixed = (*RecurrentTagger._fixed, "output", "scheme", "constrain_training", *TOKEN_OPTIONS[:-1])
    _text_reader = TokenReader
    _network_parameters = (*RecurrentTagger._network_parameters, "input_dropout")
    _fewest_batches, _fewest_epochs = 1500, 10

    def __init__(
        self,
        cell="lstm",
        embedding_size=100,
        hidden_size=128,
        num_layers=1,
        bidirectional=True,
        output="auto",
        scheme="auto",
        constrain_training=False,
        dropout=0.5,
        input_dropout=None,
        embedding_dropout=0.0,
        locked_dropout=True,
        recurrent_dropout=0.0,
        zoneout=0.0,
        weight_dropout=0.0,
        proj_size=0,
        residual=False,
        activity_penalty=0.0,
        temporal_activity_penalty=0.0,
        char_encoder="rnn",
        char_embedding_size=25,
        char_hidden_size=50,
        shapes=True,
        word_dropout=0.25,
        input="tokens",
        tokenizer="words",
        lowercase=True,
        normalize=None,
        encoding="utf-8",
        min_count=1,
        max_vocab=None,
        max_length=None,
        truncation="end",
        missing="error",
        embedding=None,
        freeze_embedding=False,
        optimizer="adam",
        learning_rate_init=2e-3,
        batch_size=16,
        max_iter="auto",
        alpha=0.0,
        clip_norm=1.0,
        class_weight=None,
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
        check_choice("output", self.output, ("auto", "crf", "softmax"))
        check_choice("scheme", self.scheme, ("auto", *SCHEMES, None))
        check_choice("constrain_training", self.constrain_training, (False, True))
        check_choice("char_encoder", self.char_encoder, (*CHAR_ENCODERS, None))
        check_probability("input_dropout", self.input_dropout or 0.0)
        for name in ("char_embedding_size", "char_hidden_size"):
            check_positive_integer(name, getattr(self, name))

    def _reading(self):
        options = super()._reading()
        return options if self.input == "series" else {**options, "input": "tokens", "char_encoder": self.char_encoder}

    def _fit(self, X, y, sample_weight, X_val, y_val, *checkpoint):
        X, y = self._cut_with_tags(X, y, learning=True)
        if X_val is not None and y_val is not None:
            X_val, y_val = self._cut_with_tags(X_val, y_val, ("X_val", "y_val"))
        return super()._fit(X, y, sample_weight, X_val, y_val, *checkpoint)

    def _learn_target(self, y, classes):
        return learn_step_labels(y) if are_indicators(y) else learn_tags(y, classes, self.scheme)

    def _encode_targets(self, target, y, sequences):
        encoded = super()._encode_targets(target, y, sequences)
        i = target.first_forbidden(encoded) if self.constrain_training and target.kind == "tags" else None
        if i is not None:
            raise ValueError(
                f"y must follow the scheme {target.scheme!r} with constrain_training=True, but y[{i}] does not."
            )
        return encoded

    def _step_weights(self, target, encoded):
        if self.class_weight is None:
            return None
        weights = target.weights(encoded, self.class_weight)
        return StepTargets(weights.values.astype(np.float32), weights.offsets)

    def _make_network(self, reader, target, vectors, random_state):
        tokens = None
        if vectors is not None:
            tokens = {"reader": reader, **{name: getattr(self, name) for name in TOKEN_OPTIONS}}
        output = self.output if self.output != "auto" else "crf" if self.bidirectional else "softmax"
        kind = output if target.kind == "tags" else "labels"
        head = {"rates": target.rates} if kind == "labels" else {"allowed": target.allowed()}
        if kind == "crf":
            head["constrain"] = self.constrain_training
        return TaggerNetwork(reader.n_features, vectors, target.n_outputs, kind, head, tokens,
                             random_state=random_state, **self._network_options())  # fmt: skip

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one epoch on further examples.

        Parameters
        ----------
        X, y : as in `fit`
            The first call fixes the vocabulary, or mean and deviation of series.
        classes : array-like (K,), default=None
            All labels that may occur. Only the first call needs them, unless y holds all of them.
        sample_weight : array-like (n,), default=None

        Returns
        -------
        self : object
        """
        return self._partial_fit(*self._cut_with_tags(X, y, learning=True), classes, sample_weight)
