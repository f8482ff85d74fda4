"""Forms of rows besides the JSON of a model's own inputs: raw rows, CSV, pictures and multipart."""
