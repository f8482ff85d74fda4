"""What a wake from zero costs on Knative, and where its time goes."""
