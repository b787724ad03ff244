"""Bytes of ARPA files, and their number for the logarithm of 0."""

TAB, LF, CR, SPACE = b"\t\n\r "
PLUS, MINUS, POINT, ZERO, NINE = b"+-.09"
LETTER_E, LETTER_I, LETTER_N, LETTER_F = b"einf"  # in lower case
LOG_ZERO = -99
