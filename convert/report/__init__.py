"""`report.html`: the evidence for people."""
