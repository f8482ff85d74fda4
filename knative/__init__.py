"""From a bundle and its profile to a sized Knative Service: sizes, manifests, images and `kn` commands."""
