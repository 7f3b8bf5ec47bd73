"""The network: build, train, warm-start, export to ONNX. Loads TensorFlow."""
