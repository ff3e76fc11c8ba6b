//! Charts: what an archive or a directory holds, read in memory.
