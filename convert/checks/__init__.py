"""What a converted model must pass, and the data that it is checked on."""
