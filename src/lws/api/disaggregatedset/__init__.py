"""The DisaggregatedSet API and its role scaler, pure."""
