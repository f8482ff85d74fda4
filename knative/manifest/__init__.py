"""The manifest of a Knative Service: options, fields, names, quantities and YAML."""
