"""The front end: YAML text to a tree with places, checked against the schema, to the typed spec."""
