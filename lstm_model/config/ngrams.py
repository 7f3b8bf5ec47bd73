from lstm_model.config.section import Section


class NgramsConfig(Section):
    """Linear models over n-grams whose answers are mixed with the LSTM's, with weights fitted on validation rows."""

    words: bool = True
    """Words and runs of two and three words."""
    characters: bool = True
    """1 to 5 characters: prefixes, endings, names, misspellings, scripts without spaces."""
