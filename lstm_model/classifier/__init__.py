"""What is served: text in, label and probabilities out. Loads without TensorFlow."""
