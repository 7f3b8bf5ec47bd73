"""The linear part of the classifier: word and character n-grams, fitted beside the LSTM and served with it."""
