"""ONNX in, ONNX out; one transformation a file."""
