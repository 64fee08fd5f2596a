"""What we install: kustomize bases and components, and the chart."""
