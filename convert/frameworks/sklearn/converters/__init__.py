"""Converters of scikit-learn estimators, registered with skl2onnx: a module for each family of estimators."""
