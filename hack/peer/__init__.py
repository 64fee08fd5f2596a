"""What a controller costs on a real control plane, ours beside any other: workloads, meters, table and chart."""
