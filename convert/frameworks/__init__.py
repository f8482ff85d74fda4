"""How each framework is read, asked and converted: a module or folder each, behind one interface."""
