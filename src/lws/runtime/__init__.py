"""What runs: controllers, leader election, events, health, and the order in which all of it starts and stops."""
