//! Pipes that others made: non-blocking ones as standard streams, and pipes in the place of files.
