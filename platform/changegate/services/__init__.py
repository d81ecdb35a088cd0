"""What the product does; nothing here knows HTTP."""
