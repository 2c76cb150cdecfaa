"""What the operator decides: models (frozen, pure), reading them with every problem at once, and checking them."""
