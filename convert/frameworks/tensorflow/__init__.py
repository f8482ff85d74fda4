"""TensorFlow: SavedModel folders, modules and functions; TFLite files."""
