"""What turns a row of raw data (a row of a table, a picture, a text) into the inputs of a model: data, never code."""
