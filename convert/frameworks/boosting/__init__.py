"""LightGBM and XGBoost: their trees are read and written as ONNX here, one way for both."""
