"""What stands in where an official plugin of the engine cannot be had."""
