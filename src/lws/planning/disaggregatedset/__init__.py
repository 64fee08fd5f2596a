"""Plans for DisaggregatedSets: snapshot in, actions out."""
