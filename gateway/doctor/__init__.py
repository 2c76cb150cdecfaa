"""Tests a whole chain from outside, one check a function, and says what to mend."""
