"""What hostile clients can do to the server: attacks on a confined process, and a fuzzer."""
