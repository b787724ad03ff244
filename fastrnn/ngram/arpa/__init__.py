r"""ARPA files: n-gram models as text, in the format that every toolkit reads and writes.

::

    \data\
    ngram 1=3
    ngram 2=1

    \1-grams:
    -0.5	<s>	-0.2
    ...

    \2-grams:
    -0.1	<s> the

    \end\

A line of an n-gram has log10 of its probability, its words and log10 of its backoff, which may be missing. By
convention -99 is log10 of 0. Words are in UTF-8, and so is half of a pair of surrogates, if a word has one in it.
"""
