//! A crash at each boundary of each action: another executor goes on, and the end is the same.
