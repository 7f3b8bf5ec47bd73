"""The network: built, trained, warm-started, exported to ONNX. Loads TensorFlow."""
