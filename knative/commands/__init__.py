"""The subcommands of `snooze` that concern Knative: their options, output and exit codes."""
