"""The served classifier: texts -> labels and probabilities. Loads without TensorFlow."""
