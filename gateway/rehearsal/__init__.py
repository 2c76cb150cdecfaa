"""Plays a client against a gateway, and the application behind one: for demos, self-tests and our own tests."""
