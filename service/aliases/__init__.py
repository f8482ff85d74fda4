"""Further paths and bodies for a model, as the clients of another server know them; imported only if there are any."""
